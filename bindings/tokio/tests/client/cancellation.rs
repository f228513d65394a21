//! A future of the client that is dropped at any of its waits loses nothing and sends nothing twice.
//!
//! How the streams dawdle, and at which wait each future is dropped, depends on the seed of the run alone.

use std::collections::BTreeMap;
use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::session::{self, CloseCause};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{Client, Server, Update, Updates, WebSocket};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc::UnboundedSender;

use super::support::{answer, at_once, builder, event, member, send_ack, streams, within};
use crate::kit::choppy::{self, Choppy, below};
use crate::kit::persist::{persist, unless_waits};

const SEEDS: u64 = 20;

/// Connections of one client, and the events that come over each.
const CONNECTIONS: usize = 3;
const EVENTS: usize = 40;

/// A client whose streams dawdle, with the far ends of the first `CONNECTIONS`.
fn client(seed: u64) -> (Client, Updates, Vec<Choppy>, UnboundedSender<Choppy>) {
    let (sender, connector) = streams();
    let pairs = (0..CONNECTIONS as u64).map(|connection| choppy::pair(seed << 8 | connection));
    let far = pairs.map(|(near, far)| {
        assert!(sender.send(near).is_ok());
        far
    });
    let far = far.collect();
    let (client, updates) = builder().reconnect(at_once()).start_with(connector).unwrap();
    (client, updates, far, sender)
}

/// What a server was sent: how often each request came.
type Requests = BTreeMap<(String, String), usize>;

/// Greets, grants every request, and once `events` of them are subscribed to publishes those; then ends by a Close frame of
/// its own unless it is the last connection.
async fn serve(stream: Choppy, events: std::ops::Range<usize>, is_last: bool) -> Requests {
    let mut socket: WebSocket<Choppy> = send_ack(stream).await;
    let mut requests = Requests::new();
    let mut published = false;
    while let Some(mut received) = socket.next().await.unwrap() {
        let Event::Text(text) = received.event else { continue };
        let (kind, id) = (member(text, "type"), member(text, "requestId"));
        received.sender.send_text(&answer(&kind, &id)).unwrap();
        *requests.entry((kind.clone(), id)).or_default() += 1;
        if kind == "subscribe" && !published {
            published = true;
            for n in events.clone() {
                received.sender.send_text(&event(n)).unwrap();
            }
            if !is_last {
                received.sender.close(multiwa_ws_core::Instant::default(), CloseCode::new(1012), "").unwrap();
            }
        }
    }
    requests
}

#[tokio::test(start_paused = true)]
async fn dropped_futures_of_the_updates_lose_no_event_and_give_none_twice() {
    for seed in 0..SEEDS {
        let (client, mut updates, far, _sender) = client(seed);
        drop(client.subscribe("p", ["e"]));
        let serving = async {
            for (connection, stream) in far.into_iter().enumerate() {
                let events = connection * EVENTS..(connection + 1) * EVENTS;
                let requests = serve(stream, events, connection + 1 == CONNECTIONS).await;
                assert!(requests.values().all(|times| *times == 1), "{requests:?} with seed {seed}");
            }
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let taking = async {
            for n in 0..CONNECTIONS * EVENTS {
                let data = match n % 2 {
                    0 => persist(&mut random, async || data(updates.next_event().await)).await,
                    _ => loop {
                        let next = async || match updates.next().await.expect("an update") {
                            Update::Event(event) => Some(data(Some(event))),
                            _ => None,
                        };
                        if let Some(data) = persist(&mut random, next).await {
                            break data;
                        }
                    },
                };
                assert_eq!(data, n.to_string(), "with seed {seed}");
            }
            client.close().await;
        };
        within(async { tokio::join!(serving, taking) }).await;
        assert_eq!(client.status().dropped, 0);
    }
}

fn data(event: Option<session::Event<'_>>) -> String {
    event.expect("an event").data().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_was_made_once_and_its_waiting_can_be_left_and_taken_up() {
    for seed in 0..SEEDS {
        let (client, _updates, mut far, _sender) = client(seed);
        let stream = far.swap_remove(0);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let asking = async {
            persist(&mut random, async || client.ready().await).await.unwrap();
            let mut made = 0;
            for n in 0..30 {
                let mut request = match n % 3 {
                    0 => client.subscribe(&format!("p{n}"), ["e"]),
                    1 => client.unsubscribe(None),
                    _ => client.ping(),
                };
                made += 1;
                // The request itself stays, and is waited for again and again, or is dropped half-way.
                if below(&mut random, 2) == 0 {
                    persist(&mut random, async || (&mut request).await).await.unwrap();
                } else {
                    unless_waits(1, request).await;
                }
            }
            // Behind all that were dropped.
            client.ping().await.unwrap();
            let cause = persist(&mut random, async || {
                client.close().await;
                client.closed().await
            });
            assert_eq!(cause.await, CloseCause::Application);
            assert_eq!(persist(&mut random, async || client.closed().await).await, CloseCause::Application);
            made + 1
        };
        let (made, requests) = within(async { tokio::join!(asking, serve(stream, 0..0, true)) }).await;
        assert_eq!((requests.len(), requests.values().sum::<usize>()), (made, made), "{requests:?} with seed {seed}");
    }
}

#[tokio::test]
async fn a_dropped_connect_leaves_no_connection_behind() {
    let server = Server::builder().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("ws://{}/ws", server.local_addr().unwrap());
    let mut completed = 0;
    for waits in 1..=12 {
        let connected = unless_waits(waits, Client::builder(&url).connect()).await;
        completed += usize::from(connected.is_some());
        drop(connected);
        // It may have left before it dialed, during the upgrade, or after it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        within(async {
            while server.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    assert!(completed < 12, "none was dropped half-way");
}
