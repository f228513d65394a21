//! An application that does not take its updates.

use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{ClientConfig, ClientState};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{Client, QueueConfig, RequestError, WebSocket};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

use super::support::{accept, acknowledge, answer, builder, listen, member, next_data, publish, subscribed, within};

#[tokio::test]
async fn a_full_queue_that_waits_loses_nothing() {
    let (listener, url) = listen().await;
    let (connected, mut server) =
        tokio::join!(Client::builder(&url).queue(QueueConfig::new().events(4)).connect(), accept(&listener));
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
    let (connected, mut server) =
        tokio::join!(Client::builder(&url).queue(QueueConfig::new().events(1)).connect(), accept(&listener));
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
async fn while_a_full_queue_waits_requests_fail_and_the_silence_is_not_the_servers() {
    let session = ClientConfig::new()
        .request_timeout(Duration::from_secs(10))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(30)));
    let builder = builder().session(session).queue(QueueConfig::new().events(2));
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
    assert_eq!(client.ping().await, Err(RequestError::UpdatesUnread));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((client.state(), client.status().attempt), (ClientState::Ready, 1));
    for n in 0..5 {
        assert_eq!(next_data(&mut updates).await, n.to_string());
    }
    client.ping().await.unwrap();
    // From here on the keep-alive has its say again, and the server answers it.
    sleep(Duration::from_secs(3600)).await;
    let status = client.status();
    assert_eq!((status.state, status.attempt, status.last_disconnect.is_none()), (ClientState::Ready, 1, true));
    assert!(status.last_traffic.unwrap() <= Duration::from_secs(40), "{status:?}");
    client.close().await;
    serve.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_a_server_that_is_silent_is_lost_after_the_usual_wait() {
    let builder = builder().queue(QueueConfig::new().events(1));
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

/// Publishes `count` events, then answers every request.
async fn publish_then_answer(mut server: WebSocket<DuplexStream>, count: usize) {
    for n in 0..count {
        publish(&mut server, n).await;
    }
    while let Some(mut received) = server.next().await.unwrap() {
        if let Event::Text(text) = received.event {
            let reply = answer(&member(text, "type"), &member(text, "requestId"));
            received.sender.send_text(&reply).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f_09_a_request_on_the_task_that_leaves_updates_unread_fails_at_once() {
    let (client, mut updates, server) = subscribed(builder(), 1 << 16).await;
    // A backlog, as after a reconnection: a little more than the default queue holds.
    tokio::spawn(publish_then_answer(server, 1_100));
    assert_eq!(next_data(&mut updates).await, "0");
    sleep(Duration::from_secs(1)).await;

    let started = Instant::now();
    assert_eq!(client.subscribe("q", ["e"]).await, Err(RequestError::UpdatesUnread));
    assert_eq!(started.elapsed(), Duration::ZERO);
    for n in 1..1_100 {
        assert_eq!(next_data(&mut updates).await, n.to_string());
    }
    // It was asked for all the same.
    client.ping().await.unwrap();
    assert_eq!(client.status().active.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn f_09_a_request_fails_at_once_when_nobody_has_ever_taken_an_update() {
    let builder = builder().queue(QueueConfig::new().events(2));
    let (client, _updates, server) = subscribed(builder, 1 << 16).await;
    tokio::spawn(publish_then_answer(server, 3));
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    assert_eq!(client.ping().await, Err(RequestError::UpdatesUnread));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn f_09_a_request_that_waits_already_fails_when_the_queue_is_full() {
    let builder = builder().queue(QueueConfig::new().events(2));
    let (client, _updates, server) = subscribed(builder, 1 << 16).await;
    let started = Instant::now();
    let publishing = tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        publish_then_answer(server, 3).await;
    });
    assert_eq!(client.ping().await, Err(RequestError::UpdatesUnread));
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    publishing.abort();
}

#[tokio::test(start_paused = true)]
async fn f_09_updates_and_a_request_can_be_awaited_together_on_one_task() {
    let builder = builder().queue(QueueConfig::new().events(1));
    let (client, mut updates, server) = subscribed(builder, 1 << 16).await;
    tokio::spawn(publish_then_answer(server, 100));
    sleep(Duration::from_secs(1)).await;
    let mut request = client.subscribe("q", ["e"]);
    let mut taken = 0;
    let result = loop {
        tokio::select! {
            biased;
            result = &mut request => break result,
            event = updates.next_event() => taken += usize::from(event.is_some()),
        }
    };
    result.unwrap();
    assert_eq!(taken, 100);
}

#[tokio::test(start_paused = true)]
async fn f_09_a_reader_on_another_task_may_take_its_time() {
    let builder = builder().queue(QueueConfig::new().events(1));
    let (client, mut updates, server) = subscribed(builder, 1 << 16).await;
    tokio::spawn(publish_then_answer(server, 5));
    tokio::spawn(async move {
        while updates.next_event().await.is_some() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    sleep(Duration::from_millis(500)).await;
    client.subscribe("q", ["e"]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn f_09_a_request_that_times_out_behind_unread_updates_says_so() {
    let builder = builder().queue(QueueConfig::new().events(1));
    let (client, mut updates, server) = subscribed(builder, 1 << 16).await;
    tokio::spawn(publish_then_answer(server, 5));
    tokio::spawn(async move {
        let _ = updates.next_event().await;
        sleep(Duration::from_secs(3_600)).await;
        drop(updates);
    });
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    assert_eq!(client.ping().await, Err(RequestError::UpdatesUnread));
    assert_eq!(started.elapsed().as_secs(), 10);
}
