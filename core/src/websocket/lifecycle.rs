//! The state of a connection, the cause of its end and the deadline of the closing handshake.

use core::time::Duration;

use super::state::{Input, State};
use super::{Cause, Closed, ProtocolError, Role};
use crate::Instant;
use crate::frame::CloseCode;
use crate::keep_alive::Pause;

/// The [`State`] of a connection, with the data for its one [`Closed`] event.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    role: Role,
    state: State,
    /// The latest time that a caller passed: time never runs backwards here.
    now: Instant,
    close_timeout: Duration,
    /// When the wait for the end began, or when bytes were last written during it.
    ending_since: Option<Instant>,
    cause: Option<Cause>,
    /// The first rule that the peer broke, even if it is not the cause.
    violation: Option<ProtocolError>,
    /// The code of the peer's Close frame.
    peer_code: Option<CloseCode>,
    close_written: bool,
    reported: bool,
}

impl Lifecycle {
    pub(crate) fn new(now: Instant, role: Role, close_timeout: Duration) -> Self {
        Self {
            role,
            state: State::Open,
            now,
            close_timeout,
            ending_since: None,
            cause: None,
            violation: None,
            peer_code: None,
            close_written: false,
            reported: false,
        }
    }

    /// The current time: the later of `now` and the latest time that a caller passed before.
    #[inline]
    pub(crate) fn clock(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn violation(&self) -> Option<ProtocolError> {
        self.violation
    }

    /// When the closing handshake times out.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ending_since.map(|since| since + self.close_timeout)
    }

    /// Bytes were written. The peer cannot answer our Close frame before it has received it, so the wait for the end
    /// starts again. It does not start again for a peer that broke a rule: such a peer must not delay the end by reading
    /// slowly.
    pub(crate) fn bytes_left(&mut self, now: Instant) {
        if let Some(since) = &mut self.ending_since
            && self.state != State::Failing
        {
            *since = now;
        }
    }

    /// The caller did not read during `pause`. The closing deadline moves by the pause, except while messages of the peer
    /// are still read: then the peer could delay the end by sending more of them.
    pub(crate) fn resumed(&mut self, pause: Pause) {
        if let Some(since) = &mut self.ending_since
            && !self.state.reads()
        {
            pause.skip(since);
        }
    }

    pub(crate) fn closing(&mut self, now: Instant) {
        self.end(now, Input::Close, Cause::Local);
    }

    pub(crate) fn peer_closed(&mut self, now: Instant, code: CloseCode) {
        self.peer_code = Some(code);
        self.end(now, Input::PeerClose, Cause::Peer);
    }

    pub(crate) fn violated(&mut self, now: Instant, error: ProtocolError) {
        self.violation.get_or_insert(error);
        self.end(now, Input::Violation, Cause::Violation(error));
    }

    pub(crate) fn unresponsive(&mut self, now: Instant) {
        self.end(now, Input::TimedOut, Cause::Unresponsive);
    }

    pub(crate) fn eof(&mut self, now: Instant) {
        self.end(now, Input::Eof, Cause::Eof);
    }

    pub(crate) fn lost(&mut self, now: Instant, cause: Cause) {
        self.end(now, Input::Lost, cause);
    }

    /// Closes the connection when the deadline of the closing handshake has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.apply(Input::TimedOut);
        }
    }

    /// The whole queue was written. If it contained a Close frame, that was the last one.
    #[inline]
    pub(crate) fn flushed(&mut self) {
        if self.state != State::Open && self.state.writes() {
            self.close_written = true;
            self.apply(Input::Flushed);
        }
    }

    pub(crate) fn shut_down(&mut self) {
        self.apply(Input::ShutDown);
    }

    /// The end of the connection, reported once.
    pub(crate) fn take_closed(&mut self) -> Option<Closed> {
        if self.state != State::Closed || core::mem::replace(&mut self.reported, true) {
            return None;
        }
        Some(Closed {
            cause: self.cause?,
            code: self.peer_code.unwrap_or(CloseCode::ABNORMAL),
            clean: self.peer_code.is_some() && self.close_written,
        })
    }

    fn end(&mut self, now: Instant, input: Input, cause: Cause) {
        self.cause.get_or_insert(cause);
        self.ending_since.get_or_insert(now);
        self.apply(input);
    }

    fn apply(&mut self, input: Input) {
        self.state = self.state.next(input, self.role).unwrap_or(self.state);
        if self.state == State::Closed {
            self.ending_since = None;
        }
    }
}
