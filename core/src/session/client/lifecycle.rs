//! How the client moves through its states, and what each move takes along.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::{Actions, ClientSession, Welcome};
use crate::Instant;
use crate::keep_alive::Due;
use crate::session::config::SecondProfile;
use crate::session::features::Features;
use crate::session::notice::{ClientEvent, CloseCause, FailedSubscription, Gap, Notice, Refusal, RequestOutcome};
use crate::session::request::{Ask, Origin, Request};
use crate::session::retry::Loss;
use crate::session::state::{ClientState, Trigger};
use crate::session::wanted::Wish;

impl ClientSession {
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.events.push_back(ClientEvent::Notice(notice));
    }

    /// The one place that changes the state. `false`, and nothing happened, when the trigger means nothing here.
    pub(super) fn go(&mut self, trigger: Trigger) -> bool {
        let Some(state) = self.state.after(trigger) else { return false };
        self.state = state;
        self.state_due = None;
        true
    }

    pub(super) fn attempt_by(&mut self, trigger: Trigger) {
        if !self.go(trigger) {
            return;
        }
        let attempt = self.backoff.attempt();
        self.upgrading = false;
        self.redirects = 0;
        self.state_due = Some(self.now + self.config.connect_timeout);
        self.actions.connect = Some(attempt);
        self.notify(Notice::Connecting { attempt });
    }

    pub(super) fn give_up_attempt(&mut self) {
        self.abort_with(if self.upgrading { Loss::UpgradeTimeout } else { Loss::ConnectTimeout });
    }

    pub(super) fn abort_with(&mut self, loss: Loss) {
        let begun = self.actions.connect.is_none();
        self.lose(loss);
        self.actions.abort = begun;
    }

    pub(super) fn check_silence(&mut self) {
        if let Welcome::Awaited { due } = self.welcome
            && due <= self.now
        {
            self.end_welcome();
        }
        let Some(liveness) = &mut self.liveness else { return };
        match liveness.due(self.now) {
            Some(Due::Ping) => {
                liveness.ping_queued(self.now);
                self.requests.push(Ask::Ping, Origin::KeepAlive, None);
            }
            Some(Due::Lost) => self.abort_with(Loss::PongTimeout),
            None => {}
        }
    }

    /// The connection or the attempt ended.
    pub(super) fn lose(&mut self, loss: Loss) {
        match self.state {
            ClientState::Closing => {
                self.end_connection();
                self.go(Trigger::Ended);
                self.finish(CloseCause::Application);
            }
            ClientState::Connecting | ClientState::AwaitingAck | ClientState::Ready => {
                let ready_for = self.ready_since.map(|since| self.now.saturating_duration_since(since));
                self.end_connection();
                self.last_loss = Some(loss);
                match self.backoff.after(loss, ready_for.unwrap_or(Duration::ZERO)) {
                    Some(wait) => self.back_off(loss, wait),
                    None => {
                        self.go(Trigger::GivenUp);
                        self.finish(CloseCause::Lost(loss));
                    }
                }
            }
            ClientState::Idle | ClientState::Backoff | ClientState::Closed => {}
        }
    }

    fn back_off(&mut self, loss: Loss, wait: Duration) {
        self.go(Trigger::Lost);
        let until = self.now + wait;
        self.state_due = Some(until);
        self.notify(Notice::Backoff { loss, until });
    }

    /// Forgets everything that belongs to one connection, so that nothing of it judges the next one.
    fn end_connection(&mut self) {
        if !self.live.is_empty() {
            self.gap_from = self.gap_from.or(self.last_traffic);
        }
        self.live.clear();
        self.features = Features::default();
        self.welcome = Welcome::Over;
        self.liveness = None;
        self.ready_since = None;
        self.actions = Actions::default();
        self.drop_output();
        // What the application asked for and what was not sent yet goes over the next connection.
        let ends = |request: &Request| {
            let waits = !request.sent && !request.has_timed_out() && !matches!(request.ask, Ask::Ping);
            !waits || request.origin != Origin::Application
        };
        while let Some(request) = self.requests.take(ends) {
            self.end_unanswered(&request);
        }
        self.failed.clear();
        self.held_back.clear();
    }

    /// The last thing that a client does.
    pub(super) fn finish(&mut self, cause: CloseCause) {
        while let Some(request) = self.requests.take(|_| true) {
            self.end_unanswered(&request);
        }
        self.notify(Notice::Closed(cause));
    }

    fn end_unanswered(&mut self, request: &Request) {
        if !request.has_timed_out() {
            self.end_request(request, RequestOutcome::ConnectionLost);
        }
    }

    pub(super) fn expire_requests(&mut self) {
        let mut room = false;
        while let Some(request) = self.requests.expire(self.now) {
            room |= request.sent;
            self.end_request(&request, RequestOutcome::TimedOut);
        }
        if room {
            self.requests.restart_unwritten(self.now + self.config.request_timeout);
        }
    }

    /// Ends a request for a reason that no message told.
    pub(super) fn end_request(&mut self, request: &Request, outcome: RequestOutcome<'static>) {
        match outcome {
            RequestOutcome::Refused(_) => self.wanted.withdraw(request.id),
            _ => self.wanted.settle(request.id),
        }
        self.note_failure(request, || outcome.clone());
        if request.origin == Origin::Application {
            let (id, kind) = (request.id, request.kind());
            self.events.push_back(ClientEvent::RequestEnded { id, kind, outcome });
        }
    }

    /// A subscription that fails on the way to `Ready` is told there too.
    pub(super) fn note_failure(&mut self, request: &Request, outcome: impl FnOnce() -> RequestOutcome<'static>) {
        if self.state == ClientState::AwaitingAck
            && let Ask::Subscribe { profile, .. } = &request.ask
        {
            self.failed.push(FailedSubscription { profile: profile.clone(), outcome: outcome() });
        }
    }

    /// The connection's `ack` does not come.
    pub(super) fn end_welcome(&mut self) {
        if let Welcome::Awaited { .. } = self.welcome {
            self.notify(Notice::AckMissing);
            self.renew();
        }
    }

    /// Asks for each wanted subscription, in the order they were first asked for, before anything else.
    pub(super) fn renew(&mut self) {
        self.welcome = Welcome::Over;
        // What timed out before there was a connection is a settled wish by now, and asked for as such.
        while self.requests.take(|request| request.has_timed_out() && !request.sent).is_some() {}
        if !self.features.subscription_sets && self.config.second_profile == SecondProfile::Displace {
            // Each would displace the one before it, so only the last is asked for.
            for wish in self.wanted.keep_last() {
                let outcome = RequestOutcome::Refused(Refusal::Displaced);
                self.failed.push(FailedSubscription { profile: wish.profile, outcome });
            }
        }
        // What an `unsubscribe` that waits for this connection ends is not asked for: it would only stand in the way.
        let current = self.wanted.current();
        let stays = |wish: &&Wish| current.iter().any(|other| other.profile == wish.profile);
        let (wishes, held_back): (Vec<&Wish>, Vec<_>) = self.wanted.settled().iter().partition(stays);
        self.held_back.extend(held_back.into_iter().map(|wish| wish.profile.clone()));
        let asks = wishes.into_iter().map(Wish::ask);
        self.requests.renew(asks, self.now + self.config.request_timeout);
    }

    /// Asks for the next profile that was held back and is wanted still, once every request about subscriptions has ended
    /// and, without sets, the server holds no other profile.
    fn ask_for_held_back(&mut self) {
        let sets = self.features.subscription_sets;
        // A server without sets may have done what it did not answer.
        let ended = |request: &Request| matches!(request.ask, Ask::Ping) || (sets && request.has_timed_out());
        if self.held_back.is_empty() || !(sets || self.live.is_empty()) || !self.requests.iter().all(ended) {
            return;
        }
        while let Some(profile) = self.held_back.pop_front() {
            if let Some(wish) = self.wanted.settled().iter().find(|wish| wish.profile == profile) {
                self.failed.retain(|failed| failed.profile != profile);
                let deadline = self.now + self.config.request_timeout;
                self.requests.push(wish.ask(), Origin::Renewal, Some(deadline));
                return;
            }
        }
    }

    /// Does what became possible: the next message to send, and `Ready` once every subscription is settled.
    pub(super) fn progress(&mut self) {
        self.ask_for_held_back();
        self.fill_front();
        let unsettled = |request: &Request| matches!(request.ask, Ask::Subscribe { .. }) && !request.has_timed_out();
        if self.state != ClientState::AwaitingAck
            || self.welcome != Welcome::Over
            || self.requests.iter().any(unsettled)
            || !self.go(Trigger::Settled)
        {
            return;
        }
        self.ready_since = Some(self.now);
        let gap = self.gap_from.take().map(|from| Gap { from, to: self.now });
        let failed = mem::take(&mut self.failed);
        self.notify(Notice::Ready { failed, gap });
    }
}
