//! The parameters of `permessage-deflate` as its header has them (RFC 7692 section 7.1).

use core::fmt;

use crate::handshake::DeflateError;

pub(super) const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
pub(super) const LARGEST_WINDOW: u8 = 15;

/// The parameters of one offer or answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    pub(super) client_max_window_bits: Option<ClientWindow>,
}

/// The value of `client_max_window_bits`, which an offer may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientWindow {
    Any,
    AtMost(u8),
}

impl Parameters {
    pub(super) fn add(&mut self, name: &str, value: Option<&str>) -> Result<(), DeflateError> {
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

pub(super) fn is_window(bits: u8) -> bool {
    (8..=LARGEST_WINDOW).contains(&bits)
}
