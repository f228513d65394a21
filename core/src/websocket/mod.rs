//! Layer 2: a WebSocket connection after the upgrade (RFC 6455 sections 5 to 7), either role.
//!
//! [`WebSocket`] is the whole connection. It takes bytes and times, and returns events, bytes to write and deadlines.

mod binary_buffer;
#[cfg(feature = "deflate")]
mod compression;
#[cfg(not(feature = "deflate"))]
#[path = "no_compression.rs"]
mod compression;
mod config;
mod control;
mod decoded;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod event;
mod incoming;
mod lifecycle;
mod negotiated;
mod outgoing;
mod partial;
mod queue;
mod room;
mod sender;
mod shared;
mod state;
mod unsent;

#[cfg(feature = "deflate")]
pub use config::Compression;
pub use config::{Config, Role};
#[cfg(feature = "session")]
pub(crate) use decoded::Decoded;
pub use decoded::MessageBuffer;
pub use error::{ProtocolError, SendError};
pub use event::{Cause, Closed, Event};
pub(crate) use incoming::Incoming;
#[cfg(feature = "deflate")]
pub use negotiated::DeflateParameters;
pub use negotiated::Negotiated;
pub(crate) use outgoing::Outgoing;
pub use room::Room;
pub use sender::{Message, Received, Sender};
pub use shared::{MessageKind, SharedMessage};
#[cfg(test)]
#[cfg(all(feature = "server", feature = "session"))]
pub(crate) use state::Input;
pub use state::State;
pub use unsent::Unsent;

use alloc::vec::Vec;

use crate::Instant;
use crate::frame::CloseCode;

/// A WebSocket connection after the upgrade, as a state machine without I/O.
///
/// Its methods are of four kinds:
///
/// - Getters: [`state`](Self::state), [`is_open`](Self::is_open), [`queued`](Self::queued).
/// - Input: [`handle_input`](Self::handle_input) with bytes from the transport, or
///   [`handle_traffic`](Self::handle_traffic) when the caller processes them later, [`room`](Self::room) to read the rest
///   of a large binary message to its place, [`handle_eof`](Self::handle_eof) at the end of the stream,
///   [`handle_lost`](Self::handle_lost) when the transport fails, [`handle_timeout`](Self::handle_timeout) when a deadline
///   has passed, [`reading_paused`](Self::reading_paused) and [`reading_resumed`](Self::reading_resumed).
/// - Commands: the methods of [`Sender`]. [`sender`](Self::sender) returns one, and each event comes with one. The most
///   common commands are also methods of `WebSocket`.
/// - Output: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted), [`frame`](Self::frame) for a
///   message that is written at once, [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_event`](Self::poll_event) and [`poll_timeout`](Self::poll_timeout).
///
/// After any input or command, write the bytes that `poll_transmit` lends, shut down the write side if `poll_shutdown`
/// returns `true`, call `poll_event` until it returns `None`, and sleep until more bytes arrive or `poll_timeout` is due.
/// Any order of calls is allowed: a missing call stalls the connection but loses no data.
///
/// ```
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::websocket::{Config, Event, Negotiated, Role, WebSocket};
///
/// let now = Instant::default();
/// let seed = [0; 32]; // in production: from the operating system
/// let mut client = WebSocket::new(now, Role::Client, &Config::default(), &Negotiated::default(), seed);
/// let mut server = WebSocket::new(now, Role::Server, &Config::default(), &Negotiated::default(), seed);
///
/// client.send_text("hello")?;
/// let mut lent = [&[][..]; 4];
/// let filled = client.poll_transmit(&mut lent);
/// let mut wire = lent[..filled].concat();
/// client.transmitted(now, wire.len());
///
/// let mut input = &mut wire[..];
/// let mut received = server.handle_input(now, &mut input)?.expect("a whole message");
/// assert_eq!(received.event, Event::Text("hello"));
/// received.sender.send_text("hello yourself")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    recv: Incoming,
    out: Outgoing,
}

impl WebSocket {
    /// Creates a connection after an upgrade that agreed on `negotiated`.
    ///
    /// `seed` must be unpredictable for the peer: a client derives its masking keys from it (RFC 6455 section 10.3).
    #[must_use]
    pub fn new(now: Instant, role: Role, config: &Config, negotiated: &Negotiated, seed: [u8; 32]) -> Self {
        Self { recv: Incoming::new(role, config, negotiated), out: Outgoing::new(now, role, config, negotiated, seed) }
    }

    /// The current state of the connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.out.state()
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.out.is_open()
    }

    /// The commands of the connection.
    pub fn sender(&mut self) -> Sender<'_> {
        Sender::new(&mut self.out)
    }

    /// The number of bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.queued()
    }

    /// Both sides, for a layer that inspects a decoded event and continues to read.
    #[cfg(feature = "session")]
    pub(crate) fn sides(&mut self) -> (&mut Incoming, &mut Outgoing) {
        (&mut self.recv, &mut self.out)
    }

    /// Reads bytes of the peer from the front of `input` up to the next event, and advances `input` past them.
    ///
    /// Call it until it returns `None`: then all of `input` has been read. A message that lies whole in `input` is
    /// unmasked in place and lent from there; the connection buffers an incomplete one. After the peer's Close frame all
    /// bytes are ignored.
    ///
    /// # Errors
    /// The rule that the peer broke. All further input returns the same error. The Close frame is queued: continue to
    /// call the output methods until [`Event::Closed`].
    #[inline]
    pub fn handle_input<'e, 'x: 'e>(
        &'e mut self,
        now: Instant,
        input: &mut &'x mut [u8],
    ) -> Result<Option<Received<'e>>, ProtocolError> {
        let decoded = self.recv.advance(now, input, &mut self.out)?;
        Ok(decoded.map(|decoded| Received { event: self.recv.lend(decoded), sender: Sender::new(&mut self.out) }))
    }

    /// Like [`handle_input`](Self::handle_input), for a caller that must be able to use the connection while an event is
    /// lent, such as a caller that shares it with another task under a lock. A message that does not lie whole in `input`
    /// is lent from `buffer`. Pass the same buffer to each call, so that its memory is reused.
    ///
    /// # Errors
    /// Those of [`handle_input`](Self::handle_input).
    #[inline]
    pub fn handle_input_apart<'e, 'x: 'e>(
        &mut self,
        now: Instant,
        input: &mut &'x mut [u8],
        buffer: &'e mut MessageBuffer,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        self.recv.take_back(buffer);
        let decoded = self.recv.advance(now, input, &mut self.out)?;
        Ok(decoded.map(|decoded| self.recv.lend_apart(decoded, buffer)))
    }

    /// The place of the next bytes that arrive, if they belong to an uncompressed binary message that is under way. A caller
    /// that reads there, and not into a buffer of its own, saves a copy. Call it when all input was processed.
    ///
    /// It never lends more than the rest of a frame, and no more memory than the message would have anyway. Text is not
    /// read in this way: it is checked and copied in one pass, block by block.
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// use multiwa_ws_core::Instant;
    /// use multiwa_ws_core::websocket::WebSocket;
    ///
    /// /// Reads once and returns how many bytes of `buffer` are to be passed to `handle_input`, which returns a complete
    /// /// message also without input. `None` is the end of the stream.
    /// fn read(
    ///     stream: &mut impl Read,
    ///     socket: &mut WebSocket,
    ///     now: impl Fn() -> Instant,
    ///     buffer: &mut [u8],
    /// ) -> std::io::Result<Option<usize>> {
    ///     // A short rest is read together with what follows it.
    ///     if let Some(mut room) = socket.room().filter(|room| room.size() >= 16 << 10) {
    ///         let len = stream.read(room.buffer())?;
    ///         room.filled(now(), len);
    ///         return Ok(if len > 0 { Some(0) } else { None });
    ///     }
    ///     let len = stream.read(buffer)?;
    ///     Ok(if len > 0 { Some(len) } else { None })
    /// }
    /// ```
    pub fn room(&mut self) -> Option<Room<'_>> {
        Room::new(&mut self.recv, &mut self.out)
    }

    /// The peer ended its side of the transport: no more bytes will arrive.
    pub fn handle_eof(&mut self, now: Instant) {
        self.out.handle_eof(now);
    }

    /// The transport failed: nothing more can be read or written.
    pub fn handle_lost(&mut self, now: Instant) {
        self.out.handle_lost(now);
    }

    /// Bytes arrived that the caller will pass to [`handle_input`](Self::handle_input) later. The peer counts as alive,
    /// and the time limit of the message under way starts again.
    pub fn handle_traffic(&mut self, now: Instant) {
        self.recv.handle_traffic(now);
        self.out.handle_traffic(now);
    }

    /// Acts on every deadline that has passed at `now`. Does nothing when none has.
    ///
    /// Process the input that has arrived first: read until there is none, then call this method.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.recv.handle_timeout(now, &mut self.out);
    }

    /// The caller stops reading. Until [`reading_resumed`](Self::reading_resumed), a silent peer does not time out.
    pub fn reading_paused(&mut self, now: Instant) {
        self.out.reading_paused(now);
    }

    /// The caller reads again. The waits for the peer continue with the time that was left.
    pub fn reading_resumed(&mut self, now: Instant) {
        self.recv.reading_resumed(now, &mut self.out);
    }

    /// Sends a text message: see [`Sender::send_text`].
    ///
    /// # Errors
    /// Those of [`Sender::send_text`].
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.sender().send_text(text)
    }

    /// Sends a binary message: see [`Sender::send_binary`].
    ///
    /// # Errors
    /// Those of [`Sender::send_binary`].
    #[inline]
    pub fn send_binary(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender().send_binary(payload)
    }

    /// Starts the closing handshake: see [`Sender::close`].
    ///
    /// # Errors
    /// Those of [`Sender::close`].
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender().close(now, code, reason)
    }

    /// Ends the connection without a closing handshake: see [`Sender::abort`].
    pub fn abort(&mut self, now: Instant) {
        self.sender().abort(now);
    }

    /// Queues bytes that must be sent before any frame: the rest of the 101 response that opened the connection, from
    /// [`Accepted::unsent`](crate::handshake::Accepted::unsent). Call it before any command.
    pub fn queue_raw(&mut self, bytes: Vec<u8>) {
        self.out.queue_raw(bytes);
    }

    /// Frames a message that the caller writes at once. The bytes that the transport does not accept are queued when the
    /// returned value is dropped. A message that cannot be written at once is queued: while other bytes wait, and on a
    /// connection that compresses.
    ///
    /// This is faster than to queue the message first, and the connection keeps no memory for it.
    ///
    /// # Errors
    /// Those of [`Sender::send_text`].
    #[inline]
    pub fn frame<'m>(&mut self, message: Message<'m>) -> Result<Unsent<'_, 'm>, SendError> {
        Unsent::new(&mut self.out, message)
    }

    /// Lends bytes to write, in up to `slices.len()` slices for one vectored write, and returns how many it filled.
    ///
    /// The bytes stay queued until [`transmitted`](Self::transmitted) confirms them, so a failed, partial or canceled
    /// write loses no bytes.
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        self.out.poll_transmit(slices)
    }

    /// The transport accepted the first `len` of the bytes that [`poll_transmit`](Self::poll_transmit) lent.
    ///
    /// The waits for the peer's Pong and for the peer's Close frame start with this call.
    pub fn transmitted(&mut self, now: Instant, len: usize) {
        self.out.transmitted(now, len);
    }

    /// Like [`transmitted`](Self::transmitted), for a caller that writes often and for whom reading the clock takes as long
    /// as the rest. Returns `false`, and does nothing, if the time matters: then call `transmitted`.
    ///
    /// It does not matter if `len` is all that was queued, the connection is open, no Pong or keep-alive Ping was in the
    /// queue, no bytes had to wait for the transport lately, and at most 4 KiB are confirmed without a time. These bytes
    /// count as written at the next known time. So the wait for a Pong is at most a second longer.
    #[must_use = "if the time matters, nothing was confirmed"]
    pub fn try_transmitted(&mut self, len: usize) -> bool {
        self.out.try_transmitted(len)
    }

    /// Whether the caller must shut down the write side of the transport now (a TCP FIN, a TLS `close_notify`). The
    /// caller continues to read until the end of the stream.
    #[must_use = "shut the write side down, then call `shutdown_done`"]
    pub fn poll_shutdown(&self) -> bool {
        self.out.poll_shutdown()
    }

    /// The write side of the transport was shut down.
    pub fn shutdown_done(&mut self) {
        self.out.shutdown_done();
    }

    /// The next event that needs no input: [`Event::Closed`], exactly once.
    #[must_use = "the end of the connection is reported here and nowhere else"]
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.recv.give_back();
        self.out.poll_event()
    }

    /// Frees the memory of the compression and of the buffers, for a connection that is expected to be idle. It keeps a
    /// message under way and the context that later messages of the peer may refer to. The next message to send allocates
    /// its compression again. It starts without context, so it compresses less well.
    ///
    /// Without this call, the queue frees its memory when it runs empty after less than 1 KiB, and whenever a keep-alive
    /// ping is due.
    pub fn release_memory(&mut self) {
        self.recv.release_memory();
        self.out.release_memory();
    }

    /// The latest time to call [`handle_timeout`](Self::handle_timeout); `None` while no deadline is set.
    #[must_use = "without a timer a silent peer is never noticed"]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.recv.poll_timeout(&self.out)
    }
}
