//! How to drive the state machines: the contract, the loop of a driver, memory and limits.
//!
//! A state machine takes bytes and times, and returns bytes, events and deadlines. The program around it that reads,
//! writes and sleeps is its *driver*. This module explains how to write one. It has no items.
//!
//! # The loop of a driver
//! This function echoes text over a connection whose upgrade is done. It needs one thread and a blocking socket. Every
//! driver does these four steps in this order.
//! ```no_run
//! use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
//! use std::io::{IoSlice, Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::time::Duration;
//!
//! use multiwa_ws_core::Instant;
//! use multiwa_ws_core::websocket::{Event, WebSocket};
//!
//! fn echo(stream: &mut TcpStream, socket: &mut WebSocket, now: impl Fn() -> Instant) -> std::io::Result<()> {
//!     let mut buffer = vec![0; 16 << 10];
//!     loop {
//!         // 1. Write until nothing is left, and confirm what was written.
//!         loop {
//!             let mut slices = [&[][..]; 8];
//!             let filled = socket.poll_transmit(&mut slices);
//!             if filled == 0 {
//!                 break;
//!             }
//!             match stream.write_vectored(&slices.map(IoSlice::new)[..filled]) {
//!                 Ok(written) => socket.transmitted(now(), written),
//!                 Err(error) if error.kind() == Interrupted => {}
//!                 Err(_) => socket.handle_lost(now()),
//!             }
//!         }
//!         if socket.poll_shutdown() {
//!             let _ = stream.shutdown(Shutdown::Write); // fails if the peer has disconnected: nothing to do
//!             socket.shutdown_done();
//!         }
//!
//!         // 2. Take the events that need no input.
//!         if let Some(Event::Closed(closed)) = socket.poll_event() {
//!             println!("closed: {closed:?}");
//!             return Ok(());
//!         }
//!
//!         // 3. Wait for input until the next deadline, and process all of it.
//!         let due = socket.poll_timeout();
//!         let wait = due.map(|due| due.saturating_duration_since(now()).max(Duration::from_millis(1)));
//!         stream.set_read_timeout(wait)?; // zero would be an error
//!         match stream.read(&mut buffer) {
//!             Ok(0) => socket.handle_eof(now()),
//!             Ok(len) => {
//!                 let mut input = &mut buffer[..len];
//!                 // An error is a rule that the peer broke. `Closed` reports it after the Close frame is written.
//!                 while let Ok(Some(mut received)) = socket.handle_input(now(), &mut input) {
//!                     if let Event::Text(text) = received.event {
//!                         let _ = received.sender.send_text(text); // refused while the connection closes
//!                     }
//!                 }
//!             }
//!             Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => {}
//!             Err(_) => socket.handle_lost(now()),
//!         }
//!
//!         // 4. Act on the deadlines that have passed.
//!         socket.handle_timeout(now());
//!     }
//! }
//! ```
//! Why in this order:
//! - **Write first.** Each call can queue bytes: a command, an answer to a ping, a Close frame. A deadline for an
//!   answer of the peer starts when `transmitted` confirms the bytes that ask for it, so confirm each write at once.
//! - **Take events before input.** A machine that has an event to return takes no input, so that events keep their
//!   order.
//! - **Read before deadlines.** A peer that has answered in time is not given up because its answer was still unread.
//! - **Read the clock before each call.** A read or a write can take long. With the time from before it, deadlines
//!   would begin too early.
//! - **Sleep until `poll_timeout` at the latest.** Ask for it after the other steps, because each of them can move it.
//!
//! A [`Client`](crate::client::Client) has one more step before the first: `poll_action` says when to open and to drop
//! a transport. `core/examples/own_transport.rs` in the repository is such a driver. An asynchronous driver does the
//! same steps each time its task is woken, and a command must wake the task.
//!
//! # The contract
//! A machine *lends* an event or bytes: the value borrows from the caller's buffer or from the machine until it is
//! dropped.
//!
//! - **Input.** `handle_input(now, &mut input)` takes bytes from the front of the caller's buffer and moves `input`
//!   past them. It returns at most one event, so call it until it returns none. A message that lies whole in the buffer
//!   is unmasked there and lent.
//! - **One order.** `handle_input` and `poll_event` return the events of one sequence, in the order of the wire.
//! - **Output.** `poll_transmit(&mut slices)` lends the bytes to write. `transmitted(now, n)` confirms the first `n` of
//!   them. A write may be partial, may fail, or may be canceled: the bytes stay queued until they are confirmed.
//! - **Shutdown.** When `poll_shutdown()` returns `true`, shut the write side of the transport down and call
//!   `shutdown_done()`.
//! - **Time.** `now` is the time of any monotonic clock, in nanoseconds. A call of `handle_timeout` before a deadline
//!   does nothing.
//! - **End of the transport.** Call `handle_eof(now)` when the peer ended it, and `handle_lost` when it failed. The
//!   last event is `Closed` (`Ended` for a server's connection). It comes exactly once. Then drop the transport.
//! - **Commands** take effect before they return. A command that returns an error has changed nothing.
//! - **Randomness** comes from the seed: 32 bytes of the operating system's generator. The same seed and the same calls
//!   give the same bytes.
//! - **Any order of calls is allowed.** A driver that forgets a step stalls its connection. It loses no data, and no
//!   call panics.
//!
//! [`StateMachine`](crate::StateMachine) is the trait of the methods that every machine with a transport has.
//!
//! # Memory
//! - A message that lies whole in the caller's buffer takes no memory of the connection. A message that arrives in
//!   pieces is collected in one buffer. This buffer grows with the bytes that have arrived, not with the length that a
//!   header announces. It is kept for the next message of the same kind and about the same size. Any other
//!   frame frees it, and so does a due keep-alive ping. The rest of a large binary message can be read straight into that
//!   buffer: see [`WebSocket::room`].
//! - The outgoing queue keeps its memory for the next batch, 256 KiB at most. A short batch or a due ping frees it.
//! - The codecs of compression are allocated with the first compressed message. [`Compression`] has their sizes.
//! - [`WebSocket::release_memory`] frees all of it between two messages.
//!
//! # Limits
//! Everything that a peer can make a connection hold has a limit with a default. Each limit is documented where it is
//! set: [`websocket::Config`] (message, frame, fragments, queue, times), [`HandshakeLimits`] (head, body, headers,
//! time), [`ClientConfig`] (requests, subscriptions, redirects, depth of JSON, times) and [`ServerConfig`] (subscriptions, replies,
//! rates).
//!
//! [`Compression`]: crate::websocket::Compression
//! [`WebSocket::room`]: crate::websocket::WebSocket::room
//! [`WebSocket::release_memory`]: crate::websocket::WebSocket::release_memory
//! [`websocket::Config`]: crate::websocket::Config
//! [`HandshakeLimits`]: crate::handshake::HandshakeLimits
//! [`ClientConfig`]: crate::session::ClientConfig
//! [`ServerConfig`]: crate::session::ServerConfig
