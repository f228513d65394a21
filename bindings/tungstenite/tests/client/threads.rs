//! Threads: one reads, others command.

use std::time::{Duration, Instant};

use multiwa_ws_core::session::{ClientConfig, ClientState, CloseCause, DisconnectReason, LifecycleEvent};
use multiwa_ws_tokio::Server;
use multiwa_ws_tungstenite::{
    BuildError, Client, ConnectError, ConnectorError, QueueConfig, RequestError, TimedOut, Update,
};

use crate::peer::{Call, call, listen, number, numbers, publish, runtime, serve, wait_until};

#[test]
fn other_threads_subscribe_ping_and_close_while_one_waits_for_an_event() {
    let (server, url) = serve(Server::builder());
    let (client, mut updates) = Client::builder(&url).connect().unwrap();
    let reading: Call<Vec<usize>> = call(move || {
        let events = updates.by_ref().filter_map(|update| match update {
            Update::Event(event) => Some(event.data().unwrap().parse().unwrap()),
            _ => None,
        });
        events.collect()
    });
    let commanding: Vec<_> = (0..4)
        .map(|thread| {
            let client = client.clone();
            call(move || {
                for round in 0..10 {
                    client.subscribe(&format!("{thread}-{round}"), ["*"]).unwrap();
                    client.ping().unwrap();
                }
            })
        })
        .collect();
    commanding.into_iter().for_each(Call::returned);
    assert_eq!(client.status().active.len(), 40);
    assert!(!reading.has_returned());
    assert_eq!(publish(&server.publisher(), "3-9", 7), 1);
    wait_until(|| client.status().counters.events == 1);

    call(move || client.close()).returned();
    assert_eq!(reading.returned(), [7]);
}

#[test]
fn a_read_whose_deadline_passes_has_lost_nothing() {
    let (server, url) = serve(Server::builder());
    let (client, mut updates) = Client::builder(&url).subscribe("p", ["*"]).connect().unwrap();
    while updates.next_timeout(Duration::ZERO).is_ok() {}
    assert_eq!(updates.next_timeout(Duration::from_millis(1)), Err(TimedOut));

    let publisher = server.publisher();
    let publishing = runtime().spawn(async move {
        for number in 0..500 {
            publish(&publisher, "p", number);
            tokio::task::yield_now().await;
        }
    });
    let mut received: Vec<usize> = Vec::new();
    let mut timed_out = 0;
    while received.len() < 500 {
        match updates.next_timeout(Duration::from_micros(20)) {
            Ok(Some(Update::Event(event))) => received.push(event.data().unwrap().parse().unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(TimedOut) => timed_out += 1,
        }
        assert!(timed_out < 10_000_000, "{} events came", received.len());
    }
    assert_eq!(received, (0..500).collect::<Vec<_>>());
    drop(publishing);

    client.close();
    assert!(matches!(updates.next_timeout(Duration::ZERO), Ok(Some(Update::Lifecycle(LifecycleEvent::Closing)))));
    assert!(matches!(updates.next(), Some(Update::Lifecycle(LifecycleEvent::Closed(CloseCause::Application)))));
    assert_eq!(updates.next_timeout(Duration::MAX), Ok(None));
}

#[test]
fn dropping_every_handle_closes_the_connection() {
    let listener = listen();
    let builder = Client::builder(&listener.url);
    let connecting = call(move || builder.connect().unwrap());
    let mut peer = listener.accept();
    let (client, updates) = connecting.returned();
    drop(client.clone());
    drop((client, updates));
    assert_eq!(peer.close_code(), Some(1000));
    peer.read_to_end();
    assert!(peer.socket.closed().unwrap().clean);
}

#[test]
fn a_request_ends_in_time_when_it_is_not_answered_and_at_once_when_the_connection_is_lost() {
    let listener = listen();
    let config = ClientConfig::new().request_timeout(Duration::from_millis(50));
    let builder = Client::builder(&listener.url).session(config);
    let connecting = call(move || builder.connect().unwrap());
    let mut peer = listener.accept();
    let (client, _updates) = connecting.returned();
    assert_eq!(client.subscribe("p", ["e"]), Err(RequestError::TimedOut));

    // A late answer still counts.
    peer.acknowledge();
    wait_until(|| client.status().active.len() == 1);

    let config = ClientConfig::default();
    let builder = Client::builder(&listener.url).session(config);
    let connecting = call(move || builder.connect().unwrap());
    let mut peer = listener.accept();
    let (client, _updates) = connecting.returned();
    let pinging = call(move || client.ping());
    assert_eq!(peer.request().0, "ping");
    drop(peer);
    assert_eq!(pinging.returned(), Err(RequestError::ConnectionLost));
}

#[test]
fn a_server_that_refuses_a_request_is_quoted() {
    let listener = listen();
    let builder = Client::builder(&listener.url);
    let connecting = call(move || builder.connect().unwrap());
    let mut peer = listener.accept();
    let (client, mut updates) = connecting.returned();
    let subscribing = call(move || {
        let refused = client.subscribe("p", ["e"]);
        (client, refused)
    });
    let (_, id) = peer.request();
    peer.send(&format!(r#"{{"type":"error","requestId":"{id}","payload":{{"error":"no","code":"limit_exceeded"}}}}"#));
    let (client, refused) = subscribing.returned();
    let expected = RequestError::Refused { error: "no".to_owned(), code: Some("limit_exceeded".to_owned()) };
    assert_eq!(refused, Err(expected));

    let subscribing = call(move || client.subscribe("p", ["e"]).map(|_| client));
    peer.acknowledge();
    let client = subscribing.returned().unwrap();
    for sent in 0..10 {
        peer.publish(sent);
    }
    assert_eq!(numbers(&mut updates, 10), (0..10).collect::<Vec<_>>());
    assert_eq!(client.state(), ClientState::Ready);
    // The client still reads after what it did not understand.
    peer.send("no JSON");
    peer.publish(10);
    assert_eq!(number(&mut updates), 10);
}

#[test]
fn f_09_a_request_on_the_thread_that_leaves_updates_unread_fails_at_once_and_on_another_it_waits() {
    let (server, url) = serve(Server::builder());
    let builder = Client::builder(&url).subscribe("p", ["*"]).queue(QueueConfig::new().events(2));
    let (client, mut updates) = builder.connect().unwrap();
    let publish = |count: usize| (0..count).for_each(|number| assert_eq!(publish(&server.publisher(), "p", number), 1));
    publish(5);
    assert_eq!(number(&mut updates), 0);
    wait_until(|| client.status().counters.events >= 3);
    let asking = client.clone();
    let (updates, result) = call(move || {
        assert_eq!(number(&mut updates), 1);
        wait_until(|| asking.status().counters.events >= 4);
        let started = Instant::now();
        let result = asking.subscribe("q", ["*"]);
        assert!(started.elapsed() < Duration::from_secs(5));
        (updates, result)
    })
    .returned();
    assert_eq!(result, Err(RequestError::UpdatesUnread));

    let asked = call(move || client.ping());
    let reading = call(move || {
        let mut updates = updates;
        (0..3).for_each(|_| {
            std::thread::sleep(Duration::from_millis(50));
            number(&mut updates);
        });
    });
    asked.returned().unwrap();
    reading.returned();
}

#[test]
fn f_11_connect_gives_up_at_its_deadline_and_reports_the_last_error() {
    let provider = |_| Err(ConnectorError::retry("nobody is there"));
    let builder = Client::builder_with(provider).connect_deadline(Duration::from_millis(50));
    let error = call(move || builder.connect().map(drop)).returned().unwrap_err();
    let BuildError::Connect(ConnectError::TimedOut { last: Some(last), .. }) = error else { panic!("{error:?}") };
    assert_eq!(last.reason(), DisconnectReason::Io);
    assert!(format!("{last:#}").contains("nobody is there"), "{last:#}");
}

#[test]
fn f_17_two_clients_share_no_request_ids() {
    let [one, other] = [(); 2].map(|()| {
        let listener = listen();
        let (_client, _updates) = Client::builder(&listener.url).subscribe("p", ["e"]).start().unwrap();
        listener.accept().request().1
    });
    assert_ne!(one, other);
}
