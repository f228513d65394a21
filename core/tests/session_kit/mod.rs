//! A client session with a clock and a list of sent messages, for the tests of the session.

use core::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{
    Action, ClientConfig, ClientEvent, ClientSession, ClientState, EventNames, Features, LifecycleEvent, RequestId,
};
use serde_json::{Value, json};

pub(crate) const SETS: Features = Features { subscription_sets: true };
pub(crate) const NO_SETS: Features = Features { subscription_sets: false };
pub(crate) const HELLO: &str = r#"{"type":"ack","payload":{"message":"m","clientId":"c","timestamp":"t"}}"#;

pub(crate) struct Kit {
    pub(crate) client: ClientSession,
    /// Events that came before a message and have not been taken yet.
    pending: Vec<ClientEvent<'static>>,
    pub(crate) now: Instant,
}

impl Kit {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            client: ClientSession::new(config, [7; 32]),
            pending: Vec::new(),
            now: Instant::from_nanos(1_000_000_000),
        }
    }

    /// A client that has received the `ack` of its connection.
    pub(crate) fn open(config: ClientConfig, features: Features) -> Self {
        let mut kit = Self::new(config);
        kit.client.connect(kit.now).unwrap();
        kit.send_ack(features);
        kit
    }

    /// Opens the transport that the client requests, and sends the `ack` of the connection.
    pub(crate) fn send_ack(&mut self, features: Features) {
        assert!(matches!(self.actions()[..], [Action::Connect { .. }] | [Action::Abort, Action::Connect { .. }]));
        self.client.opened(self.now, features);
        assert!(matches!(self.receive(HELLO), Some(ClientEvent::Connected(_))));
    }

    /// The event for a message. Keeps the events before it.
    pub(crate) fn receive<'t>(&mut self, text: &'t str) -> Option<ClientEvent<'t>> {
        self.pending.extend(core::iter::from_fn(|| self.client.poll_event()));
        let message = &mut Some(text);
        let event = self.client.handle_message(self.now, message);
        assert_eq!(*message, None, "it is taken");
        // A lifecycle event is a consequence of the message, and not its meaning.
        match event {
            Some(ClientEvent::Lifecycle(lifecycle)) => {
                self.pending.push(ClientEvent::Lifecycle(lifecycle));
                None
            }
            event => event,
        }
    }

    pub(crate) fn subscribe(&mut self, profile: &str, events: &[&str]) -> RequestId {
        let events: EventNames = events.iter().copied().collect();
        self.client.subscribe(self.now, profile, &events).unwrap()
    }

    /// Sends all waiting messages.
    pub(crate) fn sent(&mut self) -> Vec<Value> {
        let mut sent = Vec::new();
        while let Some(text) = self.client.poll_message() {
            sent.push(serde_json::from_str(text).unwrap());
            self.client.message_sent(0);
        }
        sent
    }

    /// Sends all waiting messages, and acknowledges them.
    pub(crate) fn settle(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return all;
            }
            for request in &sent {
                self.answer(request, "ack", &json!({}));
            }
            all.extend(sent);
        }
    }

    /// Answers one request. Returns whether the application received an event.
    pub(crate) fn answer(&mut self, request: &Value, kind: &str, payload: &Value) -> bool {
        let kind = if request["type"] == "ping" && kind == "ack" { "pong" } else { kind };
        let text = json!({"type": kind, "payload": payload, "requestId": request["requestId"]}).to_string();
        self.receive(&text).is_some()
    }

    /// Passes an event to the client. Returns whether the application receives it.
    pub(crate) fn delivers(&mut self, profile: Option<&str>, event: &str) -> bool {
        let mut payload = json!({"event": event, "data": {}, "timestamp": "t"});
        if let Some(profile) = profile {
            payload["profileId"] = profile.into();
        }
        let text = json!({"type": "event", "payload": payload}).to_string();
        matches!(self.receive(&text), Some(ClientEvent::Event(_)))
    }

    pub(crate) fn actions(&mut self) -> Vec<Action> {
        core::iter::from_fn(|| self.client.poll_action()).collect()
    }

    /// The events of the client that are not the meaning of a message.
    pub(crate) fn events(&mut self) -> Vec<ClientEvent<'static>> {
        let pending = core::mem::take(&mut self.pending);
        pending.into_iter().chain(core::iter::from_fn(|| self.client.poll_event())).collect()
    }

    pub(crate) fn lifecycle(&mut self) -> Vec<LifecycleEvent> {
        let lifecycle = |event| if let ClientEvent::Lifecycle(lifecycle) = event { Some(lifecycle) } else { None };
        self.events().into_iter().filter_map(lifecycle).collect()
    }

    /// Lets time pass, and calls the client at each of its deadlines.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            assert!(self.client.poll_timeout().is_none_or(|next| next > self.now), "a due timeout makes progress");
        }
        self.now = end;
    }

    /// Waits out the back-off.
    pub(crate) fn back_off(&mut self) {
        assert_eq!(self.client.state(), ClientState::Backoff);
        let until = self.client.next_attempt_at().unwrap();
        self.pass(until.saturating_duration_since(self.now));
        assert_eq!(self.client.state(), ClientState::Connecting);
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
