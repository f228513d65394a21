//! The adapter between scenarios and the blocking binding.

use std::sync::mpsc::channel;
use std::thread;

use multiwa_ws_tungstenite::{ClientBuilder, Updates};

use super::client::{Answer, Client, ClientBinding, ClientSetup, NotReady, OwnedUpdate, Status};
use super::driver::{KeyRing, answer, not_ready, owned, queue, status};
use super::{Failure, LIMIT, Outcome};

/// The blocking binding. It has no `permessage-deflate`.
#[derive(Clone, Copy, Debug)]
pub struct Blocking;

impl ClientBinding for Blocking {
    fn name(&self) -> &'static str {
        "tungstenite"
    }

    fn start(&self, setup: &ClientSetup) -> Outcome<Box<dyn Client>> {
        let keys = KeyRing::new(setup);
        let mut builder = ClientBuilder::with_provider(move |_| Ok(keys.next()))
            .session(setup.session)
            .reconnect(setup.reconnect)
            .websocket(setup.websocket.clone())
            .queue(queue(setup));
        if let Some(tls) = &setup.tls {
            builder = builder.tls(tls.clone());
        }
        for (profile, events) in &setup.subscriptions {
            builder = builder.subscribe(profile, events);
        }
        let (client, updates) = builder.start()?;
        Ok(Box::new(BlockingClient { client, updates }))
    }
}

struct BlockingClient {
    client: multiwa_ws_tungstenite::Client,
    updates: Updates,
}

impl BlockingClient {
    /// The result of `call`, if it returns in time.
    #[track_caller]
    fn within<T: Send + 'static>(
        &self,
        call: impl FnOnce(&multiwa_ws_tungstenite::Client) -> T + Send + 'static,
    ) -> Outcome<T> {
        let (sender, receiver) = channel();
        let client = self.client.clone();
        thread::spawn(move || sender.send(call(&client)));
        receiver.recv_timeout(LIMIT).map_err(|_| Failure::new("it takes too long"))
    }
}

impl Client for BlockingClient {
    fn ready(&self) -> Outcome<Result<(), NotReady>> {
        Ok(self.within(|client| client.ready())?.map_err(not_ready))
    }

    fn subscribe(&self, profile: &str, events: &[&str]) -> Outcome<Answer> {
        let profile = profile.to_owned();
        let events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
        self.within(move |client| client.subscribe(&profile, events)).map(answer)
    }

    fn unsubscribe(&self, profile: Option<&str>) -> Outcome<Answer> {
        let profile = profile.map(str::to_owned);
        self.within(move |client| client.unsubscribe(profile.as_deref())).map(answer)
    }

    fn ping(&self) -> Outcome<Answer> {
        self.within(|client| client.ping()).map(answer)
    }

    fn next(&mut self) -> Outcome<Option<OwnedUpdate>> {
        self.updates.next_timeout(LIMIT)?.map(owned).transpose()
    }

    fn close(&self) -> Outcome {
        self.within(|client| client.close())
    }

    fn status(&self) -> Status {
        status(self.client.status())
    }
}
