//! Where a connection stands, why it ends and by when.

use core::time::Duration;

use super::state::{Input, State};
use super::{Cause, Closed, ProtocolError, Role};
use crate::Instant;
use crate::frame::CloseCode;
use crate::keep_alive::Pause;

/// The [`State`] of a connection with what its one [`Closed`] will say.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    role: Role,
    state: State,
    /// The latest time that was told: time never runs backwards in here.
    now: Instant,
    close_timeout: Duration,
    /// When the wait for the end began, or what is queued before our Close frame last made progress.
    ending_since: Option<Instant>,
    cause: Option<Cause>,
    /// The first rule that the peer broke, be it the cause or not.
    violation: Option<ProtocolError>,
    /// What the peer's Close frame said.
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

    /// The present: `now`, or the latest time told when that is later.
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

    /// When the closing handshake is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ending_since.map(|since| since + self.close_timeout)
    }

    /// Bytes were written. The peer cannot answer our Close frame before it has that, so the wait for the end begins anew:
    /// not for a peer that broke a rule, whose end is not to be put off by reading slowly.
    pub(crate) fn bytes_left(&mut self, now: Instant) {
        if let Some(since) = &mut self.ending_since
            && self.state != State::Failing
        {
            *since = now;
        }
    }

    /// The caller did not read for a while. That counts only against a peer whose messages are still read: it could else
    /// put off the end by sending more of them.
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

    /// Gives the closing handshake up when its deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.apply(Input::TimedOut);
        }
    }

    /// The queue, whose last frame is Close if there is one, was written whole.
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

    /// The end of the connection, once.
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
