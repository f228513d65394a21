//! Connecting, requests, reconnecting and the end, over TCP.

use std::future::pending;
use std::time::Duration;

use multiwa_ws_core::handshake::{Rejection, UpgradeRequest};
use multiwa_ws_core::session::{
    ClientState, CloseCause, CommandError, DisconnectReason, LifecycleEvent, ReconnectConfig,
};
use multiwa_ws_tokio::{
    BuildError, Client, ClientBuilder, ConnectError, ConnectorError, DialerError, RequestError, Update, WebSocketConfig,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::support::{Socket, accept, acknowledge, at_once, listen, next_data, publish, request, within};

#[tokio::test]
async fn requests_are_answered_while_events_lie_unread() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(Client::builder(&url).connect(), accept(&listener));
    let (client, mut updates) = connected.unwrap();

    let (subscribed, kind) =
        within(async { tokio::join!(client.subscribe("p", ["e"]), acknowledge(&mut server)) }).await;
    assert_eq!((subscribed.is_ok(), kind.as_str()), (true, "subscribe"));
    for n in 0..3 {
        publish(&mut server, n).await;
    }
    let (pinged, kind) = within(async { tokio::join!(client.ping(), acknowledge(&mut server)) }).await;
    assert_eq!((pinged.is_ok(), kind.as_str()), (true, "ping"));
    for n in 0..3 {
        assert_eq!(next_data(&mut updates).await, n.to_string());
    }

    let serve = async { while server.next().await.unwrap().is_some() {} };
    within(async { tokio::join!(client.close(), serve) }).await;
    assert_eq!(client.state(), ClientState::Closed);
    while let Some(update) = within(updates.next()).await {
        assert!(matches!(update, Update::Lifecycle(_)));
    }
    assert!(within(client.ping()).await.is_err());
}

#[tokio::test]
async fn what_a_builder_subscribes_to_is_live_when_the_client_is_ready() {
    let (listener, url) = listen().await;
    let builder = Client::builder(&url).subscribe("p", ["e"]).subscribe("q", ["*"]);
    let serve = async {
        let mut server = accept(&listener).await;
        let kinds = [acknowledge(&mut server).await, acknowledge(&mut server).await];
        publish(&mut server, 7).await;
        (server, kinds)
    };
    let (connected, (_server, kinds)) = within(async { tokio::join!(builder.connect(), serve) }).await;
    let (client, mut updates) = connected.unwrap();
    assert_eq!((kinds, client.status().active.len()), (["subscribe", "subscribe"].map(str::to_owned), 2));
    assert_eq!(next_data(&mut updates).await, "7");
}

#[tokio::test]
async fn what_can_never_be_sent_is_refused_at_once() {
    let build = |builder: ClientBuilder| builder.start().map(drop);
    let client = || Client::builder("ws://127.0.0.1:1/ws");
    assert!(matches!(build(client().subscribe("", ["e"])), Err(BuildError::Subscription(CommandError::NoProfile))));
    assert!(matches!(build(client().header("Host", "h")), Err(BuildError::Dialer(DialerError::Request(_)))));
    assert!(matches!(build(client().origin("not an origin")), Err(BuildError::Dialer(DialerError::Request(_)))));
    assert!(matches!(build(client().header("A", "b\nc")), Err(BuildError::Dialer(DialerError::Header(_)))));
}

#[tokio::test]
async fn the_origin_is_sent() {
    let (listener, url) = listen().await;
    let (seen, set) = (std::sync::Mutex::new(None), "https://example.org");
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        let decide = |request: &UpgradeRequest| {
            *seen.lock().unwrap() = request.origin().map(str::to_owned);
            Err(Rejection::forbidden())
        };
        Socket::accept(stream, &WebSocketConfig::default(), decide).await.err()
    };
    let (connected, _) = within(async { tokio::join!(Client::builder(&url).origin(set).connect(), accept) }).await;
    assert!(connected.is_err());
    assert_eq!(seen.lock().unwrap().as_deref(), Some(set));
}

#[tokio::test]
async fn a_lost_connection_is_opened_again_with_its_subscriptions() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(Client::builder(&url).reconnect(at_once()).connect(), accept(&listener));
    let (client, mut updates) = connected.unwrap();
    let (subscribed, _) = within(async { tokio::join!(client.subscribe("p", ["e"]), acknowledge(&mut server)) }).await;
    subscribed.unwrap();

    drop(server);
    let mut server = within(accept(&listener)).await;
    assert_eq!(within(acknowledge(&mut server)).await, "subscribe");
    publish(&mut server, 7).await;
    assert_eq!(next_data(&mut updates).await, "7");
    assert_eq!(client.status().active.len(), 1);
}

#[tokio::test]
async fn a_refused_key_ends_the_client_and_says_what_the_server_said() {
    let (listener, url) = listen().await;
    let refuse = async {
        let (stream, _) = listener.accept().await.unwrap();
        Socket::accept(stream, &WebSocketConfig::default(), |_| Err(Rejection::unauthorized())).await
    };
    let (connected, _) = within(async { tokio::join!(Client::builder(&url).api_key("wrong").connect(), refuse) }).await;
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connected else { panic!("{connected:?}") };
    let detail = format!("{last:#}");
    assert_eq!(last.reason(), DisconnectReason::Refused { status: 401, retry_after: None });
    assert!(detail.contains("401") && !detail.contains("wrong"), "{detail}");
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_a_client_that_does_not_reconnect() {
    let (listener, url) = listen().await;
    drop(listener);
    let once = ReconnectConfig::new().enabled(false);
    let Err(BuildError::Connect(error)) = within(Client::builder(&url).reconnect(once).connect()).await else {
        panic!("connected to nothing")
    };
    assert!(matches!(&error, ConnectError::Disconnected(last) if last.reason() == DisconnectReason::Io), "{error}");
}

#[tokio::test]
async fn a_refused_request_reports_the_reason() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(Client::builder(&url).connect(), accept(&listener));
    let (client, _updates) = connected.unwrap();
    let refuse = async {
        let (_, id) = request(&mut server).await;
        let error = format!(r#"{{"type":"error","payload":{{"error":"no","code":"not_allowed"}},"requestId":"{id}"}}"#);
        server.send_text(&error).await.unwrap();
    };
    let (result, ()) = within(async { tokio::join!(client.subscribe("p", ["*"]), refuse) }).await;
    assert_eq!(result, Err(RequestError::Refused { error: "no".into(), code: Some("not_allowed".into()) }));
}

#[tokio::test]
async fn dropping_every_handle_closes_the_connection() {
    let (listener, url) = listen().await;
    let (connected, mut server) = tokio::join!(Client::builder(&url).connect(), accept(&listener));
    drop(connected.unwrap());
    within(async { while server.next().await.unwrap().is_some() {} }).await;
    assert!(server.closed().unwrap().clean);
}

#[tokio::test]
async fn the_last_update_reports_that_the_client_is_closed() {
    let (listener, url) = listen().await;
    let (client, mut updates) = Client::builder(&url).start().unwrap();
    let server = within(accept(&listener)).await;
    within(client.ready()).await.unwrap();
    let serve = tokio::spawn(async move {
        let mut server = server;
        while server.next().await.unwrap().is_some() {}
    });
    client.close().await;
    let mut last = None;
    while let Some(update) = within(updates.next()).await {
        last = Some(update.into_owned());
    }
    assert_eq!(last, Some(Update::Lifecycle(LifecycleEvent::Closed(CloseCause::Application))));
    within(serve).await.unwrap();
}

#[test]
fn a_client_whose_runtime_is_gone_leaves_nobody_waiting() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (client, mut updates, request, _server) = first.block_on(async {
        let (listener, url) = listen().await;
        let (connected, server) = tokio::join!(Client::builder(&url).connect(), accept(&listener));
        let (client, updates) = connected.unwrap();
        let request = client.ping();
        (client, updates, request, server)
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(within(request).await, Err(RequestError::ConnectionLost));
        assert_eq!(within(client.closed()).await, CloseCause::Lost(DisconnectReason::Stopped));
        assert_eq!(within(client.ping()).await, Err(RequestError::Command(CommandError::Closed)));
        while within(updates.next()).await.is_some() {}
    });
}

#[tokio::test(start_paused = true)]
async fn f_11_connect_gives_up_after_a_minute_and_reports_the_last_error() {
    let nowhere = || Client::builder_with(|_| async { Err(ConnectorError::retry("nobody is there")) });
    for (builder, after) in [
        (nowhere(), Duration::from_secs(60)),
        (nowhere().connect_deadline(Duration::from_secs(7)), Duration::from_secs(7)),
    ] {
        let started = Instant::now();
        let Err(BuildError::Connect(error)) = builder.connect().await else { panic!("connected to nothing") };
        assert_eq!(started.elapsed(), after);
        assert_eq!(error.to_string(), format!("not ready after {after:?}"));
        let ConnectError::TimedOut { last: Some(last), .. } = error else { panic!("{error:?}") };
        assert_eq!(last.reason(), DisconnectReason::Io);
        assert!(format!("{last:#}").contains("nobody is there"), "{last:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn f_11_connect_waits_without_a_deadline_if_it_is_set_so_and_reports_that_no_attempt_has_ended() {
    let (attempts, mut attempted) = mpsc::unbounded_channel();
    let provider = move |attempt| {
        attempts.send(attempt).unwrap();
        pending()
    };
    let builder = Client::builder_with(provider).connect_deadline(Duration::from_secs(1));
    let Err(BuildError::Connect(error)) = builder.connect().await else { panic!("connected to nothing") };
    assert!(error.to_string().contains("no attempt has ended"), "{error}");
    // The client has ended with it.
    assert_eq!(attempted.recv().await, Some(1));
    assert_eq!(attempted.recv().await, None);

    let nowhere = Client::builder_with(|_| async { Err(ConnectorError::retry("nobody is there")) });
    let forever = nowhere.connect_deadline(None).connect();
    assert!(timeout(Duration::from_secs(24 * 3_600), forever).await.is_err());
}

#[test]
fn f_13_a_client_outside_of_a_runtime_is_refused() {
    let started = Client::builder("ws://127.0.0.1:1/ws").start();
    assert!(matches!(started, Err(BuildError::Runtime(_))), "{started:?}");
}
