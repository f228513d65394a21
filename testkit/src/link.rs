//! A byte link between two state machines, in virtual time.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::random::Random;

/// The faults that a [`Link`] applies to the bytes that pass through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Nanoseconds that a piece is on its way. Drawn for each piece. Pieces never overtake each other.
    pub delay: RangeInclusive<u64>,
    /// The maximum number of bytes that arrive together. The length of each piece is drawn from 1 to this number.
    /// `None`: bytes are not split.
    pub longest_piece: Option<usize>,
    /// The maximum number of bytes that the link holds. The sender's write is short when the link is full.
    pub capacity: usize,
    /// The speed of the link. Each piece leaves after the one before it, and the delay follows. `None`: pieces leave at
    /// once.
    pub bytes_per_second: Option<u32>,
    /// How many of a million pieces arrive with one flipped bit.
    pub corrupted_pieces_per_million: u32,
    /// How the link fails, if it does.
    pub failure: Option<Failure>,
}

/// A link that never fails: no delay, no splitting and no bound.
impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: 0..=0,
            longest_piece: None,
            capacity: usize::MAX,
            bytes_per_second: None,
            corrupted_pieces_per_million: 0,
            failure: None,
        }
    }
}

/// How and when a link fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of bytes that still arrive.
    pub after_bytes: u64,
    /// What the receiver sees after these bytes.
    pub kind: FailureKind,
}

/// What the receiver sees of a link that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The end of the stream, as if the sender had shut down its side.
    Eof,
    /// A transport error.
    Reset,
    /// Nothing, indefinitely.
    Silence,
    /// Nothing, not even the bytes that are on their way. The link fills up and then takes no more.
    Stall,
}

/// What arrives at the receiving end of a [`Link`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes, at least one.
    Bytes(Vec<u8>),
    /// The end of the stream. Nothing follows.
    Eof,
    /// A transport error. Nothing follows.
    Reset,
}

/// One direction of a connection: bytes go in at one end and arrive later, in pieces, at the other end.
///
/// Time is an argument, in nanoseconds. All randomness comes from the seed: the same calls give the same arrivals.
///
/// - Sending end: [`send`](Self::send), [`shut_down`](Self::shut_down).
/// - Faults in addition to those of [`Faults`]: [`cut`](Self::cut). To end all faults: [`heal`](Self::heal).
/// - Receiving end: [`next_due`](Self::next_due), [`receive`](Self::receive).
/// - State: [`in_flight`](Self::in_flight), [`corrupted`](Self::corrupted), [`has_failed`](Self::has_failed).
///
/// ```
/// use multiwa_ws_testkit::link::{Arrival, Faults, Link};
///
/// let mut link = Link::new(1, Faults { delay: 5..=5, ..Faults::default() });
/// assert_eq!(link.send(0, b"hello"), 5);
/// assert_eq!(link.receive(4), None);
/// assert_eq!(link.next_due(), Some(5));
/// assert_eq!(link.receive(5), Some(Arrival::Bytes(b"hello".to_vec())));
/// ```
#[derive(Clone, Debug)]
pub struct Link {
    random: Random,
    faults: Faults,
    pieces: VecDeque<Piece>,
    in_flight: usize,
    accepted: u64,
    last_due: u64,
    /// When the last piece has left at [`Faults::bytes_per_second`].
    busy_until: u64,
    corrupted: u64,
    state: State,
}

#[derive(Clone, Debug)]
struct Piece {
    due: u64,
    arrival: Arrival,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    ShutDown,
    Failed,
    Stalled,
}

impl Link {
    /// An empty link that takes its randomness from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            random: Random::new(seed),
            faults,
            pieces: VecDeque::new(),
            in_flight: 0,
            accepted: 0,
            last_due: 0,
            busy_until: 0,
            corrupted: 0,
            state: State::Open,
        }
    }

    /// Takes as many of `bytes` as the link has room for, and returns their number.
    ///
    /// A failed link takes all bytes and drops them, as a socket does before its owner knows about the failure. A
    /// stalled link has no more room than before. A link that was shut down takes none.
    pub fn send(&mut self, now: u64, bytes: &[u8]) -> usize {
        match self.state {
            State::ShutDown => return 0,
            State::Failed => return bytes.len(),
            State::Open | State::Stalled => {}
        }
        let room = self.faults.capacity.saturating_sub(self.in_flight);
        let taken = bytes.len().min(room);
        let mut rest = bytes.get(..taken).unwrap_or_default();
        if self.state == State::Stalled {
            self.in_flight += taken;
        }
        while !rest.is_empty() && self.state == State::Open {
            let piece = self.next_piece_length(rest.len());
            let (piece, after) = rest.split_at_checked(piece).unwrap_or((rest, &[]));
            self.enqueue(now, piece);
            rest = after;
        }
        taken
    }

    /// Ends the stream. The receiver sees [`Arrival::Eof`] after the bytes that are on their way.
    pub fn shut_down(&mut self, now: u64) {
        if self.state == State::Open {
            self.state = State::ShutDown;
            let due = self.draw_due(now, 0);
            self.pieces.push_back(Piece { due, arrival: Arrival::Eof });
        }
    }

    /// Fails the link now, as `kind` says. Bytes that are on their way still arrive, unless the link stalls. Bytes that
    /// are sent from now on do not arrive. This has no effect on a link that was shut down.
    pub fn cut(&mut self, now: u64, kind: FailureKind) {
        if self.state == State::Open {
            self.fail(now, kind);
        }
    }

    /// Applies no more faults to the bytes that are sent from now on. A failed link stays failed.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
    }

    /// When [`receive`](Self::receive) will next return something.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.pieces.front().filter(|_| self.state != State::Stalled).map(|piece| piece.due)
    }

    /// The bytes or the end that arrived by `now`, one piece at a time. `None` if nothing has arrived.
    #[must_use]
    pub fn receive(&mut self, now: u64) -> Option<Arrival> {
        if self.next_due()? > now {
            return None;
        }
        let piece = self.pieces.pop_front()?;
        if let Arrival::Bytes(bytes) = &piece.arrival {
            self.in_flight -= bytes.len();
        }
        Some(piece.arrival)
    }

    /// The bytes that were sent and have not been received.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The number of pieces that were corrupted on the way.
    #[must_use]
    pub fn corrupted(&self) -> u64 {
        self.corrupted
    }

    /// Whether the link has failed, as [`Faults::failure`] or [`cut`](Self::cut) asked for.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed | State::Stalled)
    }

    fn next_piece_length(&mut self, available: usize) -> usize {
        let Some(longest) = self.faults.longest_piece else { return available };
        (1 + self.random.length_up_to(longest.saturating_sub(1))).min(available)
    }

    fn enqueue(&mut self, now: u64, piece: &[u8]) {
        let before_failure =
            self.faults.failure.map_or(u64::MAX, |failure| failure.after_bytes.saturating_sub(self.accepted));
        let arriving = usize::try_from(before_failure).unwrap_or(usize::MAX).min(piece.len());
        let mut bytes = piece.get(..arriving).unwrap_or_default().to_vec();
        self.accepted += u64::try_from(arriving).unwrap_or(u64::MAX);
        if !bytes.is_empty() {
            self.corrupt(&mut bytes);
            self.in_flight += bytes.len();
            let due = self.draw_due(now, bytes.len());
            self.pieces.push_back(Piece { due, arrival: Arrival::Bytes(bytes) });
        }
        if arriving < piece.len()
            && let Some(failure) = self.faults.failure
        {
            self.fail(now, failure.kind);
        }
    }

    fn corrupt(&mut self, bytes: &mut [u8]) {
        if !self.random.happens(self.faults.corrupted_pieces_per_million) {
            return;
        }
        let position = self.random.length_up_to(bytes.len().saturating_sub(1));
        let bit = self.random.up_to(7);
        if let Some(byte) = bytes.get_mut(position) {
            *byte ^= 1 << bit;
            self.corrupted += 1;
        }
    }

    fn fail(&mut self, now: u64, kind: FailureKind) {
        self.state = if kind == FailureKind::Stall { State::Stalled } else { State::Failed };
        let arrival = match kind {
            FailureKind::Eof => Arrival::Eof,
            FailureKind::Reset => Arrival::Reset,
            FailureKind::Silence | FailureKind::Stall => return,
        };
        let due = self.draw_due(now, 0);
        self.pieces.push_back(Piece { due, arrival });
    }

    /// A stream keeps its order: no piece arrives before an earlier one.
    fn draw_due(&mut self, now: u64, len: usize) -> u64 {
        let nanos = u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(1_000_000_000);
        let takes = self.faults.bytes_per_second.map_or(0, |rate| nanos / u64::from(rate.max(1)));
        self.busy_until = self.busy_until.max(now).saturating_add(takes);
        let (shortest, longest) = (*self.faults.delay.start(), *self.faults.delay.end());
        let delay = shortest + self.random.up_to(longest.saturating_sub(shortest));
        self.last_due = self.last_due.max(self.busy_until.saturating_add(delay));
        self.last_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that arrives until the link is empty, with the time of each arrival.
    fn drain(link: &mut Link) -> Vec<(u64, Arrival)> {
        let mut arrivals = Vec::new();
        while let Some(due) = link.next_due() {
            arrivals.push((due, link.receive(due).unwrap()));
        }
        arrivals
    }

    fn bytes_of(arrivals: &[(u64, Arrival)]) -> Vec<u8> {
        let pieces = arrivals.iter().filter_map(|(_, arrival)| match arrival {
            Arrival::Bytes(bytes) => Some(bytes.as_slice()),
            Arrival::Eof | Arrival::Reset => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    fn sent() -> Vec<u8> {
        (0..=255).cycle().take(10_000).collect()
    }

    fn faulty(failure: Option<Failure>) -> Faults {
        Faults { delay: 10..=5_000, longest_piece: Some(64), failure, ..Faults::default() }
    }

    #[test]
    fn a_link_without_faults_delivers_at_once_and_whole() {
        let mut link = Link::new(0, Faults::default());
        assert_eq!(link.send(7, b"abc"), 3);
        assert_eq!(drain(&mut link), [(7, Arrival::Bytes(b"abc".to_vec()))]);
    }

    #[test]
    fn sending_nothing_delivers_nothing() {
        let mut link = Link::new(0, Faults::default());
        assert_eq!(link.send(0, b""), 0);
        assert_eq!(link.next_due(), None);
    }

    #[test]
    fn bytes_are_split_and_delayed_but_keep_their_order() {
        let mut link = Link::new(11, faulty(None));
        assert_eq!(link.send(100, &sent()), 10_000);
        let arrivals = drain(&mut link);
        assert_eq!(bytes_of(&arrivals), sent());
        assert!(arrivals.is_sorted_by_key(|(due, _)| *due));
        assert!(arrivals.iter().all(|(due, _)| (110..=5_100).contains(due)));
        let lengths = arrivals.iter().map(|(_, arrival)| match arrival {
            Arrival::Bytes(bytes) => bytes.len(),
            Arrival::Eof | Arrival::Reset => 0,
        });
        let lengths: std::collections::BTreeSet<usize> = lengths.collect();
        assert!(lengths.first() == Some(&1) && lengths.last() == Some(&64), "{lengths:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals_and_another_seed_gives_others() {
        let arrivals = |seed| {
            let mut link = Link::new(seed, Faults { corrupted_pieces_per_million: 100_000, ..faulty(None) });
            link.send(0, &sent());
            drain(&mut link)
        };
        assert_eq!(arrivals(1), arrivals(1));
        assert_ne!(arrivals(1), arrivals(2));
    }

    #[test]
    fn a_full_link_takes_only_what_it_has_room_for() {
        let mut link = Link::new(0, Faults { capacity: 4, ..Faults::default() });
        assert_eq!(link.send(0, b"abcdef"), 4);
        assert_eq!(link.send(0, b"ef"), 0);
        assert_eq!(link.in_flight(), 4);
        assert_eq!(link.receive(0), Some(Arrival::Bytes(b"abcd".to_vec())));
        assert_eq!(link.send(0, b"ef"), 2);
        assert_eq!(link.receive(0), Some(Arrival::Bytes(b"ef".to_vec())));
    }

    #[test]
    fn a_slow_link_lets_bytes_through_at_its_rate() {
        let faults = Faults { bytes_per_second: Some(10), delay: 5..=5, longest_piece: Some(1), ..Faults::default() };
        let mut link = Link::new(0, faults);
        link.send(0, b"abc");
        let dues: Vec<u64> = drain(&mut link).into_iter().map(|(due, _)| due).collect();
        assert_eq!(dues, [100_000_005, 200_000_005, 300_000_005]);
        link.send(1_000_000_000, b"d");
        link.shut_down(1_000_000_000);
        let dues: Vec<u64> = drain(&mut link).into_iter().map(|(due, _)| due).collect();
        assert_eq!(dues, [1_100_000_005; 2]);
    }

    #[test]
    fn a_link_that_stalls_fills_up_and_delivers_nothing() {
        let mut link = Link::new(0, Faults { capacity: 10, ..Faults::default() });
        link.send(0, b"abcd");
        link.cut(1, FailureKind::Stall);
        assert!(link.has_failed());
        assert_eq!((link.send(2, b"efgh"), link.send(2, b"ijkl"), link.send(2, b"kl")), (4, 2, 0));
        assert_eq!((link.in_flight(), link.next_due(), link.receive(9)), (10, None, None));
        link.heal();
        assert_eq!((link.next_due(), link.receive(9)), (None, None));
    }

    #[test]
    fn a_shut_down_follows_the_bytes_on_their_way_and_takes_no_more() {
        let mut link = Link::new(5, faulty(None));
        link.send(0, b"last");
        link.shut_down(1);
        link.shut_down(2);
        assert_eq!(link.send(3, b"more"), 0);
        let arrivals = drain(&mut link);
        assert_eq!(bytes_of(&arrivals), b"last");
        assert_eq!(arrivals.iter().filter(|(_, arrival)| *arrival == Arrival::Eof).count(), 1);
        assert_eq!(arrivals.last().unwrap().1, Arrival::Eof);
    }

    #[test]
    fn a_failure_comes_after_exactly_the_bytes_asked_for() {
        for after_bytes in [0, 1, 63, 64, 65, 9_999] {
            for (kind, end) in [
                (FailureKind::Eof, Some(Arrival::Eof)),
                (FailureKind::Reset, Some(Arrival::Reset)),
                (FailureKind::Silence, None),
            ] {
                let mut link = Link::new(after_bytes, faulty(Some(Failure { after_bytes, kind })));
                assert_eq!(link.send(0, &sent()), 10_000);
                assert!(link.has_failed());
                assert_eq!(link.send(9, b"lost"), 4);
                link.shut_down(10);
                let arrivals = drain(&mut link);
                assert_eq!(bytes_of(&arrivals), sent()[..usize::try_from(after_bytes).unwrap()]);
                let endings: Vec<_> = arrivals.iter().filter(|(_, a)| !matches!(a, Arrival::Bytes(_))).collect();
                assert_eq!(endings.first().map(|(_, arrival)| arrival.clone()), end);
            }
        }
    }

    #[test]
    fn a_link_that_carries_fewer_bytes_than_its_failure_point_does_not_fail() {
        let failure = Failure { after_bytes: 10_000, kind: FailureKind::Reset };
        let mut link = Link::new(3, faulty(Some(failure)));
        link.send(0, &sent());
        assert!(!link.has_failed());
        assert_eq!(bytes_of(&drain(&mut link)), sent());
    }

    #[test]
    fn a_cut_comes_behind_the_bytes_on_their_way() {
        for (kind, end) in [
            (FailureKind::Eof, Some(Arrival::Eof)),
            (FailureKind::Reset, Some(Arrival::Reset)),
            (FailureKind::Silence, None),
        ] {
            let mut link = Link::new(4, faulty(None));
            link.send(0, b"before");
            link.cut(1, kind);
            link.cut(1, FailureKind::Reset);
            assert!(link.has_failed());
            assert_eq!(link.send(2, b"lost"), 4);
            let arrivals = drain(&mut link);
            assert_eq!(bytes_of(&arrivals), b"before");
            let endings: Vec<_> =
                arrivals.into_iter().map(|(_, a)| a).filter(|a| !matches!(a, Arrival::Bytes(_))).collect();
            assert_eq!(endings, Vec::from_iter(end));
        }
    }

    #[test]
    fn a_healed_link_delivers_what_is_sent_from_now_on_as_it_is_and_in_order() {
        let mut link = Link::new(4, Faults { corrupted_pieces_per_million: 1_000_000, ..faulty(None) });
        link.send(0, b"before");
        link.heal();
        link.send(0, b"after");
        assert!(bytes_of(&drain(&mut link)).ends_with(b"after"));
    }

    #[test]
    fn a_corrupted_piece_differs_in_one_bit_and_is_counted() {
        let mut link = Link::new(8, Faults { corrupted_pieces_per_million: 200_000, ..faulty(None) });
        link.send(0, &sent());
        let received = bytes_of(&drain(&mut link));
        let turned: u32 = received.iter().zip(sent()).map(|(one, other)| (one ^ other).count_ones()).sum();
        assert!(turned > 0);
        assert_eq!(u64::from(turned), link.corrupted());
    }
}
