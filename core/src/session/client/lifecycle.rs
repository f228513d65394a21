//! The transitions between the states of the client, and their effects.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::{Actions, ClientSession, ConnectionAck};
use crate::Instant;
use crate::keep_alive::Due;
use crate::session::client_event::{ClientEvent, CloseCause, FailedSubscription, Gap, LifecycleEvent};
use crate::session::config::SecondProfile;
use crate::session::desired::Subscription;
use crate::session::disconnect::DisconnectReason;
use crate::session::features::Features;
use crate::session::outcome::{Refusal, RequestOutcome};
use crate::session::request::{Ask, Origin, Request};
use crate::session::state::{ClientState, Input};

impl ClientSession {
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn notify(&mut self, lifecycle: LifecycleEvent) {
        self.events.push_back(ClientEvent::Lifecycle(lifecycle));
    }

    /// The only place that changes the state. Returns `false` and changes nothing when the input has no meaning in this
    /// state.
    pub(super) fn go(&mut self, input: Input) -> bool {
        let Some(state) = self.state.next(input) else { return false };
        self.state = state;
        self.state_due = None;
        true
    }

    pub(super) fn attempt_by(&mut self, input: Input) {
        if !self.go(input) {
            return;
        }
        let attempt = self.backoff.attempt();
        self.upgrading = false;
        self.redirects = 0;
        self.state_due = Some(self.now + self.config.connect_timeout);
        self.actions.connect = Some(attempt);
        self.notify(LifecycleEvent::Connecting { attempt });
    }

    pub(super) fn give_up_attempt(&mut self) {
        self.abort_with(if self.upgrading {
            DisconnectReason::UpgradeTimeout
        } else {
            DisconnectReason::ConnectTimeout
        });
    }

    pub(super) fn abort_with(&mut self, reason: DisconnectReason) {
        let begun = self.actions.connect.is_none();
        self.lose(reason);
        self.actions.abort = begun;
    }

    pub(super) fn check_silence(&mut self) {
        if let ConnectionAck::Awaited { due } = self.connection_ack
            && due <= self.now
        {
            self.end_connection_ack();
        }
        let Some(liveness) = &mut self.liveness else { return };
        match liveness.due(self.now) {
            Some(Due::Ping) => {
                liveness.ping_queued(self.now);
                self.requests.push(Ask::Ping, Origin::KeepAlive, None);
            }
            Some(Due::Lost) => self.abort_with(DisconnectReason::PongTimeout),
            None => {}
        }
    }

    /// The connection or the attempt ended.
    pub(super) fn lose(&mut self, reason: DisconnectReason) {
        match self.state {
            ClientState::Closing => {
                self.end_connection();
                self.go(Input::Ended);
                self.finish(CloseCause::Application);
            }
            ClientState::Connecting | ClientState::AwaitingAck | ClientState::Ready => {
                let ready_for = self.ready_since.map(|since| self.now.saturating_duration_since(since));
                self.end_connection();
                self.last_disconnect = Some(reason);
                match self.backoff.after(reason, ready_for.unwrap_or(Duration::ZERO)) {
                    Some(wait) => self.back_off(reason, wait),
                    None => {
                        self.go(Input::GivenUp);
                        self.finish(CloseCause::Lost(reason));
                    }
                }
            }
            ClientState::Idle | ClientState::Backoff | ClientState::Closed => {}
        }
    }

    fn back_off(&mut self, reason: DisconnectReason, wait: Duration) {
        self.go(Input::Lost);
        let until = self.now + wait;
        self.state_due = Some(until);
        self.notify(LifecycleEvent::Backoff { reason, until });
    }

    /// Clears everything that belongs to one connection, so that it does not affect the next one.
    fn end_connection(&mut self) {
        if !self.active.is_empty() {
            self.gap_from = self.gap_from.or(self.last_traffic);
        }
        self.active.clear();
        self.features = Features::default();
        self.connection_ack = ConnectionAck::Done;
        self.liveness = None;
        self.ready_since = None;
        self.actions = Actions::default();
        self.drop_output();
        #[cfg(feature = "socketio")]
        if let Some(dialect) = &mut self.socketio {
            dialect.end();
        }
        // Requests of the application that were not sent yet, except a `ping`, go over the next connection.
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

    /// Ends the client with its last events.
    pub(super) fn finish(&mut self, cause: CloseCause) {
        while let Some(request) = self.requests.take(|_| true) {
            self.end_unanswered(&request);
        }
        self.notify(LifecycleEvent::Closed(cause));
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

    /// Ends a request for a reason other than an answer of the server.
    pub(super) fn end_request(&mut self, request: &Request, outcome: RequestOutcome<'static>) {
        match outcome {
            RequestOutcome::Refused(_) => self.desired.withdraw(request.id),
            _ => self.desired.settle(request.id),
        }
        self.note_failure(request, || outcome.clone());
        if request.origin == Origin::Application {
            let (id, kind) = (request.id, request.kind());
            self.events.push_back(ClientEvent::RequestEnded { id, kind, outcome });
        }
    }

    /// A subscription that fails before `Ready` is also reported in `Ready`.
    pub(super) fn note_failure(&mut self, request: &Request, outcome: impl FnOnce() -> RequestOutcome<'static>) {
        if self.state == ClientState::AwaitingAck
            && let Ask::Subscribe { profile, .. } = &request.ask
        {
            self.failed.push(FailedSubscription { profile: profile.clone(), outcome: outcome() });
        }
    }

    /// Ends the wait for a connection ack that does not come.
    pub(super) fn end_connection_ack(&mut self) {
        if let ConnectionAck::Awaited { .. } = self.connection_ack {
            self.notify(LifecycleEvent::AckMissing);
            self.renew();
        }
    }

    /// Requests each desired subscription before anything else, in the order in which they were first requested.
    pub(super) fn renew(&mut self) {
        self.connection_ack = ConnectionAck::Done;
        // A request that timed out before there was a connection is settled by now. Its subscription is requested
        // below, as a desired one.
        while self.requests.take(|request| request.has_timed_out() && !request.sent).is_some() {}
        if !self.features.subscription_sets && self.config.second_profile == SecondProfile::Displace {
            // Each would displace the one before it, so only the last is requested.
            for subscription in self.desired.keep_last() {
                let outcome = RequestOutcome::Refused(Refusal::Displaced);
                self.failed.push(FailedSubscription { profile: subscription.profile, outcome });
            }
        }
        // A subscription that a waiting `unsubscribe` will end is not requested: it would only block others.
        let current = self.desired.current();
        let stays = |subscription: &&Subscription| current.iter().any(|other| other.profile == subscription.profile);
        let (subscriptions, held_back): (Vec<&Subscription>, Vec<_>) = self.desired.settled().iter().partition(stays);
        self.held_back.extend(held_back.into_iter().map(|subscription| subscription.profile.clone()));
        let asks = subscriptions.into_iter().map(Subscription::ask);
        self.requests.renew(asks, self.now + self.config.request_timeout);
    }

    /// Requests the next profile that was held back and is still desired. It waits until every request about
    /// subscriptions has ended and, without sets, until the server holds no other profile.
    fn ask_for_held_back(&mut self) {
        let sets = self.features.subscription_sets;
        // A server without sets may have performed a request that it did not answer.
        let ended = |request: &Request| matches!(request.ask, Ask::Ping) || (sets && request.has_timed_out());
        if self.held_back.is_empty() || !(sets || self.active.is_empty()) || !self.requests.iter().all(ended) {
            return;
        }
        while let Some(profile) = self.held_back.pop_front() {
            if let Some(subscription) =
                self.desired.settled().iter().find(|subscription| subscription.profile == profile)
            {
                self.failed.retain(|failed| failed.profile != profile);
                let deadline = self.now + self.config.request_timeout;
                self.requests.push(subscription.ask(), Origin::Renewal, Some(deadline));
                return;
            }
        }
    }

    /// Performs the steps that have become possible: prepares the next message, and enters `Ready` when every
    /// subscription is settled.
    pub(super) fn progress(&mut self) {
        self.ask_for_held_back();
        self.fill_front();
        let unsettled = |request: &Request| matches!(request.ask, Ask::Subscribe { .. }) && !request.has_timed_out();
        if self.state != ClientState::AwaitingAck
            || self.connection_ack != ConnectionAck::Done
            || self.requests.iter().any(unsettled)
            || !self.go(Input::Settled)
        {
            return;
        }
        self.ready_since = Some(self.now);
        let gap = self.gap_from.take().map(|from| Gap { from, to: self.now });
        let failed = mem::take(&mut self.failed);
        self.notify(LifecycleEvent::Ready { failed, gap });
    }
}
