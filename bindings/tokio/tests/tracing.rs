//! What the feature `tracing` tells.
#![cfg(test)]

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::RawJson;
use multiwa_ws_tokio::{Client, KeyPlacement, Overflow, QueueConfig, Server};
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down everything that is traced.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<String>>);

impl Capture {
    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().unwrap();
        let _ = write!(text, "{} {}:", metadata.level(), metadata.name());
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

struct Line<'t>(&'t mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("multiwa_ws")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("in time")
}

/// A client connects with `KEY`, subscribes and receives an event. It is refused after the key has changed.
async fn connect_and_close(placement: KeyPlacement) {
    let server = Server::builder().api_keys([ApiKey::new(KEY)]).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("ws://{}/ws?token=s3cret-in-url", server.local_addr().unwrap());
    let builder = Client::builder(&url).api_key(KEY).key_placement(placement).header("Cookie", "session=s3cret-cookie");
    let (client, mut updates) = within(builder.connect()).await.unwrap();
    within(client.subscribe("s3cret-profile", ["s3cret.event"])).await.unwrap();
    assert!(within(client.subscribe("", ["*"])).await.is_err());
    let data = RawJson::parse(r#"{"body":"s3cret-body"}"#).unwrap();
    assert_eq!(server.publisher().publish("s3cret.event", Some("s3cret-profile"), &data).await.unwrap().receivers, 1);
    assert!(within(updates.next_event()).await.unwrap().as_str().contains("s3cret-body"));
    server.replace_api_keys([ApiKey::new("s3cret-other")]);
    within(client.closed()).await;
    let refused = within(Client::builder(&url).api_key(KEY).key_placement(placement).connect()).await;
    assert!(refused.is_err());
}

const KEY: &str = "s3cret-key";

#[test]
fn sec_ap_08_neither_keys_nor_payloads_are_traced() {
    let capture = Capture::default();
    tracing::subscriber::with_default(capture.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for placement in [KeyPlacement::Query, KeyPlacement::Header, KeyPlacement::Bearer] {
                connect_and_close(placement).await;
            }
        });
    });
    let traced = capture.0.lock().unwrap();
    for expected in [
        "client: id=",
        "message=connecting attempt=1",
        "message=ready",
        "message=request acknowledged",
        "message=event received bytes=",
        "message=closed",
        "message=client connected",
        "message=client refused",
        "status=401",
        "message=client disconnected",
    ] {
        assert!(traced.contains(expected), "{expected} is not traced:\n{traced}");
    }
    assert!(!traced.contains("s3cret"), "{traced}");
}

/// Asks a client for its status, whatever is traced.
#[derive(Clone, Default)]
struct Curious(Arc<OnceLock<Client>>);

impl Curious {
    fn ask(&self) {
        let _ = self.0.get().map(Client::status);
    }
}

impl Subscriber for Curious {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        self.ask();
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.ask();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.ask();
    }

    fn enter(&self, _: &Id) {
        self.ask();
    }

    fn exit(&self, _: &Id) {
        self.ask();
    }
}

/// A client that receives an event, drops one, and closes.
async fn curious(asked: Curious) {
    let server = Server::builder().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let queue = QueueConfig::new().events(1).overflow(Overflow::DropNewest);
    let builder = Client::builder(format!("ws://{}/ws", server.local_addr().unwrap())).queue(queue);
    let (client, mut updates) = builder.start().unwrap();
    asked.0.set(client.clone()).unwrap();
    client.ready().await.unwrap();
    client.subscribe("p", ["e"]).await.unwrap();
    for _ in 0..2 {
        server.publisher().publish("e", Some("p"), &1).await.unwrap();
    }
    client.ping().await.unwrap();
    assert!(updates.next_event().await.is_some());
    client.close().await;
}

#[test]
fn f_01_a_subscriber_may_ask_a_client_for_its_status() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let asked = Curious::default();
        tracing::subscriber::with_default(asked.clone(), || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(curious(asked));
        });
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(10)).expect("it returns");
}
