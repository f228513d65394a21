//! A close returns within its deadline, whatever the peer does.

use std::time::Duration;

use multiwa_ws_core::session::{ClientState, CloseCause};
use multiwa_ws_tokio::{Client, QueueConfig};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

use super::support::{Nowhere, builder, event, in_memory, publish, streams, subscribed};

/// The default of the session.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a close takes, in whole seconds: a deadline is followed by one more look at the stream.
async fn close(client: &Client) -> Duration {
    let start = Instant::now();
    client.close().await;
    assert_eq!((client.state(), client.closed().await), (ClientState::Closed, CloseCause::Application));
    Duration::from_secs(start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_left_at_the_deadline() {
    let (client, _updates, _server) = in_memory(builder(), 1 << 16).await;
    assert_eq!(close(&client).await, DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_nothing_is_left_at_the_deadline() {
    let (client, _updates, _server) = in_memory(builder(), 256).await;
    // More than the stream takes, so that not even the Close frame gets out.
    let pings: Vec<_> = (0..50).map(|_| client.ping()).collect();
    assert_eq!(close(&client).await, DEADLINE);
    drop(pings);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_stops_sending_is_left_at_the_deadline() {
    for events in [1, 1 << 20] {
        let builder = builder().queue(QueueConfig::new().events(events));
        let (client, _updates, mut server) = subscribed(builder, 1 << 16).await;
        let flood = tokio::spawn(async move {
            // It looks away from what it is sent, so it sends on after a Close frame.
            while server.sender().send_text(&event(1)).is_ok() {
                let _ = server.flush().await;
                sleep(Duration::from_millis(1)).await;
            }
        });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(close(&client).await, DEADLINE);
        flood.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_reads_nothing_does_not_delay_the_answer_of_the_server() {
    let builder = builder().queue(QueueConfig::new().events(1));
    let (client, _updates, mut server) = subscribed(builder, 1 << 16).await;
    for n in 0..3 {
        publish(&mut server, n).await;
    }
    sleep(Duration::from_secs(1)).await;
    let serve = tokio::spawn(async move { while server.next().await.unwrap().is_some() {} });
    assert_eq!(close(&client).await, Duration::ZERO);
    serve.await.unwrap();
    assert_eq!(client.status().dropped, 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_connect_is_given_up_at_once() {
    let (_sender, connector) = streams::<DuplexStream>();
    let (client, _updates) = builder().start_with(connector).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.state(), ClientState::Connecting);
    assert_eq!(close(&client).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_given_up_at_once() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let (sender, connector) = streams();
    sender.send(near).unwrap();
    let (client, _updates) = builder().start_with(connector).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.state(), ClientState::Connecting);
    assert_eq!(close(&client).await, Duration::ZERO);
    // The stream is gone, too.
    let mut request = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut far, &mut request).await.unwrap();
    assert!(request.starts_with(b"GET /ws "));
}

#[tokio::test(start_paused = true)]
async fn a_back_off_is_given_up_at_once() {
    let (client, _updates) = builder().start_with(Nowhere).unwrap();
    while client.state() != ClientState::Backoff {
        sleep(Duration::from_millis(10)).await;
    }
    let status = client.status();
    assert!(status.next_attempt_in.is_some() && format!("{:#}", status.last_disconnect.unwrap()).contains("refused"));
    assert_eq!(close(&client).await, Duration::ZERO);
}
