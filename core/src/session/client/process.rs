//! Processes the messages of the server (`protocol.md`, Envelope and Subscriptions).

use super::{ClientSession, ConnectionAck};
use crate::session::client_event::EventSpans;
use crate::session::outcome::{Refusal, RequestOutcome};
use crate::session::request::{Ask, Origin, Request, RequestId, RequestKind};
use crate::session::scanner::Kind;
use crate::session::spans::{Address, Spans, member};

impl ClientSession {
    pub(super) fn process_message(&mut self, text: &str, spans: &Spans) -> Option<EventSpans> {
        if let Some(address) = spans.address(text) {
            return self.process_event(&address, spans);
        }
        let kind = spans.kind.and_then(|kind| kind.string(text));
        match kind.as_deref() {
            Some("ack") => self.process_ack(text, spans),
            Some("pong") => self.process_pong(text, spans),
            Some("error") => self.process_error(text, spans),
            Some("ping") => {
                self.answer_ping(spans.request_id.map(|id| id.raw(text)));
                None
            }
            Some("notification") => Some(EventSpans::Notification(*spans)),
            // The list of types can grow, so an unknown type is not an error.
            _ => {
                self.counters.unknown += 1;
                Some(EventSpans::Unknown(*spans))
            }
        }
    }

    fn process_event(&mut self, address: &Address<'_>, spans: &Spans) -> Option<EventSpans> {
        let (profile, name) = (address.profile.as_deref(), &*address.name);
        if !self.active.matches(profile, name) && !self.is_late_proof(profile, name) {
            self.counters.filtered += 1;
            return None;
        }
        self.counters.events += 1;
        Some(EventSpans::Event(*spans))
    }

    /// An event that matches a subscription whose `ack` never came proves that the server accepted it. It counts as a
    /// late `ack`.
    fn is_late_proof(&mut self, profile: Option<&str>, name: &str) -> bool {
        let proven = self.requests.take(|request| match &request.ask {
            Ask::Subscribe { profile: asked, events } => {
                request.has_timed_out() && request.sent && profile == Some(asked) && events.matches(name)
            }
            _ => false,
        });
        let Some(request) = proven else { return false };
        self.acknowledge(&request);
        true
    }

    fn process_ack(&mut self, text: &str, spans: &Spans) -> Option<EventSpans> {
        if has_request_id(spans) {
            let id = request_id(text, spans);
            let request =
                self.take_answered(|request| request.kind() != RequestKind::Ping && Some(request.id) == id)?;
            return self.acknowledge(&request);
        }
        let payload = spans.payload.map_or("", |payload| payload.raw(text));
        if member(payload, "action").is_some() {
            self.counters.unsolicited += 1;
            return None;
        }
        if self.connection_ack != ConnectionAck::Done {
            self.renew();
        }
        Some(EventSpans::Connected(*spans))
    }

    fn process_pong(&mut self, text: &str, spans: &Spans) -> Option<EventSpans> {
        // A pong without an identifier can only answer the oldest ping.
        let unnamed = !has_request_id(spans);
        let id = request_id(text, spans);
        let request =
            self.take_answered(|request| request.kind() == RequestKind::Ping && (unnamed || Some(request.id) == id))?;
        self.rtt = Some(request.took(self.now));
        self.acknowledge(&request)
    }

    fn process_error(&mut self, text: &str, spans: &Spans) -> Option<EventSpans> {
        let id = request_id(text, spans);
        let refused = self.requests.take(|request| request.sent && Some(request.id) == id);
        let Some(request) = refused else { return Some(EventSpans::Error(*spans)) };
        self.desired.withdraw(request.id);
        let payload = spans.payload.map_or("", |payload| payload.raw(text));
        self.note_end(&request);
        if !request.has_timed_out() {
            self.note_failure(&request, || RequestOutcome::Refused(Refusal::read(payload).into_kept()));
        }
        let (id, kind) = (request.id, request.kind());
        self.is_awaited(&request).then_some(EventSpans::Refused { id, kind, spans: *spans })
    }

    /// The server performed the request, whether its answer came in time or late.
    fn acknowledge(&mut self, request: &Request) -> Option<EventSpans> {
        match &request.ask {
            Ask::Subscribe { profile, events } if self.features.subscription_sets => {
                self.active.add(profile.clone(), events.clone());
            }
            Ask::Subscribe { profile, events } => self.active.replace(profile.clone(), events.clone()),
            Ask::Unsubscribe { profile: Some(profile) } if self.features.subscription_sets => {
                self.active.remove(profile);
            }
            Ask::Unsubscribe { .. } => self.active.clear(),
            Ask::Ping => {}
        }
        self.desired.settle(request.id);
        self.note_end(request);
        let (id, kind, after) = (request.id, request.kind(), request.took(self.now));
        self.is_awaited(request).then_some(EventSpans::Acknowledged { id, kind, after })
    }

    fn note_end(&mut self, request: &Request) {
        // Requests that wait to be written have one fewer before them.
        self.requests.restart_unwritten(self.now + self.config.request_timeout);
        if request.has_timed_out() {
            self.counters.late += 1;
        }
        if request.origin == Origin::KeepAlive
            && let Some(liveness) = &mut self.liveness
        {
            liveness.pong_received();
        }
    }

    /// Whether this is a request of the application whose end was not reported yet.
    fn is_awaited(&self, request: &Request) -> bool {
        request.origin == Origin::Application && !request.has_timed_out()
    }

    /// Takes the request that was answered. It must have been sent. An answer that matches no request is counted and
    /// dropped.
    fn take_answered(&mut self, fits: impl Fn(&Request) -> bool) -> Option<Request> {
        let answered = self.requests.take(|request| request.sent && fits(request));
        if answered.is_none() {
            self.counters.unsolicited += 1;
        }
        answered
    }
}

/// An explicit `null` names no request of this client.
fn has_request_id(spans: &Spans) -> bool {
    spans.request_id.is_some_and(|id| id.kind() != Kind::Null)
}

fn request_id(text: &str, spans: &Spans) -> Option<RequestId> {
    RequestId::parse(&spans.request_id?.string(text)?)
}
