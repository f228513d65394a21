//! A server with two thousand clients restarts: all of them come back, and no faster than it lets them in.

#![cfg(test)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use multiwa_ws_core::session::{LifecycleEvent, ReconnectConfig};
use multiwa_ws_tokio::{Client, ConnectionRate, Observed, Server, Update, Updates};

const CLIENTS: usize = 2_000;

/// How many a second the server lets in once it is back, and how many at once.
const BURST: u32 = 100;
const PER_SECOND: u32 = 500;

/// Far more than it takes.
const LIMIT: Duration = Duration::from_secs(120);

/// When each client arrived, and whether it was accepted.
type Attempts = Arc<Mutex<Vec<(Duration, bool)>>>;

async fn start(address: SocketAddr, rate: Option<ConnectionRate>) -> (Server, Attempts) {
    let (begun, attempts) = (Instant::now(), Attempts::default());
    let observe = {
        let attempts = attempts.clone();
        move |observed: Observed<'_>| match observed {
            Observed::Opened { .. } => attempts.lock().unwrap().push((begun.elapsed(), true)),
            Observed::Refused { status, .. } => {
                assert_eq!(status, 503);
                attempts.lock().unwrap().push((begun.elapsed(), false));
            }
            _ => {}
        }
    };
    let mut builder = Server::builder().observe(observe);
    if let Some(rate) = rate {
        builder = builder.connection_rate(rate);
    }
    (builder.bind(address).await.unwrap(), attempts)
}

async fn connect(url: &str) -> (Client, Updates) {
    let reconnect = ReconnectConfig::new().initial(Duration::from_millis(500)).max(Duration::from_secs(2));
    Client::builder(url).reconnect(reconnect).subscribe("p", ["*"]).connect().await.unwrap()
}

async fn ready_again(updates: &mut Updates) {
    loop {
        if let Update::Lifecycle(LifecycleEvent::Ready { failed, gap: Some(_) }) =
            updates.next().await.expect("it goes on")
        {
            assert_eq!(failed, []);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_come_back_subscribed_at_the_rate_that_the_server_sets() {
    // Two sockets a client, as both ends are in this process.
    rlimit::increase_nofile_limit(20_000).unwrap();
    let test = async {
        let (server, _) = start("127.0.0.1:0".parse().unwrap(), None).await;
        let address = server.local_addr().unwrap();
        let url = format!("ws://{address}/ws");
        let mut clients = Vec::new();
        // Not all at once: the queue of a listener is short.
        for _ in 0..CLIENTS / 100 {
            clients.extend(join_all((0..100).map(|_| connect(&url))).await);
        }
        assert_eq!(server.connections(), CLIENTS);
        assert_eq!(server.shutdown(Duration::from_secs(30)).await, 0);
        drop(server);

        let begun = Instant::now();
        let (server, attempts) = start(address, Some(ConnectionRate::new(BURST, PER_SECOND))).await;
        join_all(clients.iter_mut().map(|(_, updates)| ready_again(updates))).await;
        let took = begun.elapsed();
        assert_eq!(server.connections(), CLIENTS);
        assert_eq!(server.publisher().publish("e", Some("p"), &1).await.unwrap().receivers, CLIENTS);
        for (client, updates) in &mut clients {
            assert_eq!(updates.next_event().await.unwrap().data(), Some("1"));
            assert_eq!(client.status().active.len(), 1);
        }

        let attempts = attempts.lock().unwrap();
        let let_in: Vec<_> = attempts.iter().filter(|(_, let_in)| *let_in).map(|(at, _)| *at).collect();
        // What is seen late was let in earlier still, so a busy machine makes no false alarm.
        for (number, at) in (1_u32..).zip(&let_in) {
            let allowed = f64::from(BURST) + (at.as_secs_f64() * f64::from(PER_SECOND)).ceil();
            assert!(f64::from(number) <= allowed, "{number} were let in within {at:?}");
        }
        let turned_away = attempts.len() - let_in.len();
        println!("{CLIENTS} clients were back after {took:?}; {turned_away} were turned away before");
        assert_eq!(let_in.len(), CLIENTS);
        // Clients that are refused are given a time to come back: most of them once, and nobody over and over again.
        assert!(turned_away < 3 * CLIENTS, "{turned_away}");
    };
    tokio::time::timeout(LIMIT, test).await.expect("in time");
}
