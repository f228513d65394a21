//! A client of any binding, with the interface that scenarios use.

use std::time::Duration;

use multiwa_ws_core::session::{
    ClientConfig, ClientState, CloseCause, DisconnectReason, Envelope, Event, Gap, JsonError, LifecycleEvent,
    ReconnectConfig, SubscriptionSet,
};
use multiwa_ws_core::{KeepAlive, websocket};
use multiwa_ws_driver::ClientTls;

use super::{Failure, NEVER, Outcome, same};

/// The client of a binding.
pub trait ClientBinding: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Starts a client that connects as `setup` says.
    ///
    /// # Errors
    /// If the client cannot be built.
    fn start(&self, setup: &ClientSetup) -> Outcome<Box<dyn Client>>;
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// The URL.
    pub url: String,
    /// The keys, one for each attempt. Later attempts use the last one.
    pub keys: Vec<String>,
    /// The initial subscriptions: profiles with their events.
    pub subscriptions: Vec<(String, Vec<String>)>,
    /// Deadlines and limits of the session. It reconnects as the next field says.
    pub session: ClientConfig,
    /// When the client reconnects.
    pub reconnect: ReconnectConfig,
    /// Limits of each connection.
    pub websocket: websocket::Config,
    /// The number of unread events that the client holds.
    pub capacity: usize,
    /// The policy for more unread events.
    pub overflow: Overflow,
    /// Whether the client offers `permessage-deflate`, if the binding supports it.
    pub compression: bool,
    /// The TLS settings for `wss` URLs.
    pub tls: Option<ClientTls>,
}

/// The policy for events that the application does not read.
#[derive(Clone, Copy, Debug)]
pub enum Overflow {
    /// The client stops reading.
    Wait,
    /// The client drops the oldest event.
    DropOldest,
    /// The client drops the newest event.
    DropNewest,
    /// The client closes.
    Close,
}

impl ClientSetup {
    /// A client of `url` that reconnects within milliseconds. Its own deadlines are longer than the limit of the suite,
    /// so that they hide no fault.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let session = ClientConfig::new()
            .connect_timeout(NEVER)
            .upgrade_timeout(NEVER)
            .ack_timeout(NEVER)
            .request_timeout(NEVER)
            .close_timeout(NEVER);
        Self {
            url: url.into(),
            keys: Vec::new(),
            subscriptions: Vec::new(),
            session,
            reconnect: ReconnectConfig::new().initial(Duration::from_millis(1)).max(Duration::from_millis(50)),
            websocket: websocket::Config::new().keep_alive(KeepAlive::OFF).close_timeout(NEVER),
            capacity: 1024,
            overflow: Overflow::Wait,
            compression: false,
            tls: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }
}

/// A running client. Each method blocks until it is done, within the limit of the suite.
pub trait Client: Send {
    /// Waits until the client is ready for the first time, or has ended.
    ///
    /// # Errors
    /// If neither happens in time.
    fn ready(&self) -> Outcome<Result<(), NotReady>>;

    /// Subscribes.
    ///
    /// # Errors
    /// If the request does not end in time.
    fn subscribe(&self, profile: &str, events: &[&str]) -> Outcome<Answer>;

    /// Unsubscribes from a profile, or from all of them.
    ///
    /// # Errors
    /// If the request does not end in time.
    fn unsubscribe(&self, profile: Option<&str>) -> Outcome<Answer>;

    /// Measures a round trip.
    ///
    /// # Errors
    /// If the request does not end in time.
    fn ping(&self) -> Outcome<Answer>;

    /// The next update. `None` after the client has ended.
    ///
    /// # Errors
    /// If no update arrives in time.
    fn next(&mut self) -> Outcome<Option<OwnedUpdate>>;

    /// Closes the client permanently.
    ///
    /// # Errors
    /// If the client does not close in time.
    fn close(&self) -> Outcome;

    /// The current status.
    fn status(&self) -> Status;
}

/// Why a client ended before it was ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// How the last attempt ended. `None` if the application closed the client.
    pub reason: Option<DisconnectReason>,
    /// The error message.
    pub text: String,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server did it.
    Done,
    /// The server refused: its message, and its code if it sends one.
    Refused(String, Option<String>),
    /// The server supports one profile only, and another profile is subscribed.
    SetsUnsupported,
    /// A later subscription displaced this one.
    Displaced,
    /// The server did not answer in time.
    TimedOut,
    /// The connection was lost before the answer.
    ConnectionLost,
    /// The client refused before it sent anything.
    Command(String),
}

/// An update of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedUpdate {
    /// An event.
    Event(Event<'static>),
    /// A `notification`.
    Notification(Envelope<'static>),
    /// A message of an unknown type.
    Unknown(Envelope<'static>),
    /// An `error` that belongs to no request: its message.
    Error(String),
    /// A message that is not JSON.
    Invalid(JsonError),
    /// A lifecycle event.
    Lifecycle(LifecycleEvent),
}

/// The status of a client.
#[derive(Clone, Debug)]
pub struct Status {
    /// The state of the connection.
    pub state: ClientState,
    /// Attempts since the last stable connection.
    pub attempt: u32,
    /// The latest round trip.
    pub round_trip: Option<Duration>,
    /// The active subscriptions.
    pub active: SubscriptionSet,
    /// Events that the client's filter dropped.
    pub filtered: u64,
    /// Events that the client's queue dropped.
    pub dropped: u64,
}

impl dyn Client + '_ {
    /// The first update for which `desired` returns a value. Skips the updates before it.
    ///
    /// # Errors
    /// If no such update arrives in time, or if the client ends.
    #[track_caller]
    pub fn find<T>(&mut self, mut desired: impl FnMut(&OwnedUpdate) -> Option<T>) -> Outcome<T> {
        let mut passed = Vec::new();
        loop {
            let Some(update) = self.next()? else { return Err(Failure::new(format!("it ended after {passed:?}"))) };
            if let Some(found) = desired(&update) {
                return Ok(found);
            }
            passed.push(update);
        }
    }

    /// Waits until the client is ready, and all its subscriptions have succeeded.
    ///
    /// # Errors
    /// If the client ends instead.
    #[track_caller]
    pub fn connected(&self) -> Outcome {
        same(self.ready()?, Ok::<_, NotReady>(()))
    }

    /// Subscribes, and expects the acknowledgement.
    ///
    /// # Errors
    /// If it is not acknowledged.
    #[track_caller]
    pub fn subscribed(&self, profile: &str, events: &[&str]) -> Outcome {
        same(self.subscribe(profile, events)?, Answer::Done)
    }

    /// The data of the next event.
    ///
    /// # Errors
    /// If none arrives.
    #[track_caller]
    pub fn data(&mut self) -> Outcome<String> {
        self.find(|update| match update {
            OwnedUpdate::Event(event) => Some(event.data().unwrap_or_default().to_owned()),
            _ => None,
        })
    }

    /// The reason for which the client waits for another attempt.
    ///
    /// # Errors
    /// If the client does not wait for one.
    #[track_caller]
    pub fn reason(&mut self) -> Outcome<DisconnectReason> {
        self.find(|update| match update {
            OwnedUpdate::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => Some(*reason),
            _ => None,
        })
    }

    /// Waits until the client is ready again with all its subscriptions, and has reported the gap.
    ///
    /// # Errors
    /// If it does not become ready, or reports no gap.
    #[track_caller]
    pub fn back(&mut self) -> Outcome<Gap> {
        let (failed, gap) = self.find(|update| match update {
            OwnedUpdate::Lifecycle(LifecycleEvent::Ready { failed, gap: Some(gap) }) => Some((failed.clone(), *gap)),
            _ => None,
        })?;
        same(failed, [])?;
        Ok(gap)
    }

    /// The reason for which the client ended. No update may come after it.
    ///
    /// # Errors
    /// If the client has not ended.
    #[track_caller]
    pub fn end(&mut self) -> Outcome<CloseCause> {
        let cause = self.find(|update| match update {
            OwnedUpdate::Lifecycle(LifecycleEvent::Closed(cause)) => Some(*cause),
            _ => None,
        })?;
        same(self.next()?, None)?;
        Ok(cause)
    }
}
