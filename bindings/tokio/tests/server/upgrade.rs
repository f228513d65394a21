//! Requests that another HTTP server has read, and the tickets of their clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiwa_ws_core::handshake::{HandshakeLimits, Rejection};
use multiwa_ws_core::websocket::{Config, Negotiated, Role};
use multiwa_ws_tokio::http::{Request, Response, Version};
use multiwa_ws_tokio::{
    ApiKey, ConnectRequest, ConnectionRate, Observed, Permissions, Server, ServerBuilder, UpgradeTicket, WebSocket,
};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::client::{Client, PATIENCE, soon, subscribe};

fn request() -> Request<()> {
    Request::get("/any/path?apiKey=k")
        .header("Host", "localhost")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap()
}

async fn upgrade(server: &Server, request: &Request<()>) -> (Response<Vec<u8>>, Option<UpgradeTicket>) {
    upgrade_from(server, request, None).await
}

async fn upgrade_from(
    server: &Server,
    request: &Request<()>,
    address: Option<SocketAddr>,
) -> (Response<Vec<u8>>, Option<UpgradeTicket>) {
    let (response, ticket) = soon(server.upgrade(request, address)).await;
    assert_eq!(ticket.is_some(), response.status() == 101);
    (response, ticket)
}

/// The ticket of a client that is accepted.
async fn accepted(server: &Server) -> UpgradeTicket {
    upgrade(server, &request()).await.1.unwrap()
}

async fn status(server: &Server) -> u16 {
    upgrade(server, &request()).await.0.status().as_u16()
}

/// Serves the ticket over a pipe and takes the connection's `ack`.
async fn connect(ticket: UpgradeTicket) -> Client<DuplexStream> {
    let (near, far) = duplex(4096);
    tokio::spawn(ticket.serve(far, &[]));
    let (config, negotiated) = (Config::default(), Negotiated::default());
    let mut client = Client(WebSocket::from_upgraded(near, Role::Client, &config, &negotiated, &[]).unwrap());
    client.take_ack().await;
    client
}

/// A server whose upgrades time out after `timeout`, with what it has observed.
fn observed(timeout: Duration) -> (Server, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observe = {
        let seen = seen.clone();
        move |observed: Observed<'_>| {
            seen.lock().unwrap().push(match observed {
                Observed::Opened { peer } => format!("opened {}", peer.id),
                Observed::Refused { peer, status } => format!("refused {} {status}", peer.id),
                Observed::Failed { peer, error } => format!("failed {} {}", peer.id, error.is_some()),
                Observed::Closed { peer, closed, .. } => format!("closed {} {}", peer.id, closed.code.get()),
                other => format!("{other:?}"),
            });
        }
    };
    (with_timeout(Server::builder().max_connections(1).observe(observe), timeout), seen)
}

fn with_timeout(builder: ServerBuilder, timeout: Duration) -> Server {
    builder.handshake(HandshakeLimits::new().timeout(timeout)).build()
}

#[tokio::test]
async fn the_response_answers_the_request_and_the_path_is_the_routers() {
    let server = Server::builder().path("/ws").build();
    let (response, ticket) = upgrade(&server, &request()).await;
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((header("upgrade"), header("connection")), (Some("websocket"), Some("Upgrade")));
    assert_eq!(header("x-multiwa-features"), Some("subscription-sets"));
    connect(ticket.unwrap()).await;
}

#[tokio::test]
async fn other_versions_of_http_and_heads_over_a_limit_are_refused() {
    let server = Server::builder().build();
    for (version, status) in [(Version::HTTP_10, 426), (Version::HTTP_2, 505), (Version::HTTP_3, 505)] {
        let mut request = request();
        *request.version_mut() = version;
        let (response, _) = upgrade(&server, &request).await;
        let body = String::from_utf8(response.body().clone()).unwrap();
        assert_eq!(response.status(), status);
        assert!(body.contains("needs") && body.contains("1.1"), "{body}");
    }
    let limits = HandshakeLimits::new().max_header_fields(4);
    assert_eq!(status(&Server::builder().handshake(limits).build()).await, 431);
}

#[tokio::test]
async fn a_ticket_that_is_dropped_gives_its_slot_back() {
    let (server, seen) = observed(PATIENCE);
    let ticket = accepted(&server).await;
    assert_eq!((server.connections(), status(&server).await), (1, 503));
    drop(ticket);
    assert_eq!(server.connections(), 0);
    let client = connect(accepted(&server).await).await;
    assert_eq!((server.connections(), status(&server).await), (1, 503));
    drop(client);
    soon(server.shutdown(PATIENCE)).await;
    assert_eq!(
        *seen.lock().unwrap(),
        ["refused 2 503", "failed 1 false", "opened 3", "refused 4 503", "closed 3 1006"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_nobody_serves_ends_at_its_deadline() {
    let (server, seen) = observed(Duration::from_secs(10));
    let ticket = accepted(&server).await;
    tokio::time::sleep(Duration::from_millis(9_990)).await;
    assert_eq!(server.connections(), 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!((server.connections(), seen.lock().unwrap().concat().as_str()), (0, "failed 1 false"));
    // The slot is free, and its stream is dropped.
    let _second = accepted(&server).await;
    let (mut near, far) = duplex(64);
    ticket.serve(far, &[]).await;
    assert_eq!(near.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_served_ticket_has_no_deadline_any_more() {
    let (server, _) = observed(Duration::from_secs(10));
    let mut client = connect(accepted(&server).await).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(client.ask(r#"{"type":"ping"}"#).await.contains("pong"));
}

#[tokio::test]
async fn a_shutdown_waits_for_a_ticket_and_refuses_later_ones() {
    let server = Server::builder().build();
    let ticket = accepted(&server).await;
    let (aborted, ()) = tokio::join!(soon(server.shutdown(PATIENCE)), async {
        tokio::task::yield_now().await;
        assert_eq!(status(&server).await, 503);
        let mut client = connect(ticket).await;
        assert_eq!(client.end().await, Some((1001, "the server is shutting down".to_owned())));
    });
    assert_eq!(aborted, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_outlives_the_shutdown_is_aborted() {
    let server = with_timeout(Server::builder(), Duration::from_secs(100));
    let ticket = accepted(&server).await;
    assert_eq!(server.shutdown(Duration::from_secs(5)).await, 1);
    let (mut near, far) = duplex(4096);
    soon(ticket.serve(far, &[])).await;
    let mut received = Vec::new();
    soon(near.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"");
}

#[tokio::test]
async fn a_shutdown_ends_a_decision_and_so_does_its_deadline() {
    let authorize = |_| std::future::pending::<Result<(), Rejection>>();
    let server = with_timeout(Server::builder().authorize(authorize), Duration::from_millis(50));
    assert_eq!(status(&server).await, 503);
    let server = with_timeout(Server::builder().authorize(authorize), PATIENCE * 2);
    let (aborted, refused) = tokio::join!(soon(server.shutdown(PATIENCE)), status(&server));
    assert_eq!((aborted, refused), (0, 503));
    let server = with_timeout(Server::builder().authorize(authorize), PATIENCE * 2);
    let (refused, aborted) = tokio::join!(status(&server), soon(server.shutdown(PATIENCE)));
    assert_eq!((aborted, refused), (0, 503));
}

#[tokio::test]
async fn a_future_that_is_dropped_gives_its_permit_back_and_is_reported() {
    let authorize = |_| std::future::pending::<Result<(), Rejection>>();
    let seen = Arc::new(Mutex::new(0));
    let failed = seen.clone();
    let observe = move |observed: Observed<'_>| {
        if matches!(observed, Observed::Failed { .. }) {
            *failed.lock().unwrap() += 1;
        }
    };
    let builder = Server::builder().max_handshakes(1).authorize(authorize).observe(observe);
    let server = Arc::new(builder.build());
    let deciding = {
        let server = server.clone();
        tokio::spawn(async move { upgrade(&server, &request()).await.0.status() })
    };
    tokio::task::yield_now().await;
    // It holds the only permit, so no other request waits.
    assert_eq!(status(&server).await, 503);
    deciding.abort();
    assert!(soon(deciding).await.is_err());
    assert_eq!(*seen.lock().unwrap(), 1);
    let next = tokio::time::timeout(Duration::from_millis(50), upgrade(&server, &request())).await;
    assert!(next.is_err(), "it was refused");
}

#[tokio::test]
async fn an_address_has_its_share_of_permits_behind_a_trusted_proxy_too() {
    let authorize = |request: ConnectRequest| async move {
        assert_eq!(request.client_address(), Some([192, 0, 2, 1].into()));
        std::future::pending::<Result<(), Rejection>>().await
    };
    let builder = || Server::builder().max_handshakes_per_address(1).authorize(authorize);
    let proxied = || {
        let mut request = request();
        request.headers_mut().insert("X-Forwarded-For", "192.0.2.1".parse().unwrap());
        request
    };
    for (server, from) in [
        (builder().trusted_proxies(["127.0.0.1".parse().unwrap()]).build(), "127.0.0.1:1"),
        (builder().build(), "192.0.2.1:1"),
    ] {
        let (first, second) = (proxied(), proxied());
        let refused = tokio::select! {
            biased;
            _ = upgrade_from(&server, &first, Some(from.parse().unwrap())) => panic!("it was decided"),
            (response, _) = upgrade_from(&server, &second, Some(from.parse().unwrap())) => response,
        };
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    }
}

#[tokio::test]
async fn the_application_decides_and_its_permissions_hold() {
    let authorize = |request: ConnectRequest| async move {
        assert_eq!((request.api_key(), request.request().path()), (Some(ApiKey::new("k")), "/any/path"));
        Ok(Permissions::profiles(["mine"]))
    };
    let server = Server::builder().authorize(authorize).build();
    let mut client = connect(accepted(&server).await).await;
    assert!(client.ask(&subscribe("theirs", r#"["*"]"#)).await.contains("not_allowed"));
    client.subscribe("mine", r#"["*"]"#).await;

    // A response that HTTP cannot carry.
    let authorize = |_| async { Err::<(), _>(Rejection::json(200, "odd", "This is no refusal")) };
    assert_eq!(status(&Server::builder().authorize(authorize).build()).await, 500);
}

#[tokio::test]
async fn the_connection_rate_holds() {
    let rate = ConnectionRate::new(1, 1);
    let server = Server::builder().connection_rate(rate).build();
    let _ticket = accepted(&server).await;
    assert_eq!(status(&server).await, 503);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_before_the_ticket_is_served_closes_the_connection() {
    let server = Server::builder().api_keys([ApiKey::new("k")]).build();
    let ticket = accepted(&server).await;
    assert_eq!(server.replace_api_keys([ApiKey::new("other")]), 1);
    let mut client = connect(ticket).await;
    assert_eq!(client.end().await, Some((1008, "the API key was withdrawn".to_owned())));
}

#[tokio::test]
async fn the_server_may_be_gone_before_its_ticket() {
    let server = Server::builder().build();
    let ticket = accepted(&server).await;
    drop(server);
    let (mut near, far) = duplex(4096);
    soon(ticket.serve(far, &[])).await;
    assert_eq!(soon(near.read(&mut [0; 16])).await.unwrap(), 0);
}
