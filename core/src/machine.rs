//! The methods that every state machine with a transport has.

use crate::Instant;
#[cfg(feature = "session")]
use crate::client::Client;
use crate::handshake::{Answer, ClientHandshake, ResponseError};
#[cfg(feature = "server")]
use crate::handshake::{RequestError, ServerHandshake};
#[cfg(all(feature = "server", feature = "session"))]
use crate::server::Connection;
#[cfg(feature = "session")]
use crate::session::DisconnectReason;
use crate::websocket::WebSocket;

/// What a driver calls on a state machine with a transport: a handshake, a WebSocket, a client, or a server's connection.
///
/// The machines have methods of the same names, with their documentation. `handle_input` and `poll_event` are not among
/// them: what they return differs from layer to layer.
///
/// ```
/// use multiwa_ws_core::{Instant, StateMachine};
///
/// /// Writes what `machine` has to send, and returns when it must be called again.
/// fn write(machine: &mut impl StateMachine, now: Instant, wire: &mut Vec<u8>) -> Option<Instant> {
///     loop {
///         let mut slices = [&[][..]; 4];
///         let filled = machine.poll_transmit(&mut slices);
///         let bytes = slices[..filled].concat();
///         if bytes.is_empty() {
///             return machine.poll_timeout();
///         }
///         wire.extend_from_slice(&bytes);
///         machine.transmitted(now, bytes.len());
///     }
/// }
/// ```
pub trait StateMachine {
    /// What the end of the transport and a deadline return: the result of a handshake; nothing for a connection, whose
    /// `poll_event` reports it.
    type Outcome;

    /// Lends bytes to write, in order, and returns how many slices it filled.
    fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize;

    /// The first `len` bytes that [`poll_transmit`](Self::poll_transmit) lent were written.
    fn transmitted(&mut self, now: Instant, len: usize);

    /// Confirms `len` bytes, as [`transmitted`](Self::transmitted) does, but without the time. Returns `false`, and does
    /// nothing, if the time matters, if more bytes wait, or if the machine does not have this method.
    fn try_transmitted(&mut self, _len: usize) -> bool {
        false
    }

    /// Whether the write side of the transport is to be shut down now.
    fn poll_shutdown(&self) -> bool;

    /// The write side was shut down.
    fn shutdown_done(&mut self);

    /// The peer ended its side of the transport.
    fn handle_eof(&mut self, now: Instant) -> Self::Outcome;

    /// The transport failed. A handshake then has no result: drop it and the transport.
    fn handle_lost(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Acts on every deadline that has come by `now`.
    fn handle_timeout(&mut self, now: Instant) -> Self::Outcome;
}

/// Implements [`StateMachine`] by the methods of the same names; `$handle_lost` and `$try_transmitted` are written out.
macro_rules! state_machine {
    ($machine:ty, $outcome:ty, $handle_lost:expr, $try_transmitted:expr) => {
        impl StateMachine for $machine {
            type Outcome = $outcome;

            fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
                self.poll_transmit(slices)
            }

            fn transmitted(&mut self, now: Instant, len: usize) {
                self.transmitted(now, len);
            }

            fn try_transmitted(&mut self, len: usize) -> bool {
                let try_transmitted: fn(&mut Self, usize) -> bool = $try_transmitted;
                try_transmitted(self, len)
            }

            fn poll_shutdown(&self) -> bool {
                self.poll_shutdown()
            }

            fn shutdown_done(&mut self) {
                self.shutdown_done();
            }

            fn handle_eof(&mut self, now: Instant) -> $outcome {
                self.handle_eof(now)
            }

            fn handle_lost(&mut self, now: Instant) {
                let handle_lost: fn(&mut Self, Instant) = $handle_lost;
                handle_lost(self, now);
            }

            fn poll_timeout(&self) -> Option<Instant> {
                self.poll_timeout()
            }

            fn handle_timeout(&mut self, now: Instant) -> $outcome {
                self.handle_timeout(now)
            }
        }
    };
}

state_machine!(WebSocket, (), Self::handle_lost, Self::try_transmitted);
#[cfg(all(feature = "server", feature = "session"))]
state_machine!(Connection, (), Self::handle_lost, Self::try_transmitted);
#[cfg(feature = "session")]
state_machine!(Client, (), |client, now| client.handle_lost(now, DisconnectReason::Io), |_, _| false);
#[cfg(feature = "server")]
state_machine!(ServerHandshake, Result<(), RequestError>, |_, _| {}, |_, _| false);

impl StateMachine for ClientHandshake {
    type Outcome = Result<Option<Answer>, ResponseError>;

    fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        self.poll_transmit(slices)
    }

    fn transmitted(&mut self, now: Instant, len: usize) {
        self.transmitted(now, len);
    }

    fn poll_shutdown(&self) -> bool {
        false
    }

    fn shutdown_done(&mut self) {}

    fn handle_eof(&mut self, now: Instant) -> Self::Outcome {
        self.handle_eof(now)
    }

    fn handle_lost(&mut self, _: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) -> Self::Outcome {
        self.handle_timeout(now)
    }
}
