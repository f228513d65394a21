//! Selects the next message to send, and ends requests that this server must not receive.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::{ClientSession, ConnectionAck, Text};
use crate::session::config::SecondProfile;
use crate::session::envelope::{encode_ping, encode_pong, encode_subscribe, encode_unsubscribe};
use crate::session::outcome::{Refusal, RequestOutcome};
use crate::session::request::{Ask, Request};
use crate::session::state::ClientState;
#[cfg(feature = "socketio")]
use crate::socketio::SocketIo;

/// The limit of pongs that wait to be sent. At this number, a new one replaces the oldest.
const MAX_PONGS: usize = 16;

/// The longest `requestId` of a server, in bytes, that is sent back. A longer one is left out, so that answers stay
/// small.
const MAX_ECHO: usize = 8 * 1_024;

impl ClientSession {
    /// Prepares the next message. There is one at a time, so that the longest message bounds the memory.
    pub(super) fn fill_front(&mut self) {
        if self.front.is_some() || !matches!(self.state, ClientState::AwaitingAck | ClientState::Ready) {
            return;
        }
        #[cfg(feature = "socketio")]
        if let Some(dialect) = &mut self.socketio {
            if let Some(packet) = dialect.poll_packet() {
                self.front = Some((None, Text(packet)));
                return;
            }
            // `socketio.md`, Session: nothing but the CONNECT is sent before its answer.
            if !dialect.is_connected() {
                return;
            }
        }
        if let Some(pong) = self.pongs.pop_front() {
            #[cfg(feature = "socketio")]
            let pong = if self.socketio.is_some() { SocketIo::message(&pong) } else { pong };
            self.front = Some((None, Text(pong)));
            return;
        }
        // A ping does not wait for the connection ack, because the keep-alive runs before it.
        let acknowledged = self.connection_ack == ConnectionAck::Done;
        let may_go = |request: &Request| acknowledged || matches!(request.ask, Ask::Ping);
        while let Some(request) = self.requests.next_unsent(self.config.max_requests, may_go) {
            if let Some(text) = self.encode(&request) {
                #[cfg(feature = "socketio")]
                let text = self.wrap_request(&request, text);
                self.front = Some((Some(request.id), Text(text)));
                return;
            }
        }
    }

    /// Encodes the request as a message. Returns `None` when the request ends here, because this server must not
    /// receive it.
    fn encode(&mut self, request: &Request) -> Option<String> {
        let sets = self.features.subscription_sets;
        let id = format!("\"{}\"", request.id);
        match &request.ask {
            Ask::Subscribe { profile, events } => {
                // `protocol.md`, Subscriptions and filtering: without sets this one would displace the other.
                if !sets && self.occupant(|other| other.sent).is_some_and(|other| *other != **profile) {
                    if self.config.second_profile == SecondProfile::Refuse {
                        if !self.held_back.contains(profile) {
                            self.held_back.push_back(profile.clone());
                        }
                        self.end_here(request, RequestOutcome::Refused(Refusal::SetsUnsupported));
                        return None;
                    }
                    self.desired.displace(request.id);
                }
                Some(encode_subscribe(profile, events, sets, &id))
            }
            // A profile that was not requested on this connection needs no `unsubscribe`, which the server might
            // refuse.
            Ask::Unsubscribe { profile: Some(profile) } if !self.may_hold(profile) => {
                self.end_here(request, RequestOutcome::Acknowledged { after: Duration::ZERO });
                None
            }
            #[cfg(feature = "socketio")]
            Ask::Unsubscribe { profile: None } if self.has_nothing_to_leave() => {
                self.end_here(request, RequestOutcome::Acknowledged { after: Duration::ZERO });
                None
            }
            Ask::Unsubscribe { profile } => Some(encode_unsubscribe(profile.as_deref().filter(|_| sets), &id)),
            Ask::Ping => Some(encode_ping(&id)),
        }
    }

    fn end_here(&mut self, request: &Request, outcome: RequestOutcome<'static>) {
        self.requests.take(|other| other.id == request.id);
        if !request.has_timed_out() {
            self.end_request(request, outcome);
        }
    }

    /// Whether the server may hold a subscription to this profile, now or after the requests that were sent.
    fn may_hold(&self, profile: &str) -> bool {
        if !self.features.subscription_sets {
            // Here an `unsubscribe` clears everything, so the server must hold this profile.
            return self.occupant(|other| other.sent) == Some(profile);
        }
        let asked =
            |request: &Request| matches!(&request.ask, Ask::Subscribe { profile: asked, .. } if **asked == *profile);
        let mut sent = self.requests.iter().filter(|request| request.sent);
        self.active.get(profile).is_some() || sent.any(asked)
    }

    /// The profile that a server without sets holds after it has answered the requests for which `counts` is true.
    pub(super) fn occupant(&self, counts: impl Fn(&Request) -> bool) -> Option<&str> {
        let mut occupant = self.active.iter().next().map(|(profile, _)| profile);
        for request in self.requests.iter().filter(|request| counts(request)) {
            match &request.ask {
                Ask::Subscribe { profile, .. } => occupant = Some(profile),
                Ask::Unsubscribe { profile: Some(profile) } if occupant != Some(profile) => {}
                Ask::Unsubscribe { .. } => occupant = None,
                Ask::Ping => {}
            }
        }
        occupant
    }

    /// Queues the answer to a `ping` of the server. It carries no timestamp: a client has no wall clock.
    pub(super) fn answer_ping(&mut self, request_id: Option<&str>) {
        if self.pongs.len() >= MAX_PONGS {
            self.pongs.pop_front();
        }
        let echo = request_id.filter(|id| id.len() <= MAX_ECHO);
        self.pongs.push_back(encode_pong(None, echo));
    }

    pub(super) fn drop_output(&mut self) {
        self.front = None;
        self.unwritten.clear();
        self.written = 0;
        self.pongs.clear();
    }
}
