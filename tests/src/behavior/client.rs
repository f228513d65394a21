//! A client of any binding, as scenarios see it.

use std::time::Duration;

use multiwa_ws_core::client::Config;
use multiwa_ws_core::session::{
    ClientState, CloseCause, DisconnectReason, Envelope, Event, Gap, JsonError, LifecycleEvent, ReconnectConfig,
    SubscriptionSet,
};
use multiwa_ws_driver::ClientTls;

use super::{Failure, NEVER, Outcome, same};

/// A binding's client.
pub trait ClientBinding: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Starts a client that connects as `setup` says.
    ///
    /// # Errors
    /// When the client cannot be built.
    fn start(&self, setup: &ClientSetup) -> Outcome<Box<dyn Client>>;
}

/// How a client is set up.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// The URL.
    pub url: String,
    /// The key of each attempt; the last one stays.
    pub keys: Vec<String>,
    /// The profiles that are subscribed to from the start, each with its events.
    pub subscriptions: Vec<(String, Vec<String>)>,
    /// Everything that core lets set.
    pub config: Config,
    /// How many events are held for the application.
    pub capacity: usize,
    /// What happens to more of them.
    pub overflow: Overflow,
    /// Whether `permessage-deflate` is offered, by a binding that has it.
    pub compression: bool,
    /// What `wss` URLs are dialed with.
    pub tls: Option<ClientTls>,
}

/// What happens to events that the application does not take.
#[derive(Clone, Copy, Debug)]
pub enum Overflow {
    /// Reading waits.
    Wait,
    /// The oldest is dropped.
    DropOldest,
    /// The newest is dropped.
    DropNewest,
    /// The client closes.
    Close,
}

impl ClientSetup {
    /// A client of `url` that tries a lost connection again within milliseconds. No deadline of its own passes within the
    /// limit of the suite, so that none hides a fault.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let mut config = Config::default();
        config.session.connect_timeout = NEVER;
        config.session.upgrade_timeout = NEVER;
        config.session.ack_timeout = Some(NEVER);
        config.session.request_timeout = NEVER;
        config.session.close_timeout = NEVER;
        config.websocket.close_timeout = NEVER;
        config.session.reconnect = ReconnectConfig {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(50),
            ..ReconnectConfig::default()
        };
        Self {
            url: url.into(),
            keys: Vec::new(),
            subscriptions: Vec::new(),
            config,
            capacity: 1024,
            overflow: Overflow::Wait,
            compression: false,
            tls: None,
        }
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }
}

/// A running client. Each method waits for its end, within the limit of the suite.
pub trait Client: Send {
    /// Waits until it is ready for the first time, or over.
    ///
    /// # Errors
    /// When neither came in time.
    fn ready(&self) -> Outcome<Result<(), NotReady>>;

    /// Subscribes.
    ///
    /// # Errors
    /// When the request did not end in time.
    fn subscribe(&self, profile: &str, events: &[&str]) -> Outcome<Answer>;

    /// Ends the subscription of a profile, or every one.
    ///
    /// # Errors
    /// When the request did not end in time.
    fn unsubscribe(&self, profile: Option<&str>) -> Outcome<Answer>;

    /// Measures a round trip.
    ///
    /// # Errors
    /// When the request did not end in time.
    fn ping(&self) -> Outcome<Answer>;

    /// The next thing that it tells; `None` after its end.
    ///
    /// # Errors
    /// When nothing came in time.
    fn next(&mut self) -> Outcome<Option<Told>>;

    /// Closes it for good.
    ///
    /// # Errors
    /// When it was not closed in time.
    fn close(&self) -> Outcome;

    /// What it knows now.
    fn status(&self) -> Status;
}

/// Why a client ended before it was ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// How the last attempt ended; `None` when the application closed.
    pub reason: Option<DisconnectReason>,
    /// The error, as a person would read it.
    pub text: String,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server did as asked.
    Done,
    /// The server refused: its text, and its code if it sends one.
    Refused(String, Option<String>),
    /// The server holds one profile, and another one stands.
    SetsUnsupported,
    /// A later subscription displaced this one.
    Displaced,
    /// No answer in time.
    TimedOut,
    /// The connection was lost before.
    ConnectionLost,
    /// Refused before anything was sent.
    Command(String),
}

/// What a client tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An event.
    Event(Event<'static>),
    /// A `notification`.
    Notification(Envelope<'static>),
    /// A message of an unknown type.
    Unknown(Envelope<'static>),
    /// An `error` that answers nothing: its text.
    Error(String),
    /// Something that is no JSON.
    Invalid(JsonError),
    /// What happened to the connection.
    Lifecycle(LifecycleEvent),
}

/// What a client knows.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands.
    pub state: ClientState,
    /// Attempts since the last stable connection.
    pub attempt: u32,
    /// The latest round trip.
    pub round_trip: Option<Duration>,
    /// What is subscribed to.
    pub active: SubscriptionSet,
    /// Events that its filter dropped.
    pub filtered: u64,
    /// Events that its queue dropped.
    pub dropped: u64,
}

impl dyn Client + '_ {
    /// The next thing told in which `desired` finds something; what comes before is passed over.
    ///
    /// # Errors
    /// When nothing such came in time, or the client ended.
    #[track_caller]
    pub fn find<T>(&mut self, mut desired: impl FnMut(&Told) -> Option<T>) -> Outcome<T> {
        let mut passed = Vec::new();
        loop {
            let Some(told) = self.next()? else { return Err(Failure::new(format!("it ended after {passed:?}"))) };
            if let Some(found) = desired(&told) {
                return Ok(found);
            }
            passed.push(told);
        }
    }

    /// Waits until it is ready, and nothing that it wanted has failed.
    ///
    /// # Errors
    /// When it is over instead.
    #[track_caller]
    pub fn connected(&self) -> Outcome {
        same(self.ready()?, Ok::<_, NotReady>(()))
    }

    /// Subscribes, which has to be acknowledged.
    ///
    /// # Errors
    /// When it is not.
    #[track_caller]
    pub fn subscribed(&self, profile: &str, events: &[&str]) -> Outcome {
        same(self.subscribe(profile, events)?, Answer::Done)
    }

    /// The data of the next event.
    ///
    /// # Errors
    /// When none came.
    #[track_caller]
    pub fn data(&mut self) -> Outcome<String> {
        self.find(|told| match told {
            Told::Event(event) => Some(event.data().unwrap_or_default().to_owned()),
            _ => None,
        })
    }

    /// Why it goes to wait for another attempt.
    ///
    /// # Errors
    /// When it does not.
    #[track_caller]
    pub fn reason(&mut self) -> Outcome<DisconnectReason> {
        self.find(|told| match told {
            Told::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => Some(*reason),
            _ => None,
        })
    }

    /// Waits until it is ready again with all that it wants, and has told the gap.
    ///
    /// # Errors
    /// When it is not, or tells of none.
    #[track_caller]
    pub fn back(&mut self) -> Outcome<Gap> {
        let (failed, gap) = self.find(|told| match told {
            Told::Lifecycle(LifecycleEvent::Ready { failed, gap: Some(gap) }) => Some((failed.clone(), *gap)),
            _ => None,
        })?;
        same(failed, [])?;
        Ok(gap)
    }

    /// Why it ended. Nothing may come after that.
    ///
    /// # Errors
    /// When it has not ended.
    #[track_caller]
    pub fn end(&mut self) -> Outcome<CloseCause> {
        let cause = self.find(|told| match told {
            Told::Lifecycle(LifecycleEvent::Closed(cause)) => Some(*cause),
            _ => None,
        })?;
        same(self.next()?, None)?;
        Ok(cause)
    }
}
