//! The configuration of a connection and its limits.

use core::time::Duration;

#[cfg(feature = "deflate")]
use super::deflate::DEFAULT_LEVEL;
use crate::KeepAlive;

/// The side of a connection (RFC 6455 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the upgrade request and masks its frames.
    Client,
    /// Answers the upgrade request and does not mask its frames.
    Server,
}

/// The limits and periods of one connection.
///
/// Each has a default that suits the MultiWA protocol (`protocol.md`, Limits and Keep-alive). They bound the resources
/// that a peer can use, so that no single connection can use the memory of all others.
///
/// ```
/// use multiwa_ws_core::websocket::Config;
///
/// let config = Config::new().max_message_len(16 << 20).max_queued(16 << 20);
/// assert_ne!(config, Config::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) max_message_len: usize,
    pub(crate) max_frame_len: u64,
    pub(crate) max_fragments: u32,
    pub(crate) max_queued: usize,
    pub(crate) message_timeout: Option<Duration>,
    pub(crate) close_timeout: Duration,
    pub(crate) keep_alive: KeepAlive,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Compression,
}

impl Config {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_message_len: 1 << 20,
            max_frame_len: 64 << 20,
            max_fragments: 1 << 20,
            max_queued: 4 << 20,
            message_timeout: Some(Duration::from_secs(60)),
            close_timeout: Duration::from_secs(5),
            keep_alive: KeepAlive::new(),
            #[cfg(feature = "deflate")]
            compression: Compression::new(),
        }
    }

    /// The longest message to receive, in bytes, after decompression. A longer one is refused with close code 1009, if
    /// possible at the frame header that declares its length. Default 1 MiB: a hundred times the size of an event with a
    /// long text.
    #[must_use]
    pub const fn max_message_len(mut self, bytes: usize) -> Self {
        self.max_message_len = bytes;
        self
    }

    /// The longest frame to receive, in bytes of payload. A longer one is refused with close code 1009 at its header.
    /// This bounds the compressed size too. Default 64 MiB, so that only [`max_message_len`](Self::max_message_len) takes
    /// effect.
    #[must_use]
    pub const fn max_frame_len(mut self, bytes: u64) -> Self {
        self.max_frame_len = bytes;
        self
    }

    /// The largest number of frames in one message, empty frames included. One more is refused with close code 1008. Each
    /// frame costs the peer 2 to 6 bytes and costs us some work. Default 1,048,576: a message at the default limit may
    /// have one byte in each frame. The limits of bytes and of time bound the cost of other fragments; this limit bounds
    /// the work for empty ones. 0 counts as 1.
    #[must_use]
    pub const fn max_fragments(mut self, fragments: u32) -> Self {
        self.max_fragments = fragments;
        self
    }

    /// The largest number of bytes that wait to be sent. A message that would exceed it is refused as a whole; each frame
    /// counts with the longest header, 14 bytes. Close, automatic Pong and keep-alive Ping frames are exempt, since only
    /// a few of them are ever queued. Default 4 MiB: a few thousand events for a reader that stalls for a moment.
    #[must_use]
    pub const fn max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// How long one incoming message may take from its first byte to its last. Each 4 KiB that arrives adds one second,
    /// so that a large message on a slow line is allowed. A message that takes longer is refused with close code 1008.
    /// Without this limit, a peer could hold a partial message indefinitely while it keeps the connection alive. Default
    /// 60 s; `None` disables it.
    #[must_use]
    pub fn message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.message_timeout = timeout.into();
        self
    }

    /// How long the closing handshake may take after our Close frame was written. Then the connection is closed without
    /// the peer's answer. Default 5 s. The bytes queued before that frame are written first. Until then each write
    /// restarts the wait, unless the peer broke a rule.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// WebSocket pings of our own. Default [`KeepAlive::new`].
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Which messages are compressed when `permessage-deflate` was negotiated, and how. Default [`Compression::new`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The value of [`max_message_len`](Self::max_message_len).
    #[must_use]
    pub const fn get_max_message_len(&self) -> usize {
        self.max_message_len
    }

    /// The value of [`max_frame_len`](Self::max_frame_len).
    #[must_use]
    pub const fn get_max_frame_len(&self) -> u64 {
        self.max_frame_len
    }

    /// The value of [`max_fragments`](Self::max_fragments).
    #[must_use]
    pub const fn get_max_fragments(&self) -> u32 {
        self.max_fragments
    }

    /// The value of [`max_queued`](Self::max_queued).
    #[must_use]
    pub const fn get_max_queued(&self) -> usize {
        self.max_queued
    }

    /// The value of [`message_timeout`](Self::message_timeout).
    #[must_use]
    pub const fn get_message_timeout(&self) -> Option<Duration> {
        self.message_timeout
    }

    /// The value of [`close_timeout`](Self::close_timeout).
    #[must_use]
    pub const fn get_close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// The value of [`keep_alive`](Self::keep_alive).
    #[must_use]
    pub const fn get_keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// The value of [`compression`](Self::compression).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn get_compression(&self) -> Compression {
        self.compression
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// How messages are compressed on a connection that negotiated `permessage-deflate` (RFC 7692).
///
/// # Memory
/// Each direction allocates its codec with its first compressed message. From then on the codec holds the memory in this
/// table, in KiB. In addition, the sending direction holds up to 16 KiB for the compressed form of the next message, and
/// after a batch up to 256 KiB of its queue; the receiving direction holds the buffer of a message, at most
/// [`Config::max_message_len`].
///
/// | window agreed on | 9 bits | 12 bits | 15 bits |
/// | --- | --- | --- | --- |
/// | sending, with feature `std` | 148 | 162 | 274 |
/// | receiving, with feature `std` | 51 | 55 | 83 |
/// | sending, without it | 312 | 312 | 312 |
/// | receiving, without it | 11 | 15 | 43 |
///
/// [`WebSocket::release_memory`](super::WebSocket::release_memory) frees it, except for the window of a receiver that
/// keeps its context. A server can bound the memory of all its connections with smaller windows: see
/// [`DeflateConfig`](crate::handshake::DeflateConfig).
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    pub(crate) threshold: usize,
    pub(crate) level: u8,
}

#[cfg(feature = "deflate")]
impl Compression {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self { threshold: 64, level: DEFAULT_LEVEL }
    }

    /// Messages shorter than this many bytes are sent uncompressed, since they would hardly shrink. Default 64; 0
    /// compresses every message.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// The compression level, from 0 (none) and 1 (fastest) to 9 (smallest). Default 1: for event streams, level 6 costs
    /// several times as much and saves few bytes more. The context kept between messages saves most.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// The value of [`level`](Self::level).
    #[must_use]
    pub const fn get_level(&self) -> u8 {
        self.level
    }
}

#[cfg(feature = "deflate")]
impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}
