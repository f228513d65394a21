//! Negotiation of `permessage-deflate` (RFC 7692 section 7.1), both roles.

#[cfg(feature = "server")]
mod config;
mod offer;
mod parameters;

#[cfg(feature = "server")]
pub use config::DeflateConfig;
pub use offer::DeflateOffer;

#[cfg(feature = "server")]
use alloc::string::{String, ToString};

use self::parameters::{NAME, Parameters};
use super::grammar::{Element, Elements, Malformed};
use crate::handshake::{DeflateError, ResponseError};
use crate::websocket::Negotiated;

/// The server's choice among the offers in the values of `Sec-WebSocket-Extensions`, which are tried in order. Returns
/// what was agreed and the header value of the answer. There is no answer if no offer is acceptable.
///
/// An offer with an unknown or repeated parameter or an invalid value is declined (RFC 7692 section 7.1). The request
/// stays valid.
#[cfg(feature = "server")]
pub(in crate::handshake) fn choose<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    config: Option<&DeflateConfig>,
) -> Result<(Negotiated, Option<String>), Malformed> {
    let mut chosen = None;
    // The grammar is checked to the end, even if the first offer is acceptable.
    for_each_extension(values, |name, parameters| {
        if name == NAME && chosen.is_none() {
            chosen = parameters.ok().and_then(|offer| config?.answer(&offer));
        }
        Ok(())
    })?;
    let negotiated = Negotiated { deflate: chosen.as_ref().map(Parameters::agreed), ..Negotiated::default() };
    Ok((negotiated, chosen.map(|answer| answer.to_string())))
}

/// What the server's answer in the values of `Sec-WebSocket-Extensions` agrees on, for this offer.
pub(in crate::handshake) fn evaluate<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    offer: Option<&DeflateOffer>,
) -> Result<Negotiated, ResponseError> {
    let mut negotiated = Negotiated::default();
    for_each_extension(values, |name, parameters| {
        let Some(offer) = offer.filter(|_| name == NAME && negotiated.deflate.is_none()) else {
            return Err(ResponseError::UnofferedExtension);
        };
        negotiated.deflate = Some(offer.evaluate(&parameters?)?);
        Ok(())
    })?;
    Ok(negotiated)
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
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::websocket::DeflateParameters;

    fn answer(config: &DeflateConfig, header: &str) -> Option<String> {
        choose([header.as_bytes()].into_iter(), Some(config)).unwrap().1
    }

    fn evaluated(offer: &DeflateOffer, header: &str) -> Result<Option<DeflateParameters>, ResponseError> {
        evaluate([header.as_bytes()].into_iter(), Some(offer)).map(|negotiated| negotiated.deflate)
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
    fn rfc_7692_section_7_1_answers_are_checked_as_the_text_says() {
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
        assert_eq!(evaluate([&b"permessage-deflate"[..]].into_iter(), None), Err(ResponseError::UnofferedExtension));
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
                    let (negotiated, answer) = choose([header.as_bytes()].into_iter(), Some(&config())).unwrap();
                    let answer = answer.unwrap();
                    assert!(negotiated.deflate.is_some());
                    assert_eq!(evaluated(&offer, &answer), Ok(negotiated.deflate), "{header} / {answer}");
                }
            }
        }
    }

    #[test]
    fn a_window_outside_8_to_15_is_refused() {
        for (bits, valid) in [(7, false), (8, true), (15, true), (16, false)] {
            assert_eq!(config().server_max_window_bits(bits).is_valid(), valid);
            assert_eq!(config().client_max_window_bits(bits).is_valid(), valid);
            assert_eq!(offer().server_max_window_bits(bits).is_valid(), valid);
            assert_eq!(offer().client_max_window_bits(bits).is_valid(), valid);
        }
    }
}
