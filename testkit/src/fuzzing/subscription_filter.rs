//! Compares subscriptions and fan-out with a model that is a list of names.
//!
//! Input: operations, decoded with `arbitrary`.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{EventNames, ServerConfig, ServerSession, SubscriptionSet};
use multiwa_ws_core::{Instant, WallClock};
use serde_json::json;

const NOW: Instant = Instant::from_nanos(0);

/// More operations take longer and find nothing new.
const MAX_OPERATIONS: usize = 30;

/// Few names, so that operations often use the same one. There is one of each kind that could fail.
const NAMES: [&str; 8] = ["*", "a", "b", "a.b", "", "**", "A", "\u{e9}\"\\\n"];

#[derive(Arbitrary, Debug)]
enum Operation {
    Subscribe { profile: u8, names: u8, add: bool },
    Unsubscribe { profile: Option<u8> },
    End,
}

/// Applies operations to connections, each with its session, and compares the receivers of events.
pub fn run(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let mut connections: [Connection; 3] = std::array::from_fn(|_| Connection::new());
    let mut hub = Hub::new();
    for _ in 0..MAX_OPERATIONS {
        let Ok((index, operation)) = <(u8, Operation)>::arbitrary(&mut source) else { break };
        let id = usize::from(index) % connections.len();
        connections[id].apply(&operation);
        match operation {
            Operation::End => hub.remove(id),
            _ => hub.update(id, connections[id].session.subscriptions().clone()),
        }
        if source.is_empty() {
            break;
        }
    }
    // One comparison is enough: each shorter input is tested separately.
    compare(&connections, &hub);
}

fn name(index: u8) -> &'static str {
    NAMES[usize::from(index) % NAMES.len()]
}

/// The model: the subscribed names of each profile.
type Model = BTreeMap<&'static str, BTreeSet<&'static str>>;

struct Connection {
    session: ServerSession,
    /// The same set, without a session.
    set: SubscriptionSet,
    model: Model,
}

impl Connection {
    fn new() -> Self {
        let session = ServerSession::new(NOW, ServerConfig::default(), "c", WallClock::new(NOW, 0));
        Self { session, set: SubscriptionSet::default(), model: Model::new() }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Subscribe { profile, names, add } => {
                let profile = name(*profile);
                let chosen = NAMES.iter().enumerate().filter(|(index, _)| names >> index & 1 == 1);
                let names: BTreeSet<&str> = chosen.map(|(_, name)| *name).collect();
                let mode = if *add { "add" } else { "replace" };
                let payload = json!({"profileId": profile, "events": names, "mode": mode});
                self.say(&json!({"type": "subscribe", "payload": payload}));
                // An empty profile is invalid, and a subscription needs names (`protocol.md`, Errors a server sends).
                if profile.is_empty() || names.is_empty() {
                    return;
                }
                let events: EventNames = names.iter().copied().collect();
                if *add {
                    self.set.add(profile, events);
                } else {
                    self.set.replace(profile, events);
                    self.model.clear();
                }
                self.model.insert(profile, names);
            }
            Operation::Unsubscribe { profile: Some(profile) } if !name(*profile).is_empty() => {
                let profile = name(*profile);
                self.say(&json!({"type": "unsubscribe", "payload": {"profileId": profile}}));
                assert_eq!(self.set.remove(profile), self.model.remove(profile).is_some());
            }
            Operation::Unsubscribe { .. } => {
                self.say(&json!({"type": "unsubscribe"}));
                self.set.clear();
                self.model.clear();
            }
            Operation::End => *self = Self::new(),
        }
        assert_eq!(self.session.subscriptions(), &self.set);
        assert_eq!((self.set.len(), self.set.is_empty()), (self.model.len(), self.model.is_empty()));
        let held = self.set.iter().map(|(profile, names)| (profile, names.iter().collect::<Vec<_>>()));
        assert!(held.eq(self.model.iter().map(|(profile, names)| (*profile, names.iter().copied().collect()))));
    }

    fn say(&mut self, message: &serde_json::Value) {
        let _ = self.session.handle_message(NOW, &message.to_string());
        while self.session.poll_message().is_some() {
            self.session.message_sent();
        }
        // Too many refused messages in a row would end the connection. A valid message between them prevents this.
        let _ = self.session.handle_message(NOW, r#"{"type":"ping"}"#);
        self.session.message_sent();
    }

    /// `protocol.md`, Subscriptions and filtering, implemented literally.
    fn wants(&self, profile: Option<&str>, event: &str) -> bool {
        let desired = |names: &BTreeSet<&str>| names.contains("*") || names.contains(event);
        match profile {
            Some(profile) => self.model.get(profile).is_some_and(desired),
            None => self.model.values().any(desired),
        }
    }
}

fn compare(connections: &[Connection], hub: &Hub<usize>) {
    assert_eq!(hub.len(), connections.iter().filter(|connection| !connection.model.is_empty()).count());
    for profile in NAMES.into_iter().map(Some).chain([None]) {
        for event in NAMES {
            let wanting = |id: &usize| connections[*id].wants(profile, event);
            let expected: Vec<usize> = (0..connections.len()).filter(wanting).collect();
            let mut receivers: Vec<usize> = hub.receivers(profile, event).collect();
            receivers.sort_unstable();
            assert_eq!(receivers, expected, "{event:?} of {profile:?}");
            for (id, connection) in connections.iter().enumerate() {
                assert_eq!(connection.set.matches(profile, event), expected.contains(&id));
            }
        }
    }
}
