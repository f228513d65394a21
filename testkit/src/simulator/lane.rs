//! One direction of a transport.

use multiwa_ws_core::{Instant, StateMachine};

use crate::link::{Arrival, FailureKind, Faults, Link};

/// A [`Link`] with the bytes that wait at its far end, and a record of all bytes that passed.
///
/// - The writing state machine: [`write`](Self::write), [`shut_down`](Self::shut_down).
/// - The reading state machine: [`arrive`](Self::arrive), then [`next_chunk`](Self::next_chunk) and
///   [`put_back`](Self::put_back); [`hang_up`](Self::hang_up) when it stops reading. While its process is stopped, the
///   operating system takes the bytes that arrive: [`arrive_unread`](Self::arrive_unread).
/// - Faults: [`cut`](Self::cut), and their end: [`heal`](Self::heal).
#[derive(Debug)]
pub struct Lane {
    link: Link,
    inbox: Vec<u8>,
    end: Option<Chunk>,
    written: Vec<u8>,
    read: Vec<u8>,
    hung_up: bool,
}

/// The bytes that the operating system holds for a state machine whose process is stopped.
const RECEIVE_BUFFER: usize = 256 << 10;

/// The next input of the reading state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes, at least one.
    Bytes(Vec<u8>),
    /// The end of the stream.
    Eof,
    /// The transport failed.
    Reset,
}

impl Lane {
    /// A lane that takes the randomness of its faults from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            link: Link::new(seed, faults),
            inbox: Vec::new(),
            end: None,
            written: Vec::new(),
            read: Vec::new(),
            hung_up: false,
        }
    }

    /// Everything that was written, in order.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// Everything that the reading state machine took, in order.
    #[must_use]
    pub fn read(&self) -> &[u8] {
        &self.read
    }

    /// Whether bytes were damaged or withheld on the way.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.link.corrupted() > 0 || self.link.has_failed()
    }

    /// Whether bytes were damaged on the way.
    #[must_use]
    pub fn is_corrupted(&self) -> bool {
        self.link.corrupted() > 0
    }

    /// The number of bytes that were written and not yet taken by the reading state machine.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.link.in_flight() + self.inbox.len()
    }

    /// Lets `machine` write at most `budget` bytes, in one write of at most `slices` slices. Returns the number of
    /// bytes.
    pub fn write(&mut self, now: u64, machine: &mut impl StateMachine, slices: usize, budget: usize) -> usize {
        let mut lent = vec![&[][..]; slices];
        let filled = machine.poll_transmit(&mut lent);
        let mut taken = 0;
        for slice in lent.iter().take(filled) {
            let desired = slice.len().min(budget - taken);
            let slice = slice.get(..desired).unwrap_or_default();
            // A failed link does not report that the reader has closed.
            let accepted = if self.hung_up && !self.link.has_failed() { desired } else { self.link.send(now, slice) };
            self.written.extend_from_slice(slice.get(..accepted).unwrap_or_default());
            taken += accepted;
            if accepted < slice.len() || taken == budget {
                break;
            }
        }
        machine.transmitted(instant(now), taken);
        taken
    }

    /// The writing state machine shuts down its side, or has closed.
    pub fn shut_down(&mut self, now: u64) {
        self.link.shut_down(now);
    }

    /// The reading state machine has closed. Later bytes are dropped.
    pub fn hang_up(&mut self) {
        self.hung_up = true;
        self.inbox.clear();
    }

    /// Fails the link now, as `kind` says. Bytes that are on their way still arrive.
    pub fn cut(&mut self, now: u64, kind: FailureKind) {
        self.link.cut(now, kind);
    }

    /// Applies no more faults to later bytes, unless the link has failed.
    pub fn heal(&mut self) {
        self.link.heal();
    }

    /// When [`arrive`](Self::arrive) will next find something, if the state machine reads.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.link.next_due().filter(|_| !self.hung_up)
    }

    /// Takes one piece off the link. Returns whether there was one.
    pub fn arrive(&mut self, now: u64) -> bool {
        if self.hung_up {
            return false;
        }
        let Some(arrival) = self.link.receive(now) else { return false };
        match arrival {
            Arrival::Bytes(bytes) => self.inbox.extend_from_slice(&bytes),
            Arrival::Eof => self.end = Some(Chunk::Eof),
            Arrival::Reset => self.end = Some(Chunk::Reset),
        }
        true
    }

    /// Like [`next_due`](Self::next_due), for [`arrive_unread`](Self::arrive_unread).
    #[must_use]
    pub fn next_unread_due(&self) -> Option<u64> {
        self.next_due().filter(|_| self.inbox.len() < RECEIVE_BUFFER)
    }

    /// Takes one piece off the link while the process is stopped, unless the buffer of the operating system is full.
    /// Returns whether there was one.
    pub fn arrive_unread(&mut self, now: u64) -> bool {
        self.next_unread_due().is_some() && self.arrive(now)
    }

    /// The next input of the reading state machine: up to `max` of the bytes that arrived, and then the end, once.
    #[must_use]
    pub fn next_chunk(&mut self, max: usize) -> Option<Chunk> {
        if self.inbox.is_empty() {
            return self.end.take();
        }
        let len = self.inbox.len().min(max);
        Some(Chunk::Bytes(self.inbox.drain(..len).collect())).filter(|_| len > 0)
    }

    /// The state machine took the chunk `before` of [`next_chunk`](Self::next_chunk), except for its last `left` bytes.
    pub fn put_back(&mut self, before: &[u8], left: usize) {
        let (taken, rest) = before.split_at_checked(before.len() - left).unwrap_or_default();
        self.read.extend_from_slice(taken);
        self.inbox.splice(..0, rest.iter().copied());
    }
}

/// Virtual nanoseconds as an [`Instant`] of the core.
#[must_use]
pub(super) fn instant(now: u64) -> Instant {
    Instant::from_nanos(now)
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::websocket::{Config, Negotiated, Role, WebSocket};

    use super::*;

    fn server() -> WebSocket {
        let mut server = WebSocket::new(instant(0), Role::Server, &Config::default(), &Negotiated::default(), [0; 32]);
        server.send_text("abc").unwrap();
        server
    }

    fn bytes(bytes: &[u8]) -> Option<Chunk> {
        Some(Chunk::Bytes(bytes.to_vec()))
    }

    #[test]
    fn a_write_takes_what_the_budget_and_the_link_allow() {
        let mut lane = Lane::new(0, Faults { capacity: 4, ..Faults::default() });
        let mut server = server();
        assert_eq!(lane.write(0, &mut server, 1, 2), 2);
        assert_eq!(lane.write(0, &mut server, 0, 2), 0);
        assert_eq!(lane.write(0, &mut server, 8, usize::MAX), 2);
        assert_eq!(lane.write(0, &mut server, 8, usize::MAX), 0);
        assert_eq!((lane.written(), lane.waiting(), server.queued()), (&b"\x81\x03ab"[..], 4, 1));
        lane.hang_up();
        assert_eq!(lane.write(0, &mut server, 8, usize::MAX), 1);
        assert!(!lane.arrive(0));
    }

    #[test]
    fn while_nobody_reads_the_operating_system_takes_what_it_has_room_for() {
        let mut lane = Lane::new(0, Faults { longest_piece: Some(1 << 10), ..Faults::default() });
        let mut server = server();
        server.send_binary(&[0; 1 << 20]).unwrap();
        lane.write(0, &mut server, 8, usize::MAX);
        while lane.arrive_unread(0) {}
        assert_eq!((lane.next_unread_due(), lane.next_due()), (None, Some(0)));
        let Some(Chunk::Bytes(bytes)) = lane.next_chunk(usize::MAX) else { panic!("nothing arrived") };
        assert!((RECEIVE_BUFFER..RECEIVE_BUFFER + (1 << 10)).contains(&bytes.len()), "{}", bytes.len());
    }

    #[test]
    fn what_arrived_is_handed_on_in_chunks_and_the_end_behind_it() {
        let mut lane = Lane::new(0, Faults::default());
        lane.write(0, &mut server(), 8, usize::MAX);
        lane.shut_down(0);
        while lane.arrive(0) {}
        assert_eq!(lane.next_chunk(3), bytes(b"\x81\x03a"));
        lane.put_back(b"\x81\x03a", 1);
        assert_eq!(lane.read(), b"\x81\x03");
        assert_eq!(lane.next_chunk(0), None);
        assert_eq!(lane.next_chunk(usize::MAX), bytes(b"abc"));
        assert_eq!((lane.next_chunk(9), lane.next_chunk(9)), (Some(Chunk::Eof), None));
    }
}
