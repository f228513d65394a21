//! An application that does not take its updates.

use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{ClientConfig, ClientState};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{Client, QueueConfig, RequestError};
use tokio::time::sleep;

use crate::support::{accept, acknowledge, answer, builder, listen, member, next_data, publish, subscribed, within};

#[tokio::test]
async fn a_full_queue_that_waits_loses_nothing() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(
        Client::builder(&url).queue(QueueConfig { events: 4, ..QueueConfig::default() }).connect(),
        accept(&listener)
    );
    let (client, mut updates) = connected.unwrap();
    let (subscribed, _) = within(async { tokio::join!(client.subscribe("p", ["e"]), acknowledge(&mut server)) }).await;
    subscribed.unwrap();
    for n in 0..100 {
        publish(&mut server, n).await;
    }
    for n in 0..100 {
        assert_eq!(next_data(&mut updates).await, n.to_string());
    }
    assert_eq!(client.status().dropped, 0);
}

#[tokio::test]
async fn updates_that_nobody_takes_any_more_hold_up_no_request() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(
        Client::builder(&url).queue(QueueConfig { events: 1, ..QueueConfig::default() }).connect(),
        accept(&listener)
    );
    let (client, updates) = connected.unwrap();
    let (subscribed, _) = within(async { tokio::join!(client.subscribe("p", ["e"]), acknowledge(&mut server)) }).await;
    subscribed.unwrap();
    for n in 0..3 {
        publish(&mut server, n).await;
    }
    // The ping stands behind the events on the wire, which are more than the queue holds.
    let ping = client.ping();
    while client.status().counters.events < 1 {
        tokio::task::yield_now().await;
    }
    drop(updates);
    let (pinged, _) = within(async { tokio::join!(ping, acknowledge(&mut server)) }).await;
    pinged.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_a_full_queue_waits_requests_time_out_and_the_silence_is_not_the_servers() {
    let session = ClientConfig {
        request_timeout: Duration::from_secs(10),
        keep_alive: KeepAlive { interval: Some(Duration::from_secs(30)), ..KeepAlive::default() },
        ..ClientConfig::default()
    };
    let builder = builder().session(session).queue(QueueConfig { events: 2, ..QueueConfig::default() });
    let (client, mut updates, mut server) = subscribed(builder, 1 << 16).await;
    // A server that answers at once all the time.
    let serve = tokio::spawn(async move {
        for n in 0..5 {
            publish(&mut server, n).await;
        }
        while let Some(mut received) = server.next().await.unwrap() {
            if let Event::Text(text) = received.event {
                let reply = answer(&member(text, "type"), &member(text, "requestId"));
                received.sender.send_text(&reply).unwrap();
            }
        }
    });
    sleep(Duration::from_secs(1)).await;
    // The queue is full: the answer to this ping is behind events that are not read.
    assert_eq!(client.ping().await, Err(RequestError::TimedOut));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((client.state(), client.status().attempt), (ClientState::Ready, 1));
    for n in 0..5 {
        assert_eq!(next_data(&mut updates).await, n.to_string());
    }
    client.ping().await.unwrap();
    // From here on the keep-alive has its say again, and the server answers it.
    sleep(Duration::from_secs(3600)).await;
    let status = client.status();
    assert_eq!((status.state, status.attempt, status.last_loss), (ClientState::Ready, 1, None));
    assert!(status.last_traffic.unwrap() <= Duration::from_secs(40), "{status:?}");
    client.close().await;
    serve.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_a_server_that_is_silent_is_lost_after_the_usual_wait() {
    let builder = builder().queue(QueueConfig { events: 1, ..QueueConfig::default() });
    let (client, mut updates, mut server) = subscribed(builder, 1 << 16).await;
    publish(&mut server, 0).await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(client.state(), ClientState::Ready);
    assert_eq!(next_data(&mut updates).await, "0");
    sleep(Duration::from_secs(29)).await;
    assert_eq!(client.state(), ClientState::Ready);
    sleep(Duration::from_secs(30 + 10)).await;
    assert_ne!(client.state(), ClientState::Ready);
}
