//! The bounds of a handshake.

use core::time::Duration;

/// How many interim (1xx) responses a client skips before the answer itself.
///
/// Each one must be skipped (RFC 9110 section 15.2), and nothing bounds them. Servers in the field send at most one
/// (100 or 103) before an upgrade.
pub const MAX_INTERIM_RESPONSES: usize = 8;

/// The bounds of one handshake, for either role.
///
/// ```
/// use core::time::Duration;
/// use multiwa_ws_core::handshake::HandshakeLimits;
///
/// let patient = HandshakeLimits { timeout: Duration::from_secs(30), ..HandshakeLimits::default() };
/// assert_eq!(patient.max_head_bytes, 16 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Time for the whole request, or for the whole answer; 10 seconds (`protocol.md`, Client lifecycle).
    ///
    /// A server grants it for the request and once more for sending its response; the caller's decision in between is not
    /// timed. Arriving bytes do not extend it: a client that sends one byte a second is cut.
    pub timeout: Duration,
    /// Bytes of one HTTP head, its empty line included; 16 KiB.
    ///
    /// That is what common servers grant (Node.js), and cookies of browsers stay far below it.
    pub max_head_bytes: usize,
    /// Bytes of the request line; 8 KiB, a little over the 8,000 bytes that RFC 9112 section 3 recommends to support.
    pub max_request_line_bytes: usize,
    /// Header fields of one head; 64.
    ///
    /// A browser sends about 15, a chain of proxies adds as many again; this leaves twice that.
    pub max_header_fields: usize,
    /// Bytes of a refusal's body that a client keeps to show; 8 KiB, many times the JSON text of a gateway.
    pub max_body_bytes: usize,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            max_head_bytes: 16 * 1024,
            max_request_line_bytes: 8 * 1024,
            max_header_fields: 64,
            max_body_bytes: 8 * 1024,
        }
    }
}
