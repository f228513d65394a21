//! Negotiation of `permessage-deflate` (RFC 7692 section 7.1), both roles.

use alloc::string::{String, ToString};
use core::fmt;

use super::error::{DeflateError, ResponseError};
use super::extensions::{Element, Elements, Malformed};
use crate::websocket::DeflateParameters;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
const LARGEST_WINDOW: u8 = 15;

/// A client's offer of `permessage-deflate`.
///
/// The default offer is `permessage-deflate; client_max_window_bits`, as browsers send it: the server may limit both
/// windows, and contexts are kept unless the server's answer excludes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_max_window_bits: Option<u8>,
}

impl DeflateOffer {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: Some(LARGEST_WINDOW),
        }
    }

    /// Require the server to clear its window after each message (RFC 7692 section 7.1.1.1), off by default. The server
    /// must agree or decline the offer.
    #[must_use]
    pub const fn server_no_context_takeover(mut self, enabled: bool) -> Self {
        self.server_no_context_takeover = enabled;
        self
    }

    /// Clear our window after each message, independent of the server's answer (section 7.1.1.2), off by default.
    #[must_use]
    pub const fn client_no_context_takeover(mut self, enabled: bool) -> Self {
        self.client_no_context_takeover = enabled;
        self
    }

    /// Require that the server's window has at most this many bits, 8 to 15 (section 7.1.2.1). By default nothing is
    /// required. The server must agree or decline the offer.
    #[must_use]
    pub fn server_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.server_max_window_bits = bits.into();
        self
    }

    /// Our window has at most this many bits, 8 to 15, and the server may require fewer (section 7.1.2.2). Default 15.
    ///
    /// With 15 the parameter is sent without a value. With `None` it is not sent, and the server cannot limit our window.
    #[must_use]
    pub fn client_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.client_max_window_bits = bits.into();
        self
    }
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A server's terms for a client that offers `permessage-deflate`.
///
/// The default accepts every valid offer, keeps contexts and uses windows of 32 KiB, unless the client offers less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
}

impl DeflateConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: LARGEST_WINDOW,
            client_max_window_bits: LARGEST_WINDOW,
        }
    }

    /// Clear our window after each message, even if the client did not require it (RFC 7692 section 7.1.1.1), off by
    /// default.
    #[must_use]
    pub const fn server_no_context_takeover(mut self, enabled: bool) -> Self {
        self.server_no_context_takeover = enabled;
        self
    }

    /// Require the client to clear its window after each message (section 7.1.1.2), off by default.
    #[must_use]
    pub const fn client_no_context_takeover(mut self, enabled: bool) -> Self {
        self.client_no_context_takeover = enabled;
        self
    }

    /// The largest number of bits of our window, 8 to 15 (section 7.1.2.1). Default 15.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// The largest number of bits of the client's window, 8 to 15 (section 7.1.2.2). Default 15.
    ///
    /// Below 15, an offer that does not allow the server to limit the client's window is declined.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// The value of [`server_no_context_takeover`](Self::server_no_context_takeover).
    #[must_use]
    pub const fn get_server_no_context_takeover(&self) -> bool {
        self.server_no_context_takeover
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl DeflateOffer {
    pub(super) fn is_valid(&self) -> bool {
        self.server_max_window_bits.is_none_or(is_window) && self.client_max_window_bits.is_none_or(is_window)
    }

    /// The offer as a header value.
    pub(super) fn to_header(self) -> String {
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self
                .client_max_window_bits
                .map(|bits| if bits < LARGEST_WINDOW { ClientWindow::AtMost(bits) } else { ClientWindow::Any }),
        }
        .to_string()
    }

    /// The parameters that the server's answer to this offer agrees on.
    fn evaluate(&self, answer: &Parameters) -> Result<DeflateParameters, DeflateError> {
        // RFC 7692 section 7.1.1.1: a server accepts this parameter by repeating it.
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(DeflateError::NotAsOffered);
        }
        // Section 7.1.2.1: a server accepts this parameter by repeating it with the same or a smaller value, and may add
        // it without an offer.
        let server_max_window_bits = match (self.server_max_window_bits, answer.server_max_window_bits) {
            (Some(most), Some(bits)) if bits <= most => bits,
            (Some(_), _) => return Err(DeflateError::NotAsOffered),
            (None, bits) => bits.unwrap_or(LARGEST_WINDOW),
        };
        // Section 7.1.2.2: the server may limit our window only after such an offer, and then its answer must have a
        // value. We keep the value that we offered even if the answer allows more.
        let client_max_window_bits = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (offered, None) => offered.unwrap_or(LARGEST_WINDOW),
            (None, Some(_)) => return Err(DeflateError::NotAsOffered),
            (Some(_), Some(ClientWindow::Any)) => return Err(DeflateError::InvalidValue),
            (Some(most), Some(ClientWindow::AtMost(bits))) => bits.min(most),
        };
        Ok(DeflateParameters {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || answer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}

impl DeflateConfig {
    pub(super) fn is_valid(&self) -> bool {
        is_window(self.server_max_window_bits) && is_window(self.client_max_window_bits)
    }

    /// The answer to one offer, or `None` to decline it.
    fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        // RFC 7692 section 7.1.2.1: at most the offered value. The parameter is repeated if it was offered, and may be
        // added if it was not.
        let server = offer.server_max_window_bits.unwrap_or(LARGEST_WINDOW).min(self.server_max_window_bits);
        let repeat = offer.server_max_window_bits.is_some() || server < LARGEST_WINDOW;
        // Section 7.1.2.2: the answer must not name the client's window unless the offer did.
        let client = match offer.client_max_window_bits {
            None if self.client_max_window_bits < LARGEST_WINDOW => return None,
            None => LARGEST_WINDOW,
            Some(ClientWindow::Any) => self.client_max_window_bits,
            Some(ClientWindow::AtMost(bits)) => bits.min(self.client_max_window_bits),
        };
        Some(Parameters {
            // Section 7.1.1.1: repeated if offered, and may be added.
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            // Section 7.1.1.2: in an offer it is only a hint of the client; in the answer it binds the client.
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: repeat.then_some(server),
            client_max_window_bits: (client < LARGEST_WINDOW).then_some(ClientWindow::AtMost(client)),
        })
    }
}

/// The server's choice among the offers in the values of `Sec-WebSocket-Extensions`, which are tried in order. Returns
/// the agreed parameters and the header value of the answer, or `None` if no offer is acceptable.
///
/// An offer with an unknown or repeated parameter or an invalid value is declined (RFC 7692 section 7.1). The request
/// stays valid.
pub(super) fn choose<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    config: Option<&DeflateConfig>,
) -> Result<Option<(DeflateParameters, String)>, Malformed> {
    let mut chosen = None;
    // The grammar is checked to the end, even if the first offer is acceptable.
    for_each_extension(values, |name, parameters| {
        if name == NAME && chosen.is_none() {
            let answer = parameters.ok().as_ref().and_then(|offer| config?.answer(offer));
            chosen = answer.map(|answer| (answer.agreed(), answer.to_string()));
        }
        Ok(())
    })?;
    Ok(chosen)
}

/// The parameters on which the server's answer in the values of `Sec-WebSocket-Extensions` agrees, for this offer.
pub(super) fn evaluate<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    offer: Option<&DeflateOffer>,
) -> Result<Option<DeflateParameters>, ResponseError> {
    let mut agreed = None;
    for_each_extension(values, |name, parameters| {
        let Some(offer) = offer.filter(|_| name == NAME && agreed.is_none()) else {
            return Err(ResponseError::UnofferedExtension);
        };
        agreed = Some(offer.evaluate(&parameters?)?);
        Ok(())
    })?;
    Ok(agreed)
}

impl From<Malformed> for ResponseError {
    fn from(_: Malformed) -> Self {
        Self::Extensions
    }
}

/// The parameters of one offer or answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<ClientWindow>,
}

/// The value of `client_max_window_bits`, which an offer may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientWindow {
    Any,
    AtMost(u8),
}

impl Parameters {
    fn add(&mut self, name: &str, value: Option<&str>) -> Result<(), DeflateError> {
        let repeated = match (name, value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => core::mem::replace(&mut self.server_no_context_takeover, true),
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => core::mem::replace(&mut self.client_no_context_takeover, true),
            (SERVER_MAX_WINDOW_BITS, Some(value)) => self.server_max_window_bits.replace(window_bits(value)?).is_some(),
            (CLIENT_MAX_WINDOW_BITS, value) => {
                let window =
                    value.map_or(Ok(ClientWindow::Any), |value| window_bits(value).map(ClientWindow::AtMost))?;
                self.client_max_window_bits.replace(window).is_some()
            }
            (SERVER_NO_CONTEXT_TAKEOVER | CLIENT_NO_CONTEXT_TAKEOVER | SERVER_MAX_WINDOW_BITS, _) => {
                return Err(DeflateError::InvalidValue);
            }
            _ => return Err(DeflateError::UnknownParameter),
        };
        if repeated { Err(DeflateError::RepeatedParameter) } else { Ok(()) }
    }

    /// The agreed parameters, if these are a server's answer.
    fn agreed(&self) -> DeflateParameters {
        DeflateParameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
            client_max_window_bits: match self.client_max_window_bits {
                Some(ClientWindow::AtMost(bits)) => bits,
                Some(ClientWindow::Any) | None => LARGEST_WINDOW,
            },
        }
    }
}

/// The header value, including the extension's name.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}")?;
        }
        match self.client_max_window_bits {
            None => Ok(()),
            Some(ClientWindow::Any) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}"),
            Some(ClientWindow::AtMost(bits)) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}"),
        }
    }
}

/// RFC 7692 section 7.1.2: a decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Result<u8, DeflateError> {
    let canonical = !value.starts_with(['0', '+']);
    value.parse().ok().filter(|&bits| canonical && is_window(bits)).ok_or(DeflateError::InvalidValue)
}

fn is_window(bits: u8) -> bool {
    (8..=LARGEST_WINDOW).contains(&bits)
}

/// Calls `visit` with each extension of the header and its parameters, parsed as those of `permessage-deflate`.
fn for_each_extension<'a, E: From<Malformed>>(
    values: impl Iterator<Item = &'a [u8]>,
    mut visit: impl FnMut(&'a str, Result<Parameters, DeflateError>) -> Result<(), E>,
) -> Result<(), E> {
    for value in values {
        let mut current: Option<(&str, Result<Parameters, DeflateError>)> = None;
        for element in Elements::new(value) {
            match (element?, &mut current) {
                (Element::Extension(name), _) => {
                    if let Some((name, parameters)) = current.replace((name, Ok(Parameters::default()))) {
                        visit(name, parameters)?;
                    }
                }
                (Element::Parameter { name, value }, Some((_, Ok(parameters)))) => {
                    let result = parameters.add(name, value.as_deref());
                    if let (Err(error), Some((_, parameters))) = (result, &mut current) {
                        *parameters = Err(error);
                    }
                }
                (Element::Parameter { .. }, _) => {}
            }
        }
        if let Some((name, parameters)) = current {
            visit(name, parameters)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(config: &DeflateConfig, header: &str) -> Option<String> {
        choose([header.as_bytes()].into_iter(), Some(config)).unwrap().map(|(_, answer)| answer)
    }

    fn evaluated(offer: &DeflateOffer, header: &str) -> Result<Option<DeflateParameters>, ResponseError> {
        evaluate([header.as_bytes()].into_iter(), Some(offer))
    }

    fn config() -> DeflateConfig {
        DeflateConfig::default()
    }

    fn offer() -> DeflateOffer {
        DeflateOffer::default()
    }

    #[test]
    fn rfc_7692_section_7_1_offers_are_answered_as_the_text_says() {
        let small = config().server_max_window_bits(10).client_max_window_bits(11);
        let forgetful = config().server_no_context_takeover(true).client_no_context_takeover(true);
        for (config, offered, expected) in [
            // Section 7.1.2.2: a bare offer must not be answered with client_max_window_bits.
            (config(), "permessage-deflate", Some("permessage-deflate")),
            (config(), "permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
            (
                config(),
                "permessage-deflate; client_max_window_bits=10",
                Some("permessage-deflate; client_max_window_bits=10"),
            ),
            (config(), "permessage-deflate; client_max_window_bits=15", Some("permessage-deflate")),
            // Section 7.1.2.1: accepted by repeating it, also with the largest value.
            (
                config(),
                "permessage-deflate; server_max_window_bits=15",
                Some("permessage-deflate; server_max_window_bits=15"),
            ),
            (
                config(),
                "permessage-deflate; server_max_window_bits=8",
                Some("permessage-deflate; server_max_window_bits=8"),
            ),
            // Section 7.1.1: accepted by repeating it.
            (
                config(),
                "permessage-deflate; server_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover"),
            ),
            (
                config(),
                "permessage-deflate; client_no_context_takeover",
                Some("permessage-deflate; client_no_context_takeover"),
            ),
            (
                config(),
                "permessage-deflate; client_max_window_bits; server_max_window_bits=9; client_no_context_takeover; \
                 server_no_context_takeover",
                Some(
                    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                     server_max_window_bits=9",
                ),
            ),
            // The server's own limits: for its window without an offer, for the client's window only if the offer allows
            // it.
            (small, "permessage-deflate", None),
            (
                small,
                "permessage-deflate; client_max_window_bits",
                Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"),
            ),
            (
                small,
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
                Some("permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"),
            ),
            (
                small,
                "permessage-deflate; client_max_window_bits=12; server_max_window_bits=12",
                Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"),
            ),
            (
                forgetful,
                "permessage-deflate",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            // A value in quotes is the same value (RFC 6455 section 9.1).
            (
                config(),
                "permessage-deflate; server_max_window_bits=\"10\"",
                Some("permessage-deflate; server_max_window_bits=10"),
            ),
            (config(), "permessage-deflate; server_max_window_bits=\"1\\6\"", None),
            // Section 7.1: offers that must be declined.
            (config(), "permessage-deflate; server_max_window_bits", None),
            (config(), "permessage-deflate; server_max_window_bits=7", None),
            (config(), "permessage-deflate; server_max_window_bits=16", None),
            (config(), "permessage-deflate; server_max_window_bits=08", None),
            (config(), "permessage-deflate; server_max_window_bits=+9", None),
            (config(), "permessage-deflate; server_max_window_bits=264", None),
            (config(), "permessage-deflate; server_max_window_bits=99999999999999999999", None),
            (config(), "permessage-deflate; server_max_window_bits=ten", None),
            (config(), "permessage-deflate; client_max_window_bits=7", None),
            (config(), "permessage-deflate; client_max_window_bits=16", None),
            (config(), "permessage-deflate; client_max_window_bits=010", None),
            (config(), "permessage-deflate; server_no_context_takeover=true", None),
            (config(), "permessage-deflate; client_no_context_takeover=1", None),
            (config(), "permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
            (config(), "permessage-deflate; client_max_window_bits; client_max_window_bits=9", None),
            (config(), "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", None),
            (config(), "permessage-deflate; unknown", None),
            (config(), "permessage-deflate; __proto__=1", None),
            (config(), "permessage-deflate; Server_No_Context_Takeover", None),
            (config(), "x-webkit-deflate-frame", None),
            (config(), "PERMESSAGE-DEFLATE", None),
            // Section 5: a list of offers is tried in order.
            (
                config(),
                "permessage-deflate; server_max_window_bits=7, other; permessage-deflate, permessage-deflate; \
                 server_max_window_bits=12, permessage-deflate",
                Some("permessage-deflate; server_max_window_bits=12"),
            ),
            (
                small,
                "permessage-deflate, permessage-deflate; client_max_window_bits",
                Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"),
            ),
        ] {
            assert_eq!(answer(&config, offered).as_deref(), expected, "{offered}");
        }
    }

    #[test]
    fn rfc_7692_section_7_1_answers_are_judged_as_the_text_says() {
        use DeflateError::{InvalidValue, NotAsOffered, RepeatedParameter, UnknownParameter};
        let bare = offer().client_max_window_bits(None);
        let strict = offer().server_no_context_takeover(true).server_max_window_bits(10).client_max_window_bits(12);
        let agreed = DeflateParameters::default();
        for (offer, answered, expected) in [
            (offer(), "permessage-deflate", Ok(agreed)),
            (
                offer(),
                "permessage-deflate; client_max_window_bits=9",
                Ok(DeflateParameters { client_max_window_bits: 9, ..agreed }),
            ),
            (offer(), "permessage-deflate; client_max_window_bits", Err(InvalidValue)),
            (bare, "permessage-deflate; client_max_window_bits=9", Err(NotAsOffered)),
            (bare, "permessage-deflate; client_max_window_bits", Err(NotAsOffered)),
            // The server may limit itself without an offer, and may require us to clear our window.
            (
                bare,
                "permessage-deflate; server_max_window_bits=8; server_no_context_takeover; client_no_context_takeover",
                Ok(DeflateParameters {
                    server_max_window_bits: 8,
                    server_no_context_takeover: true,
                    client_no_context_takeover: true,
                    ..agreed
                }),
            ),
            // A required parameter must be repeated.
            (strict, "permessage-deflate", Err(NotAsOffered)),
            (strict, "permessage-deflate; server_max_window_bits=10", Err(NotAsOffered)),
            (strict, "permessage-deflate; server_no_context_takeover", Err(NotAsOffered)),
            (strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11", Err(NotAsOffered)),
            (
                strict,
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=14",
                Ok(DeflateParameters {
                    server_no_context_takeover: true,
                    server_max_window_bits: 9,
                    client_max_window_bits: 12,
                    ..agreed
                }),
            ),
            (offer(), "permessage-deflate; server_max_window_bits=7", Err(InvalidValue)),
            (offer(), "permessage-deflate; server_max_window_bits=16", Err(InvalidValue)),
            (offer(), "permessage-deflate; server_max_window_bits", Err(InvalidValue)),
            (offer(), "permessage-deflate; client_no_context_takeover=x", Err(InvalidValue)),
            (offer(), "permessage-deflate; foo", Err(UnknownParameter)),
            (
                offer(),
                "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
                Err(RepeatedParameter),
            ),
        ] {
            let expected = expected.map(Some).map_err(ResponseError::Deflate);
            assert_eq!(evaluated(&offer, answered), expected, "{answered}");
        }
    }

    #[test]
    fn rfc_6455_section_4_1_an_extension_that_was_not_offered_fails_the_connection() {
        let unoffered = Err(ResponseError::UnofferedExtension);
        assert_eq!(evaluated(&offer(), "permessage-deflate, permessage-deflate"), unoffered);
        assert_eq!(evaluated(&offer(), "permessage-deflate, foo"), unoffered);
        assert_eq!(evaluated(&offer(), "foo"), unoffered);
        assert_eq!(evaluate([&b"permessage-deflate"[..]].into_iter(), None), unoffered);
        assert_eq!(evaluated(&offer(), "permessage-deflate;"), Err(ResponseError::Extensions));
    }

    #[test]
    fn a_malformed_header_fails_even_after_an_offer_that_suits() {
        assert_eq!(choose([&b"permessage-deflate, a b"[..]].into_iter(), Some(&config())), Err(Malformed));
        assert_eq!(choose([&b"a b"[..]].into_iter(), None), Err(Malformed));
    }

    #[test]
    fn every_offer_is_understood_by_the_server_and_every_answer_by_the_client() {
        let windows = || (8..=15).map(Some).chain([None]);
        for server_max_window_bits in windows() {
            for client_max_window_bits in windows() {
                for flags in 0..4 {
                    let offer = DeflateOffer::new()
                        .server_no_context_takeover(flags & 1 > 0)
                        .client_no_context_takeover(flags & 2 > 0)
                        .server_max_window_bits(server_max_window_bits)
                        .client_max_window_bits(client_max_window_bits);
                    let header = offer.to_header();
                    let (parameters, answer) =
                        choose([header.as_bytes()].into_iter(), Some(&config())).unwrap().unwrap();
                    assert_eq!(evaluated(&offer, &answer), Ok(Some(parameters)), "{header} / {answer}");
                }
            }
        }
    }

    #[test]
    fn a_window_outside_8_to_15_is_no_valid_wish() {
        for (bits, valid) in [(7, false), (8, true), (15, true), (16, false)] {
            assert_eq!(config().server_max_window_bits(bits).is_valid(), valid);
            assert_eq!(config().client_max_window_bits(bits).is_valid(), valid);
            assert_eq!(offer().server_max_window_bits(bits).is_valid(), valid);
            assert_eq!(offer().client_max_window_bits(bits).is_valid(), valid);
        }
    }
}
