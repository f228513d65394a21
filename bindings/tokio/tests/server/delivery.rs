//! What clients are answered, and which events they get.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use multiwa_ws_core::handshake::{ClientRequest, DeflateConfig, DeflateOffer};
use multiwa_ws_core::session::{Envelope, RawJson};
use multiwa_ws_core::websocket;
use multiwa_ws_tokio::{Observed, Server, ServerBuilder, SlowReader};
use tokio::sync::oneshot;

use super::client::{Client, number_of, publish, receivers, soon, start};

#[tokio::test]
async fn the_ack_comes_first_and_every_request_is_answered_as_the_protocol_says() {
    let (_server, address) = start(Server::builder()).await;
    let mut client = Client::connect_with(address, |_| {}).await.unwrap();
    let ack = client.text().await;
    let message = Envelope::parse(&ack, 64).unwrap();
    assert_eq!((message.kind().as_deref(), message.request_id()), (Some("ack"), None));
    assert_eq!(message.payload_text("clientId").unwrap().len(), 32);
    assert!(message.payload_text("timestamp").unwrap().ends_with('Z'));

    let subscribe = r#"{"type":"subscribe","payload":{"profileId":"p","events":["a","b"]},"requestId":"1"}"#;
    assert_eq!(
        client.ask(subscribe).await,
        r#"{"type":"ack","payload":{"action":"subscribed","profileId":"p","events":["a","b"]},"requestId":"1"}"#
    );
    let pong = client.ask(r#"{"type":"ping","requestId":2}"#).await;
    assert!(pong.starts_with(r#"{"type":"pong","payload":{"timestamp":""#) && pong.ends_with(r#"},"requestId":2}"#));
    assert_eq!(
        client.ask(r#"{"type":"unsubscribe","requestId":"3"}"#).await,
        r#"{"type":"ack","payload":{"action":"unsubscribed"},"requestId":"3"}"#
    );
    assert_eq!(
        client.ask(r#"{"type":"nonsense"}"#).await,
        r#"{"type":"error","payload":{"error":"Unknown message type","code":"unknown_type"}}"#
    );
}

#[tokio::test]
async fn a_binary_message_is_closed_with_1003() {
    let (_server, address) = start(Server::builder()).await;
    let mut client = Client::connect(address).await;
    soon(client.0.send_binary(b"x")).await.unwrap();
    assert_eq!(client.end().await.map(|(code, _)| code), Some(1003));
}

#[tokio::test]
async fn events_arrive_in_order_at_whoever_subscribes_to_them() {
    let (server, address) = start(Server::builder()).await;
    let publisher = server.publisher();
    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    one.subscribe("a", r#"["*"]"#).await;
    other.subscribe("b", r#"["message.received"]"#).await;
    for number in 0..100 {
        assert_eq!(publish(&publisher, if number % 2 == 0 { "a" } else { "b" }, number), 1);
    }
    assert_eq!(publish(&publisher, "c", 0), 0);
    let data = RawJson::parse(r#"{"n":100}"#).unwrap();
    assert_eq!(receivers(publisher.publish("session.status", Some("b"), &data)), 0);
    assert_eq!(receivers(publisher.publish_at("session.status", None, &data, "2026-02-05T10:00:00.000Z")), 1);
    assert_eq!(one.numbers(50).await, (0..100).step_by(2).collect::<Vec<_>>());
    assert_eq!(
        one.text().await,
        r#"{"type":"event","payload":{"event":"session.status","data":{"n":100},"timestamp":"2026-02-05T10:00:00.000Z"}}"#
    );
    assert_eq!(other.numbers(50).await, (1..100).step_by(2).collect::<Vec<_>>());
    // Nothing else is on its way.
    assert!(other.ask(r#"{"type":"ping"}"#).await.contains("pong"));
}

#[tokio::test]
async fn an_event_from_elsewhere_is_published_as_it_is() {
    let (server, address) = start(Server::builder()).await;
    let mut client = Client::connect(address).await;
    client.subscribe("p", r#"["x"]"#).await;
    let text = r#"{"v":1,"type":"event","payload":{"event":"x","profileId":"p","more":[]}}"#;
    let event = Envelope::parse(text, 64).unwrap().into_event().unwrap();
    assert_eq!(receivers(server.publisher().forward(&event)), 1);
    assert_eq!(client.text().await, text);
}

#[tokio::test]
async fn events_are_compressed_for_those_who_ask_for_it() {
    for server_no_context_takeover in [true, false] {
        let deflate = DeflateConfig::new().server_no_context_takeover(server_no_context_takeover);
        let (server, address) = start(Server::builder().compression(deflate)).await;
        let mut plain = Client::connect(address).await;
        let offer = |request: &mut ClientRequest| request.deflate = Some(DeflateOffer::default());
        let mut compressed = Client::connect_with(address, offer).await.unwrap();
        compressed.take_ack().await;
        for client in [&mut plain, &mut compressed] {
            client.subscribe("p", r#"["*"]"#).await;
        }
        for number in 0..50 {
            assert_eq!(publish(&server.publisher(), "p", number), 2);
        }
        for client in [&mut plain, &mut compressed] {
            assert_eq!(client.numbers(50).await, (0..50).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clients_see_the_events_of_all_publishers_in_one_order() {
    let (server, address) = start(Server::builder()).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(address).await;
        client.subscribe("p", r#"["*"]"#).await;
        clients.push(client);
    }
    let publishers = [0, 1, 2].map(|publisher_id| {
        let publisher = server.publisher();
        std::thread::spawn(move || {
            for number in 0..500 {
                publish(&publisher, "p", publisher_id * 500 + number);
            }
        })
    });
    let mut orders = Vec::new();
    for client in &mut clients {
        orders.push(client.numbers(1_500).await);
    }
    for publisher in publishers {
        publisher.join().unwrap();
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    let mut sorted = orders.swap_remove(0);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1_500).collect::<Vec<_>>());
}

/// `protocol.md`, Subscriptions: nothing published before the `ack` of a subscription, or after the `ack` of its removal, is
/// delivered for it, and nothing in between is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_counts_from_its_ack_to_that_of_its_removal() {
    let (server, address) = start(Server::builder()).await;
    let publisher = server.publisher();
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                publish(&publisher, "p", number);
                number += 1;
                std::thread::yield_now();
            }
        })
    };
    let mut client = Client::connect(address).await;
    let mut last = None;
    let mut delivered = 0;
    for _ in 0..100 {
        client.subscribe("p", r#"["*"]"#).await;
        let mut numbers = client.numbers(3).await;
        client.send(r#"{"type":"unsubscribe"}"#).await;
        loop {
            let text = client.text().await;
            if text.contains("unsubscribed") {
                break;
            }
            numbers.push(number_of(&text));
        }
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        assert!(last < numbers.first().copied());
        last = numbers.last().copied();
        delivered += numbers.len();
        // The pong would come behind an event that is delivered too late.
        assert!(client.ask(r#"{"type":"ping"}"#).await.contains("pong"));
    }
    stop.store(true, Ordering::Relaxed);
    publishing.join().unwrap();
    assert!(delivered >= 300);
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_nobody() {
    let (server, address) = start(Server::builder()).await;
    let mut stalled = Client::connect_in_memory(&server).await;
    stalled.subscribe("p", r#"["*"]"#).await;
    let mut client = Client::connect(address).await;
    client.subscribe("p", r#"["*"]"#).await;
    let publisher = server.publisher();
    for number in 0..2_000 {
        assert_eq!(publish(&publisher, "p", number), 2);
        if number % 100 == 0 {
            assert_eq!(client.numbers(100.min(number + 1)).await.last(), Some(&number));
        }
    }
}

#[tokio::test]
async fn sec_ap_01_a_client_that_reads_too_slowly_is_closed_with_1013() {
    let server = narrow(SlowReader::Close).build();
    let mut client = Client::connect_in_memory(&server).await;
    client.subscribe("p", r#"["*"]"#).await;
    let publisher = server.publisher();
    let taken = (0..1_000).take_while(|number| publish(&publisher, "p", *number) == 1).count();
    assert!((50..200).contains(&taken), "{taken}");
    let end = client.end().await;
    assert_eq!(end, Some((1013, "events were published faster than they were read".to_owned())));
}

#[tokio::test]
async fn sec_ap_01_the_newest_events_can_be_dropped_instead() {
    let (dropped, observe) = dropped_events();
    let server = narrow(SlowReader::DropNewest).observe(observe).build();
    let mut client = Client::connect_in_memory(&server).await;
    client.subscribe("p", r#"["*"]"#).await;
    let publisher = server.publisher();
    let mut taken = Vec::new();
    for number in 0..1_000 {
        if publish(&publisher, "p", number) == 1 {
            taken.push(number);
        }
        if number % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!((50..200).contains(&taken.len()), "{taken:?}");
    assert_eq!(client.numbers(taken.len()).await, taken);
    // There is room again.
    assert_eq!(publish(&publisher, "p", 1_000), 1);
    assert_eq!(client.numbers(1).await, [1_000]);
    drop(client);
    assert_eq!(soon(dropped).await.unwrap(), 1_000 - taken.len() as u64);
}

#[tokio::test]
async fn sec_ap_01_the_oldest_events_can_be_dropped_instead() {
    let (dropped, observe) = dropped_events();
    let server = narrow(SlowReader::DropOldest).observe(observe).build();
    let mut client = Client::connect_in_memory(&server).await;
    client.subscribe("p", r#"["*"]"#).await;
    let publisher = server.publisher();
    for number in 0..1_000 {
        assert_eq!(publish(&publisher, "p", number), 1);
        if number % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut numbers = Vec::new();
    while numbers.last() != Some(&999) {
        numbers.push(number_of(&client.text().await));
    }
    assert!((50..200).contains(&numbers.len()), "{}", numbers.len());
    // What was on its way when the client fell behind, and then the newest.
    let gaps = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
    assert!(numbers.is_sorted() && gaps == 1, "{numbers:?}");
    drop(client);
    assert_eq!(soon(dropped).await.unwrap(), 1_000 - numbers.len() as u64);
}

/// So little that a few events fill it.
fn narrow(policy: SlowReader) -> ServerBuilder {
    let websocket = websocket::Config::new().max_queued(16 << 10);
    Server::builder().websocket(websocket).slow_reader(policy)
}

/// The number of events that the first client that goes has missed.
fn dropped_events() -> (oneshot::Receiver<u64>, impl Fn(Observed<'_>) + Send + Sync) {
    let (sender, receiver) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let observe = move |observed: Observed<'_>| {
        if let Observed::Closed { dropped, .. } = observed
            && let Some(sender) = sender.lock().unwrap().take()
        {
            sender.send(dropped).unwrap();
        }
    };
    (receiver, observe)
}
