//! The adapter between scenarios and the asynchronous bindings.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use multiwa_ws_async_std::AsyncStd;
use multiwa_ws_async_std::smol::Smol;
use multiwa_ws_core::handshake::{ApiKey, DeflateConfig, DeflateOffer};
use multiwa_ws_core::session::{CommandError, RawJson};
use multiwa_ws_driver::{
    ClientBuilder, ConnectError, Destination, Net, Observed, Origin, Publisher, QueueConfig, RequestError, Update,
    Updates,
};
use multiwa_ws_tokio::Tokio;

use super::client::{Answer, Client, ClientBinding, ClientSetup, NotReady, Overflow, OwnedUpdate, Status};
use super::server::{Left, Server, ServerBinding, ServerSetup, SlowReader};
use super::{Failure, LIMIT, Outcome};

/// An asynchronous binding, in either role.
#[derive(Clone, Copy, Debug)]
pub struct Driver<R> {
    name: &'static str,
    runtime: PhantomData<fn() -> R>,
}

/// On tokio.
pub const TOKIO: Driver<Tokio> = Driver { name: "tokio", runtime: PhantomData };

/// On async-std.
pub const ASYNC_STD: Driver<AsyncStd> = Driver { name: "async-std", runtime: PhantomData };

/// On smol.
pub const SMOL: Driver<Smol> = Driver { name: "smol", runtime: PhantomData };

/// A runtime whose futures a thread can wait for.
pub trait Executor: Net {
    /// Blocks until `future` completes.
    fn block_on<F: Future>(future: F) -> F::Output;
}

impl Executor for Tokio {
    fn block_on<F: Future>(future: F) -> F::Output {
        static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
            let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            built.unwrap_or_else(|error| unreachable!("tokio cannot start: {error}"))
        });
        RUNTIME.block_on(future)
    }
}

impl Executor for AsyncStd {
    fn block_on<F: Future>(future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

impl Executor for Smol {
    fn block_on<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }
}

/// The result of `future`, if it completes in time.
#[track_caller]
fn wait<R: Executor, F: Future>(future: F) -> Outcome<F::Output> {
    let within = async {
        let future = pin!(future);
        let limit = pin!(R::sleep_until(R::now() + LIMIT));
        match select(future, limit).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    };
    R::block_on(within).ok_or_else(|| Failure::new("it takes too long"))
}

impl<R: Executor> ClientBinding for Driver<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&self, setup: &ClientSetup) -> Outcome<Box<dyn Client>> {
        let keys = KeyRing::new(setup);
        let mut builder = ClientBuilder::<R>::with_provider(move |_| ready(Ok(keys.next())))
            .session(setup.session)
            .reconnect(setup.reconnect)
            .websocket(setup.websocket.clone())
            .queue(queue(setup));
        if setup.compression {
            builder = builder.compression(DeflateOffer::default());
        }
        if let Some(tls) = &setup.tls {
            builder = builder.tls(tls.clone());
        }
        for (profile, events) in &setup.subscriptions {
            builder = builder.subscribe(profile, events);
        }
        let (client, updates) = wait::<R, _>(async { builder.start() })??;
        Ok(Box::new(DriverClient { client, updates }))
    }
}

/// The settings of the client's queue for unread events.
pub(super) fn queue(setup: &ClientSetup) -> QueueConfig {
    let overflow = match setup.overflow {
        Overflow::Wait => multiwa_ws_driver::Overflow::Wait,
        Overflow::DropOldest => multiwa_ws_driver::Overflow::DropOldest,
        Overflow::DropNewest => multiwa_ws_driver::Overflow::DropNewest,
        Overflow::Close => multiwa_ws_driver::Overflow::Close,
    };
    QueueConfig::new().events(setup.capacity).overflow(overflow)
}

/// The destination of the client, with the next key for each attempt. Later attempts use the last key.
pub(super) struct KeyRing {
    url: String,
    keys: Mutex<VecDeque<String>>,
}

impl KeyRing {
    pub(super) fn new(setup: &ClientSetup) -> Self {
        Self { url: setup.url.clone(), keys: Mutex::new(setup.keys.iter().cloned().collect()) }
    }

    pub(super) fn next(&self) -> Destination {
        let destination = Destination::new(&self.url);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if keys.len() > 1 { keys.pop_front() } else { keys.front().cloned() };
        match key {
            Some(key) => destination.api_key(key),
            None => destination,
        }
    }
}

struct DriverClient<R: Executor> {
    client: multiwa_ws_driver::Client<R>,
    updates: Updates<R>,
}

impl<R: Executor> Client for DriverClient<R> {
    fn ready(&self) -> Outcome<Result<(), NotReady>> {
        Ok(wait::<R, _>(self.client.ready())?.map_err(not_ready))
    }

    fn subscribe(&self, profile: &str, events: &[&str]) -> Outcome<Answer> {
        wait::<R, _>(self.client.subscribe(profile, events)).map(answer)
    }

    fn unsubscribe(&self, profile: Option<&str>) -> Outcome<Answer> {
        wait::<R, _>(self.client.unsubscribe(profile)).map(answer)
    }

    fn ping(&self) -> Outcome<Answer> {
        wait::<R, _>(self.client.ping()).map(answer)
    }

    fn next(&mut self) -> Outcome<Option<OwnedUpdate>> {
        wait::<R, _>(self.updates.next())?.map(owned).transpose()
    }

    fn close(&self) -> Outcome {
        wait::<R, _>(self.client.close())
    }

    fn status(&self) -> Status {
        status(self.client.status())
    }
}

pub(super) fn not_ready(error: ConnectError) -> NotReady {
    let reason = if let ConnectError::Disconnected(last) = &error { Some(last.reason()) } else { None };
    NotReady { text: format!("{error:#}"), reason }
}

pub(super) fn owned(update: Update<'_>) -> Outcome<OwnedUpdate> {
    Ok(match update.into_owned() {
        Update::Event(event) => OwnedUpdate::Event(event),
        Update::Notification(message) => OwnedUpdate::Notification(message),
        Update::Unknown(message) => OwnedUpdate::Unknown(message),
        Update::Error { error, .. } => OwnedUpdate::Error(error.into_owned()),
        Update::Invalid(error) => OwnedUpdate::Invalid(error),
        Update::Lifecycle(lifecycle) => OwnedUpdate::Lifecycle(lifecycle),
        other => return Err(Failure::new(format!("{other:?} is new here"))),
    })
}

pub(super) fn status(status: multiwa_ws_driver::Status) -> Status {
    Status {
        state: status.state,
        attempt: status.attempt,
        round_trip: status.round_trip,
        active: status.active,
        filtered: status.counters.filtered,
        dropped: status.dropped,
    }
}

pub(super) fn answer(result: Result<Duration, RequestError>) -> Answer {
    match result {
        Ok(_) => Answer::Done,
        Err(RequestError::Refused { error, code }) => Answer::Refused(error, code),
        Err(RequestError::SetsUnsupported | RequestError::Command(CommandError::SetsUnsupported)) => {
            Answer::SetsUnsupported
        }
        Err(RequestError::Displaced) => Answer::Displaced,
        Err(RequestError::TimedOut) => Answer::TimedOut,
        Err(RequestError::ConnectionLost) => Answer::ConnectionLost,
        Err(error) => Answer::Command(error.to_string()),
    }
}

impl<R: Executor> ServerBinding for Driver<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&self, setup: &ServerSetup) -> Outcome<Box<dyn Server>> {
        let slow_reader = match setup.slow_reader {
            SlowReader::Close => multiwa_ws_driver::SlowReader::Close,
            SlowReader::DropOldest => multiwa_ws_driver::SlowReader::DropOldest,
            SlowReader::DropNewest => multiwa_ws_driver::SlowReader::DropNewest,
        };
        let left = Arc::new(Mutex::new(Vec::new()));
        let observe = {
            let left = left.clone();
            move |observed: Observed<'_>| {
                if let Observed::Closed { closed, dropped, .. } = observed {
                    left.lock().unwrap_or_else(PoisonError::into_inner).push(Left { closed, dropped });
                }
            }
        };
        let mut builder = multiwa_ws_driver::Server::<R>::builder()
            .session(setup.session)
            .websocket(setup.websocket.clone())
            .handshake(setup.handshake)
            .slow_reader(slow_reader)
            .close_window(Duration::ZERO)
            .observe(observe);
        if !setup.keys.is_empty() {
            builder = builder.api_keys(setup.keys.iter().map(ApiKey::new));
        }
        if let Some(origin) = &setup.origin {
            builder = builder.allow_origin(origin.parse::<Origin>()?);
        }
        let offered = Arc::new(AtomicBool::new(false));
        if setup.compression {
            let offered = offered.clone();
            builder = builder.compression(DeflateConfig::default()).authorize(move |request| {
                let offers = request.request().headers().get_str("Sec-WebSocket-Extensions");
                offered.store(offers.is_some_and(|offers| offers.contains("permessage-deflate")), Ordering::SeqCst);
                ready(Ok(()))
            });
        }
        if let Some(tls) = &setup.tls {
            builder = builder.tls(tls.clone());
        }
        let server = wait::<R, _>(builder.bind(setup.address))??;
        let address = server.local_addr().ok_or_else(|| Failure::new("it listens nowhere"))?;
        Ok(Box::new(DriverServer { publisher: server.publisher(), server, address, offered, left }))
    }
}

struct DriverServer<R> {
    server: multiwa_ws_driver::Server<R>,
    publisher: Publisher,
    address: SocketAddr,
    offered: Arc<AtomicBool>,
    left: Arc<Mutex<Vec<Left>>>,
}

impl<R: Executor> Server for DriverServer<R> {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn publish(&self, event: &str, profile: Option<&str>, data: &str) -> Outcome<usize> {
        Ok(R::block_on(self.publisher.publish(event, profile, &RawJson::parse(data)?))?.receivers)
    }

    fn connections(&self) -> usize {
        self.server.connections()
    }

    fn replace_keys(&self, keys: &[&str]) -> usize {
        self.server.replace_api_keys(keys.iter().map(ApiKey::new))
    }

    fn shutdown(&mut self, deadline: Duration) -> Outcome<usize> {
        wait::<R, _>(self.server.shutdown(deadline))
    }

    fn was_offered_compression(&self) -> bool {
        self.offered.load(Ordering::SeqCst)
    }

    fn left(&self) -> Vec<Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
