//! What a client allocates while events arrive, a server while they are published, and a connection while it sends.
#![cfg(test)]

use std::time::Duration;

use futures_util::FutureExt;
use multiwa_ws_core::session::{RawJson, encode_event};
use multiwa_ws_tokio::core::websocket::{Config, Negotiated, Role};
use multiwa_ws_tokio::{Client, Publisher, Server, Updates, WebSocket};
use tokio::runtime::Builder;
use tokio::time::timeout;

const EVENTS: usize = 5_000;

async fn publish(publisher: Publisher) {
    let data = RawJson::parse(r#"{"body":"hello"}"#).unwrap();
    for _ in 0..EVENTS {
        publisher.publish("message.received", Some("p"), &data).await.unwrap();
        tokio::task::yield_now().await;
    }
}

async fn take(updates: &mut Updates) {
    for _ in 0..EVENTS {
        let event = timeout(Duration::from_secs(30), updates.next_event()).await.expect("in time").expect("an event");
        assert!(event.data() == Some(r#"{"body":"hello"}"#));
    }
}

#[test]
fn a_message_that_the_stream_accepts_allocates_nothing_and_the_connection_keeps_nothing_of_it() {
    for role in [Role::Client, Role::Server] {
        let stream = tokio::io::join(tokio::io::empty(), tokio::io::sink());
        let mut socket =
            WebSocket::from_upgraded(stream, role, &Config::default(), &Negotiated::default(), b"").unwrap();
        let mut send = |len| {
            let text = "x".repeat(len);
            allocation_counter::measure(|| socket.send_text(&text).now_or_never().expect("it is ready").unwrap())
        };
        // The first one makes the buffer of the thread.
        send(1);
        for len in [0, 64, 300, 4 << 10, 1 << 20] {
            assert_eq!(send(len).count_total, 0, "{len} bytes as {role:?}");
        }
    }
}

/// The server runs on a thread of its own: only what this thread allocates is counted.
#[test]
fn an_event_on_its_way_from_the_socket_to_the_application_allocates_nothing() {
    let serving = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(Server::builder().bind("127.0.0.1:0".parse().unwrap())).unwrap();
    let url = format!("ws://{}/ws", server.local_addr().unwrap());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (_client, mut updates) = runtime.block_on(Client::builder(&url).subscribe("p", ["*"]).connect()).unwrap();
    serving.spawn(publish(server.publisher()));
    runtime.block_on(take(&mut updates));

    serving.spawn(publish(server.publisher()));
    let allocated = allocation_counter::measure(|| runtime.block_on(take(&mut updates)));
    // A queue that has grown long gives room back when it is empty, and takes it again.
    assert!(allocated.count_total < EVENTS as u64 / 50, "{allocated:?}");
}

/// Clients and connections run on a thread of their own: only what this one allocates is counted, which publishes.
#[test]
fn an_event_is_serialized_and_framed_once_for_all_its_receivers() {
    const RECEIVERS: usize = 20;
    let data = format!(r#"{{"body":"{}"}}"#, "x".repeat(64 << 10));
    let data = RawJson::parse(&data).unwrap();
    let event_len = encode_event("message.received", Some("p"), &data, "2026-02-05T10:00:00.000Z").len() as u64;
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = elsewhere.block_on(Server::builder().bind("127.0.0.1:0".parse().unwrap())).unwrap();
    let url = format!("ws://{}/ws", server.local_addr().unwrap());
    let mut clients = Vec::new();
    let mut allocated = |count: usize| {
        while clients.len() < count {
            let client = elsewhere.block_on(async {
                let (client, updates) = Client::builder(&url).connect().await.expect("the server lets it in");
                timeout(Duration::from_secs(30), client.subscribe("p", ["*"])).await.expect("in time").expect("an ack");
                (client, updates)
            });
            clients.push(client);
        }
        let mut reached = 0;
        let info = allocation_counter::measure(|| {
            let published = server.publisher().publish("message.received", Some("p"), &data).now_or_never();
            reached = published.expect("it does not wait").unwrap().receivers;
        });
        assert_eq!(reached, count);
        info.bytes_total
    };
    let (one, all) = (allocated(1), allocated(RECEIVERS));
    // A place in each mailbox, and no byte of the event.
    assert!(one > event_len);
    assert!(all - one < event_len / 4, "{all} and {one} of {event_len}");
}
