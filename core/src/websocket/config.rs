//! What a connection is told at its start, with the limits it keeps.

use core::time::Duration;

use super::deflate::DEFAULT_LEVEL;
use crate::KeepAlive;

/// The side of a connection (RFC 6455 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the upgrade request, and masks its frames.
    Client,
    /// Answers it, and does not.
    Server,
}

/// The limits and periods of one connection.
///
/// Each has a default that suits the MultiWA protocol (`protocol.md`, Limits and Keep-alive). None is without bound: a
/// bound on what a peer can make us hold is what keeps one connection from taking the memory of all.
///
/// ```
/// use multiwa_ws_core::websocket::Config;
///
/// let config = Config { max_message_len: 16 << 20, ..Config::default() };
/// assert_eq!(config.max_fragments, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest message to receive, in bytes, after decompression: a longer one is refused with 1009, at the header
    /// that announces it. Default 1 MiB: a hundred times what an event with a long text needs.
    pub max_message_len: usize,
    /// The longest frame to receive, in bytes of payload: a longer one is refused with 1009 at its header. Bounds the
    /// compressed size too. Default 64 MiB, so that [`max_message_len`](Self::max_message_len) alone decides.
    pub max_frame_len: u64,
    /// The most frames one message may come in, empty ones included: one more is refused with 1008. Each costs a peer 2 to
    /// 6 bytes and us some work. Default 1,048,576: a message at the default limit may come byte by byte. The limits of
    /// bytes and of time bound what other fragments cost; this one bounds the work for empty ones. 0 is taken as 1.
    pub max_fragments: u32,
    /// The most bytes to hold for sending. A send that would pass it is refused whole, each frame counted with the longest
    /// header of 14 bytes; Close, Pong and keep-alive pings always fit, since only a few of them are ever queued. Default
    /// 4 MiB: some thousand events for a reader that stalls for a moment.
    pub max_queued: usize,
    /// How long one incoming message may take from its first byte to its last, and a second more for each 4 KiB that
    /// arrived, so that a large message on a slow line is no offense; then it is refused with 1008. Keeps a peer from holding a
    /// partial message indefinitely by keeping the line alive. Default 60 s; `None` switches it off.
    pub message_timeout: Option<Duration>,
    /// How long the closing handshake may take once our Close frame was written. Then the connection is closed as it is.
    /// Default 5 s. What was queued before that frame must leave first: while it does, each write restarts the wait, unless
    /// the peer broke a rule.
    pub close_timeout: Duration,
    /// WebSocket pings of our own.
    pub keep_alive: KeepAlive,
    /// What is compressed, once `permessage-deflate` was negotiated.
    pub compression: Compression,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_len: 1 << 20,
            max_frame_len: 64 << 20,
            max_fragments: 1 << 20,
            max_queued: 4 << 20,
            message_timeout: Some(Duration::from_secs(60)),
            close_timeout: Duration::from_secs(5),
            keep_alive: KeepAlive::default(),
            compression: Compression::default(),
        }
    }
}

/// How messages are compressed on a connection that negotiated `permessage-deflate` (RFC 7692).
///
/// # Memory
/// Each direction allocates with its first compressed message. From then on its codec holds this much, in KiB, whatever is
/// sent. Beside it the sending one holds up to 16 KiB for the compressed form of the next message, and after a batch up to
/// 256 KiB of its queue; the receiving one holds the buffer of a message, at most [`Config::max_message_len`].
///
/// | window agreed on | 9 bits | 12 bits | 15 bits |
/// | --- | --- | --- | --- |
/// | sending, with feature `std` | 148 | 162 | 274 |
/// | receiving, with feature `std` | 51 | 55 | 83 |
/// | sending, without it | 312 | 312 | 312 |
/// | receiving, without it | 11 | 15 | 43 |
///
/// [`WebSocket::release_memory`](super::WebSocket::release_memory) gives it back, but for the window of a receiver that
/// keeps its context. A server bounds the memory of all its connections by smaller windows: see
/// [`DeflateConfig`](crate::handshake::DeflateConfig).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Messages below this many bytes go as they are: they would hardly shrink. Default 64; 0 compresses every message.
    pub threshold: usize,
    /// Effort, from 0 (none) and 1 (fastest) to 9 (smallest). Default 1: for event streams 6 costs several times as much
    /// for a few per cent, while the context kept between messages saves most.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Self {
        Self { threshold: 64, level: DEFAULT_LEVEL }
    }
}
