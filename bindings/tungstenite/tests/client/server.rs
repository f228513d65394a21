//! Against the server of the tokio binding.

use std::time::Duration;

use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::{ClientState, CloseCause, CommandError, DisconnectReason, LifecycleEvent};
use multiwa_ws_tokio::Server;
use multiwa_ws_tungstenite::{
    BuildError, Client, ConnectError, KeyPlacement, Overflow, QueueConfig, RequestError, Update,
};

use crate::peer::{at_once, call, find, next, number, numbers, publish, serve, soon, wait_until};

#[test]
fn a_client_connects_subscribes_and_receives_events_until_it_closes() {
    let (server, url) = serve(Server::builder().api_keys([ApiKey::new("k 1")]));
    for placement in [KeyPlacement::Query, KeyPlacement::Header, KeyPlacement::Bearer] {
        let (client, mut updates) = Client::builder(&url).api_key("k 1").key_placement(placement).connect().unwrap();
        assert_eq!(client.state(), ClientState::Ready);
        client.subscribe("p", ["message.received"]).unwrap();
        // The server announced that it knows sets, so a second profile stands beside the first.
        client.subscribe("q", ["*"]).unwrap();
        assert_eq!(client.status().active.len(), 2);

        assert_eq!(publish(&server.publisher(), "p", 1), 1);
        assert_eq!(publish(&server.publisher(), "other", 2), 0);
        assert_eq!(publish(&server.publisher(), "q", 3), 1);
        assert_eq!(numbers(&mut updates, 2), [1, 3]);

        client.unsubscribe(Some("p")).unwrap();
        assert_eq!(publish(&server.publisher(), "p", 4), 0);
        assert!(client.ping().unwrap() > Duration::ZERO);
        assert!(client.status().round_trip.is_some());

        client.close();
        assert_eq!((client.state(), client.closed()), (ClientState::Closed, CloseCause::Application));
        let last = std::iter::from_fn(|| next(&mut updates).map(Update::into_owned)).last();
        assert_eq!(last, Some(Update::Lifecycle(LifecycleEvent::Closed(CloseCause::Application))));
        assert_eq!(updates.next(), None);
        assert_eq!(client.ping(), Err(RequestError::Command(CommandError::Closed)));
        wait_until(|| server.connections() == 0);
    }
}

#[test]
fn a_refused_key_ends_the_client_and_shows_nowhere() {
    let (_server, url) = serve(Server::builder().api_keys([ApiKey::new("right")]));
    let Err(BuildError::Connect(error)) = Client::builder(&url).api_key("s3cret").connect() else { panic!("let in") };
    let ConnectError::Disconnected(last) = &error else { panic!("{error:?}") };
    assert_eq!(last.reason(), DisconnectReason::Refused { status: 401, retry_after: None });
    let detail = format!("{last:#}");
    assert!(detail.contains("401"), "{detail}");
    assert!(!format!("{error:?} {error}").contains("s3cret"), "{error:?}");
}

#[test]
fn what_a_builder_subscribes_to_is_live_when_the_client_is_ready() {
    let (server, url) = serve(Server::builder());
    let builder = Client::builder(&url).subscribe("p", ["message.received"]).subscribe("q", ["*"]);
    let (client, mut updates) = builder.connect().unwrap();
    assert_eq!(client.status().active.len(), 2);
    publish(&server.publisher(), "q", 7);
    assert_eq!(number(&mut updates), 7);
}

#[test]
fn a_server_that_goes_and_comes_back_finds_the_client_and_its_subscriptions_again() {
    let (server, url) = serve(Server::builder());
    let address = server.local_addr().unwrap();
    let (client, mut updates) = Client::builder(&url).reconnect(at_once()).connect().unwrap();
    client.subscribe("p", ["message.received"]).unwrap();

    soon(server.shutdown(Duration::from_secs(5)));
    let reason = find(&mut updates, |update| match update {
        Update::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::ClosedByPeer { code: Some(1001) });

    let server = soon(Server::builder().bind(address)).unwrap();
    let gap = find(&mut updates, |update| match update {
        Update::Lifecycle(LifecycleEvent::Ready { failed, gap }) => Some((failed.len(), gap.is_some())),
        _ => None,
    });
    assert_eq!(gap, (0, true));
    assert_eq!(publish(&server.publisher(), "p", 7), 1);
    assert_eq!(number(&mut updates), 7);
}

#[test]
fn requests_are_acknowledged_while_events_lie_unread() {
    let (server, url) = serve(Server::builder());
    let (client, mut updates) = Client::builder(&url).connect().unwrap();
    client.subscribe("p", ["*"]).unwrap();
    for number in 0..100 {
        publish(&server.publisher(), "p", number);
    }
    client.subscribe("q", ["*"]).unwrap();
    client.ping().unwrap();
    assert_eq!(numbers(&mut updates, 100), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_slow_application_is_treated_as_it_chose() {
    let (server, url) = serve(Server::builder());
    let flooded = |overflow| {
        let (client, updates) = Client::builder(&url)
            .queue(QueueConfig::new().events(3).overflow(overflow))
            .subscribe("p", ["*"])
            .connect()
            .unwrap();
        for number in 0..10 {
            publish(&server.publisher(), "p", number);
        }
        (client, updates)
    };

    let (client, mut updates) = flooded(Overflow::DropOldest);
    wait_until(|| client.status().dropped == 7);
    assert_eq!(numbers(&mut updates, 3), [7, 8, 9]);
    client.close();

    let (client, mut updates) = flooded(Overflow::DropNewest);
    wait_until(|| client.status().dropped == 7);
    assert_eq!(numbers(&mut updates, 3), [0, 1, 2]);
    client.close();

    let (client, mut updates) = flooded(Overflow::Close);
    assert_eq!(client.closed(), CloseCause::Application);
    assert_eq!(numbers(&mut updates, 3), [0, 1, 2]);
    assert!(client.status().dropped >= 1);

    let (client, mut updates) = flooded(Overflow::Wait);
    assert_eq!(numbers(&mut updates, 10), (0..10).collect::<Vec<_>>());
    assert_eq!(client.status().dropped, 0);
}

#[test]
fn a_client_whose_queue_is_full_closes_as_promptly_as_another() {
    let (server, url) = serve(Server::builder());
    let (client, updates) =
        Client::builder(&url).queue(QueueConfig::new().events(2)).subscribe("p", ["*"]).connect().unwrap();
    for number in 0..1000 {
        publish(&server.publisher(), "p", number);
    }
    wait_until(|| client.status().counters.events >= 2);
    call(move || client.close()).returned();
    // It read what was on its way, and the server read all of it.
    wait_until(|| server.connections() == 0);
    let events = updates.filter(|update| matches!(update, Update::Event(_))).count();
    assert_eq!(events, 2);
}
