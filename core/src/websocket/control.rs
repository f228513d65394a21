//! Pongs and keep-alive Pings on their way to the peer: how many wait, and which answers are outstanding.

use alloc::vec::Vec;
use core::time::Duration;

use crate::Instant;

/// The largest number of queued Pongs. When they are written, only the latest of the remaining Pings is answered, as RFC
/// 6455 section 5.5.3 allows. So a flood of Pings cannot grow the queue.
const MAX_PONGS: usize = 64;

/// The control frames that [`Outgoing`](super::Outgoing) queues without a command. It does not hold the frames that are
/// queued already.
#[derive(Default)]
pub(super) struct ControlFrames {
    /// The number of Pongs queued since all earlier Pongs were written.
    pongs: usize,
    /// The number of bytes to write until the last of these Pongs is written.
    pong_backlog: usize,
    /// The payload of the Pong for the latest Ping, held back while [`MAX_PONGS`] are queued.
    held_pong: Option<Vec<u8>>,
    /// The number of keep-alive Pings so far. It is the payload of the latest.
    pings: u32,
    /// The number of bytes to write until the latest keep-alive Ping is written.
    ping_backlog: usize,
    /// When our latest keep-alive Ping was written; `None` after its answer.
    pinged_at: Option<Instant>,
    round_trip: Option<Duration>,
}

impl ControlFrames {
    /// The time between the latest answered keep-alive Ping and its Pong.
    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The number of Pongs queued since all earlier Pongs were written.
    pub(super) const fn pongs(&self) -> usize {
        self.pongs
    }

    /// Whether a Pong or a keep-alive Ping is queued.
    pub(super) const fn is_queued(&self) -> bool {
        self.pongs > 0 || self.ping_backlog > 0
    }

    /// Whether the Pong for a Ping with this payload may be queued now. If not, it is held back, and replaces the one
    /// that was held back before.
    pub(super) fn admit_pong(&mut self, payload: &[u8]) -> bool {
        let admitted = self.pongs < MAX_PONGS;
        if !admitted {
            self.held_pong = Some(payload.into());
        }
        admitted
    }

    /// A Pong was queued, and `queued` bytes wait.
    pub(super) fn pong_queued(&mut self, queued: usize) {
        self.pongs += 1;
        self.pong_backlog = queued;
    }

    /// The Pong that was held back, to be queued.
    pub(super) fn take_held_pong(&mut self) -> Option<Vec<u8>> {
        self.held_pong.take()
    }

    /// The payload of the next keep-alive Ping. While the previous Ping is not yet written, another one would have no
    /// effect.
    pub(super) fn next_ping(&mut self) -> Option<[u8; 4]> {
        if self.ping_backlog > 0 {
            return None;
        }
        self.pings = self.pings.wrapping_add(1);
        self.pinged_at = None;
        Some(self.pings.to_be_bytes())
    }

    /// A keep-alive Ping was queued, and `queued` bytes wait.
    pub(super) fn ping_queued(&mut self, queued: usize) {
        self.ping_backlog = queued;
    }

    /// `len` bytes were written. Returns whether a keep-alive Ping was written with them.
    pub(super) fn ping_written(&mut self, now: Instant, len: usize) -> bool {
        if self.ping_backlog == 0 {
            return false;
        }
        self.ping_backlog = self.ping_backlog.saturating_sub(len);
        if self.ping_backlog > 0 {
            return false;
        }
        self.pinged_at = Some(now);
        true
    }

    /// `len` bytes were written. Returns the Pong that was held back, if all earlier Pongs were written with them.
    pub(super) fn pongs_written(&mut self, len: usize) -> Option<Vec<u8>> {
        self.pong_backlog = self.pong_backlog.saturating_sub(len);
        if self.pong_backlog > 0 {
            return None;
        }
        self.pongs = 0;
        self.held_pong.take()
    }

    pub(super) fn pong_received(&mut self, now: Instant, payload: &[u8]) {
        if payload == self.pings.to_be_bytes()
            && let Some(pinged_at) = self.pinged_at.take()
        {
            self.round_trip = Some(now.saturating_duration_since(pinged_at));
        }
    }
}
