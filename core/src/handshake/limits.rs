//! The limits of a handshake.

use core::time::Duration;

/// How many interim (1xx) responses a client skips before the final response.
///
/// A client must skip each of them (RFC 9110 section 15.2), and HTTP does not limit their number. Real servers send at
/// most one (100 or 103) before an upgrade.
pub const MAX_INTERIM_RESPONSES: usize = 8;

/// The limits of one handshake, for either role.
///
/// ```
/// use core::time::Duration;
/// use multiwa_ws_core::handshake::HandshakeLimits;
///
/// let patient = HandshakeLimits::new().timeout(Duration::from_secs(30)).max_head_bytes(32 << 10);
/// assert_ne!(patient, HandshakeLimits::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    pub(crate) timeout: Duration,
    pub(crate) max_head_bytes: usize,
    pub(crate) max_request_line_bytes: usize,
    pub(crate) max_header_fields: usize,
    pub(crate) max_body_bytes: usize,
}

impl HandshakeLimits {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            max_head_bytes: 16 * 1024,
            max_request_line_bytes: 8 * 1024,
            max_header_fields: 64,
            max_body_bytes: 8 * 1024,
        }
    }

    /// The time for the whole request, or for the whole answer. Default 10 seconds (`protocol.md`, Client lifecycle).
    ///
    /// A server applies it to the request, and again to the response. The core does not limit the decision of the caller
    /// between them; the servers of the bindings limit it to the same time. Arriving bytes do not extend the time: a
    /// client that sends one byte per second is disconnected.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest HTTP head in bytes, including its empty line. Default 16 KiB.
    ///
    /// Node.js has the same limit. The cookies of a browser are far smaller.
    #[must_use]
    pub const fn max_head_bytes(mut self, bytes: usize) -> Self {
        self.max_head_bytes = bytes;
        self
    }

    /// The longest request line in bytes. Default 8 KiB, a little more than the 8,000 bytes that RFC 9112 section 3
    /// recommends to support.
    #[must_use]
    pub const fn max_request_line_bytes(mut self, bytes: usize) -> Self {
        self.max_request_line_bytes = bytes;
        self
    }

    /// The largest number of header fields in one head. Default 64.
    ///
    /// A browser sends about 15, and a chain of proxies adds about as many. The limit is twice their sum.
    #[must_use]
    pub const fn max_header_fields(mut self, fields: usize) -> Self {
        self.max_header_fields = fields;
        self
    }

    /// The largest number of bytes that a client keeps of the body of a refusal. Default 8 KiB, many times the size of
    /// the JSON text that a gateway sends.
    #[must_use]
    pub const fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// The value of [`timeout`](Self::timeout).
    #[must_use]
    pub const fn get_timeout(&self) -> Duration {
        self.timeout
    }

    /// The value of [`max_head_bytes`](Self::max_head_bytes).
    #[must_use]
    pub const fn get_max_head_bytes(&self) -> usize {
        self.max_head_bytes
    }

    /// The value of [`max_body_bytes`](Self::max_body_bytes).
    #[must_use]
    pub const fn get_max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self::new()
    }
}
