//! What a driver needs of every machine with a transport.

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::Client;
use multiwa_ws_core::server::Connection;
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_core::websocket::WebSocket;

use super::Broken;

/// The verbs that all machines share. What differs from machine to machine is how they take input.
pub trait Machine {
    /// The peer ended its side of the transport.
    fn handle_eof(&mut self, now: Instant);
    /// The transport failed.
    fn handle_reset(&mut self, now: Instant);
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant);
    /// When time is to pass at the latest.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Lends bytes to write.
    fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize;
    /// So many of them were written.
    fn transmitted(&mut self, now: Instant, len: usize);
    /// Whether the write side is to be shut down.
    fn poll_shutdown(&self) -> bool;
    /// It was.
    fn shutdown_done(&mut self);

    /// Lets the time `now` come. A deadline that has come is acted on, and another one lies ahead or none.
    ///
    /// # Errors
    /// The deadline is still there: a driver that sleeps to it would never sleep again.
    fn tick(&mut self, now: Instant) -> Result<bool, Broken> {
        let Some(due) = self.poll_timeout().filter(|due| *due <= now) else { return Ok(false) };
        self.handle_timeout(now);
        let after = self.poll_timeout();
        Broken::unless(after.is_none_or(|after| after > now), || {
            format!("handle_timeout({now:?}), due since {due:?}, is due again at {after:?}")
        })?;
        Ok(true)
    }
}

macro_rules! share_verbs {
    ($machine:ty, $handle_reset:expr) => {
        impl Machine for $machine {
            fn handle_eof(&mut self, now: Instant) {
                self.handle_eof(now);
            }

            fn handle_reset(&mut self, now: Instant) {
                let handle_reset: fn(&mut Self, Instant) = $handle_reset;
                handle_reset(self, now);
            }

            fn handle_timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }

            fn poll_timeout(&self) -> Option<Instant> {
                self.poll_timeout()
            }

            fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
                self.poll_transmit(slices)
            }

            fn transmitted(&mut self, now: Instant, len: usize) {
                self.transmitted(now, len);
            }

            fn poll_shutdown(&self) -> bool {
                self.poll_shutdown()
            }

            fn shutdown_done(&mut self) {
                self.shutdown_done();
            }
        }
    };
}

share_verbs!(WebSocket, Self::handle_lost);
share_verbs!(Connection, Self::handle_lost);
share_verbs!(Client, |client, now| client.handle_lost(now, DisconnectReason::Io));

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose deadline moves on by `step` when it has come.
    struct Clockwork {
        due: u64,
        step: u64,
    }

    impl Machine for Clockwork {
        fn handle_eof(&mut self, _now: Instant) {}
        fn handle_reset(&mut self, _now: Instant) {}
        fn handle_timeout(&mut self, _now: Instant) {
            self.due += self.step;
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(Instant::from_nanos(self.due))
        }
        fn poll_transmit<'q>(&'q self, _slices: &mut [&'q [u8]]) -> usize {
            0
        }
        fn transmitted(&mut self, _now: Instant, _len: usize) {}
        fn poll_shutdown(&self) -> bool {
            false
        }
        fn shutdown_done(&mut self) {}
    }

    #[test]
    fn a_deadline_that_stays_is_found() {
        let at = Instant::from_nanos;
        assert_eq!(Clockwork { due: 5, step: 1 }.tick(at(4)), Ok(false));
        assert_eq!(Clockwork { due: 5, step: 1 }.tick(at(5)), Ok(true));
        assert!(Clockwork { due: 5, step: 0 }.tick(at(5)).is_err());
        assert!(Clockwork { due: 5, step: 1 }.tick(at(6)).is_err());
    }
}
