//! Which clients are accepted, and what the others receive.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiwa_ws_core::handshake::{ApiKey, ClientRequest, HandshakeLimits, Rejection};
use multiwa_ws_tokio::{ConnectRequest, ConnectionRate, HandshakeError, Observed, Permissions, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::client::{Client, publish, soon, start, subscribe, wait_until};

#[tokio::test]
async fn a_request_for_something_else_is_refused_in_http() {
    let (_server, address) = start(Server::builder().path("/events")).await;
    let refused = Client::connect_with(address, |_| {}).await;
    assert_refused(refused, 404, "not_found");
    let admitted = Client::connect_with(address, |request| request.target = "/events?x".to_owned()).await;
    assert!(admitted.is_ok());

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut response = String::new();
    soon(stream.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
}

#[tokio::test]
async fn without_one_of_the_keys_a_client_gets_401_with_a_body_in_json() {
    let keys = [ApiKey::new("first"), ApiKey::new("second key")];
    let (_server, address) = start(Server::builder().api_keys(keys)).await;
    for target in ["/ws", "/ws?apiKey=", "/ws?apiKey=wrong", "/ws?apiKey=firs", "/ws?apiKey=firstt"] {
        let refused = Client::connect_with(address, |request| request.target = target.to_owned()).await;
        assert_refused(refused, 401, "unauthorized");
    }
    for target in ["/ws?apiKey=first", "/ws?apiKey=second+key", "/ws?apiKey=second%20key"] {
        let admitted = Client::connect_with(address, |request| request.target = target.to_owned()).await;
        assert!(admitted.is_ok(), "{target}");
    }
    for (name, value) in [("X-API-Key", "first"), ("Authorization", "Bearer first")] {
        let admitted = Client::connect_with(address, |request| request.headers.append(name, value).unwrap()).await;
        assert!(admitted.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn sec_hs_10_a_page_of_another_origin_gets_403() {
    let builder = Server::builder().allow_origin("https://app.example".parse().unwrap());
    let (_server, address) = start(builder).await;
    for (origin, admitted) in [
        (None, true),
        (Some("https://app.example"), true),
        (Some("https://app.example.evil"), false),
        (Some("http://app.example"), false),
        (Some("null"), false),
    ] {
        let answer = Client::connect_with(address, |request| request.origin = origin.map(str::to_owned)).await;
        if admitted {
            assert!(answer.is_ok(), "{origin:?}");
        } else {
            assert_refused(answer, 403, "forbidden");
        }
    }
}

#[tokio::test]
async fn sec_hs_11_a_server_on_loopback_answers_to_no_foreign_name() {
    let (_server, address) = start(Server::builder()).await;
    let refused = Client::connect_with(address, |request| request.host = "evil.example:3001".to_owned()).await;
    assert_refused(refused, 403, "forbidden");
    for builder in [Server::builder().allow_host("evil.example"), Server::builder().allow_any_host()] {
        let (_server, address) = start(builder).await;
        let admitted = Client::connect_with(address, |request| request.host = "evil.example:3001".to_owned()).await;
        assert!(admitted.is_ok());
    }
}

#[tokio::test]
async fn a_host_name_that_is_not_allowed_is_named_in_the_response_and_to_the_observer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observe = {
        let seen = seen.clone();
        move |observed: Observed<'_>| {
            if let Observed::HostRefused { host } = observed {
                seen.lock().unwrap().push(host.to_owned());
            }
        }
    };
    let (_server, address) = start(Server::builder().observe(observe)).await;
    let Err(HandshakeError::Refused(response)) =
        Client::connect_with(address, |request| request.host = "gateway.example:443".to_owned()).await
    else {
        panic!("accepted");
    };
    for part in ["gateway.example:443", "allow_host", "--allow-host"] {
        assert!(response.text().contains(part), "{}", response.text());
    }
    assert_eq!(*seen.lock().unwrap(), ["gateway.example:443"]);
}

#[tokio::test]
async fn f_21_every_form_of_a_loopback_address_is_one() {
    for listen in ["127.0.0.1:0", "127.0.0.2:0", "[::ffff:127.0.0.1]:0"] {
        let server = Server::builder().bind(listen.parse().unwrap()).await.unwrap();
        let address = server.local_addr().unwrap();
        let refused = Client::connect_with(address, |request| request.host = "evil.example".to_owned()).await;
        assert_refused(refused, 403, "forbidden");
        for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]:80", "[::1]", "[::ffff:7f00:1]"] {
            let admitted = Client::connect_with(address, |request| request.host = host.to_owned()).await;
            assert!(admitted.is_ok(), "{listen} {host}");
        }
    }
}

#[tokio::test]
async fn sec_hs_12_a_client_that_sends_no_request_is_cut() {
    let handshake = HandshakeLimits::new().timeout(Duration::from_millis(100));
    let (_server, address) = start(Server::builder().handshake(handshake).max_handshakes(1)).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET /ws").await.unwrap();
    // It holds the only place for those who are not let in yet, and gives it back.
    Client::connect(address).await;
    let mut response = String::new();
    soon(silent.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
}

/// A connection to `server` from an address of this machine.
async fn dial_from(from: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    soon(socket.connect(server)).await.unwrap()
}

#[tokio::test]
async fn f_20_idle_sockets_of_one_address_keep_no_other_address_out() {
    let observed = Arc::new(AtomicUsize::new(0));
    let count = observed.clone();
    let builder = Server::builder().max_handshakes(8).observe(move |observed| {
        if matches!(observed, Observed::ShareHeld { address } if address == Ipv4Addr::LOCALHOST) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (_server, address) = start(builder).await;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(dial_from("127.0.0.1:0", address).await);
    }
    // Long before the first of them is cut.
    let honest = tokio::time::timeout(Duration::from_secs(3), async {
        let stream = dial_from("127.0.0.2:0", address).await;
        Client::over(stream, ClientRequest::new(address.to_string(), "/ws")).await.unwrap().take_ack().await;
    });
    assert!(honest.await.is_ok());
    // Half of the permits are theirs, and whoever was over that was dropped.
    assert_eq!(observed.load(Ordering::Relaxed), 28);
    assert_eq!(soon(idle[31].read(&mut [0; 16])).await.unwrap(), 0);
}

#[tokio::test]
async fn f_20_a_trusted_proxy_is_not_held_to_a_share_and_its_clients_are() {
    let authorize = |request: ConnectRequest| async move {
        assert_eq!(request.client_address(), Some(IpAddr::from([192, 0, 2, 1])));
        std::future::pending::<Result<(), Rejection>>().await
    };
    let builder = Server::builder().max_handshakes_per_address(1).authorize(authorize);
    let (_server, address) = start(builder.trusted_proxies(["127.0.0.1".parse().unwrap()])).await;
    let connect = |client: &'static str| {
        Client::connect_with(address, move |request| request.headers.append("X-Forwarded-For", client).unwrap())
    };
    let _idle = [dial_from("127.0.0.1:0", address).await, dial_from("127.0.0.1:0", address).await];
    // The first of them waits for a decision while the other one is refused.
    let refused = tokio::select! {
        refused = connect("192.0.2.66, 192.0.2.1") => refused,
        refused = connect("192.0.2.1") => refused,
    };
    assert_eq!(retry_after(refused), 5);
}

#[tokio::test]
async fn the_application_decides_by_key_origin_and_address() {
    let builder = Server::builder().authorize(|request| async move {
        assert!(request.address().is_some_and(|address| address.ip().is_loopback()));
        assert_eq!(request.origin(), Some("https://app.example"));
        assert_eq!(request.request().path(), "/ws");
        tokio::task::yield_now().await;
        match request.api_key() {
            Some(key) if key == ApiKey::new("k") => Ok(()),
            _ => Err(Rejection::json(402, "unpaid", "Pay first")),
        }
    });
    let (_server, address) = start(builder).await;
    let connect = |target: &'static str| {
        Client::connect_with(address, |request| {
            request.target = target.to_owned();
            request.origin = Some("https://app.example".to_owned());
        })
    };
    assert!(connect("/ws?apiKey=k").await.is_ok());
    assert_refused(connect("/ws?apiKey=x").await, 402, "unpaid");
}

#[tokio::test]
async fn a_response_that_http_cannot_carry_becomes_a_500() {
    let authorize = |_| async { Err::<(), _>(Rejection::json(200, "odd", "This is no refusal")) };
    let (_server, address) = start(Server::builder().authorize(authorize)).await;
    assert_refused(Client::connect_with(address, |_| {}).await, 500, "internal_error");
}

#[tokio::test]
async fn a_decision_that_takes_too_long_is_a_503() {
    let handshake = HandshakeLimits::new().timeout(Duration::from_millis(100));
    let authorize = |_| std::future::pending::<Result<(), Rejection>>();
    let (_server, address) = start(Server::builder().handshake(handshake).authorize(authorize)).await;
    assert_refused(Client::connect_with(address, |_| {}).await, 503, "unavailable");
}

#[tokio::test]
async fn a_decision_is_dropped_when_the_client_leaves() {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (asked, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let authorize = {
        let (asked, dropped) = (asked.clone(), dropped.clone());
        move |_| {
            let (asked, guard) = (asked.clone(), OnDrop(dropped.clone()));
            async move {
                asked.notify_one();
                std::future::pending::<()>().await;
                drop(guard);
                Ok(())
            }
        }
    };
    let (_server, address) = start(Server::builder().authorize(authorize)).await;
    let leaving = tokio::spawn(Client::connect_with(address, |_| {}));
    soon(asked.notified()).await;
    leaving.abort();
    soon(dropped.notified()).await;
}

#[tokio::test]
async fn permissions_decide_what_may_be_subscribed_to() {
    let authorize = |_| async { Ok(Permissions::profiles(["mine"])) };
    let (server, address) = start(Server::builder().authorize(authorize)).await;
    let mut client = Client::connect(address).await;
    assert_eq!(
        client.ask(&subscribe("theirs", r#"["*"]"#)).await,
        r#"{"type":"error","payload":{"error":"This profile is not allowed","code":"not_allowed"}}"#
    );
    assert_eq!(publish(&server.publisher(), "theirs", 0), 0);
    client.subscribe("mine", r#"["*"]"#).await;
    assert_eq!(publish(&server.publisher(), "mine", 1), 1);
    assert_eq!(client.numbers(1).await, [1]);
}

#[tokio::test]
async fn a_full_server_and_one_that_is_stormed_say_when_to_come_back() {
    let (server, address) = start(Server::builder().max_connections(1)).await;
    let first = Client::connect(address).await;
    assert_eq!(server.connections(), 1);
    assert_eq!(retry_after(Client::connect_with(address, |_| {}).await), 5);
    drop(first);
    wait_until(|| server.connections() == 0).await;
    Client::connect(address).await;

    let rate = ConnectionRate::new(2, 1);
    let (_server, address) = start(Server::builder().connection_rate(rate)).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        match Client::connect_with(address, |_| {}).await {
            Ok(_) => waits.push(0),
            refused => waits.push(retry_after(refused)),
        }
    }
    assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), 2, "{waits:?}");
    assert!(waits[2] < waits[3], "{waits:?}");
}

#[tokio::test]
async fn a_key_that_is_withdrawn_loses_its_connections() {
    let keys = ["stays", "goes"].map(ApiKey::new);
    let (server, address) = start(Server::builder().api_keys(keys)).await;
    let connect = |key: &str| {
        let target = format!("/ws?apiKey={key}");
        Client::connect_with(address, move |request| request.target = target)
    };
    let (mut stays, mut goes) = (connect("stays").await.unwrap(), connect("goes").await.unwrap());
    assert_eq!(server.replace_api_keys(["stays", "comes"].map(ApiKey::new)), 1);
    assert_eq!(goes.end().await, Some((1008, "the API key was withdrawn".to_owned())));
    assert_refused(connect("goes").await, 401, "unauthorized");
    assert!(connect("comes").await.is_ok());
    stays.take_ack().await;
    assert!(stays.ask(r#"{"type":"ping"}"#).await.contains("pong"));

    // No keys are not the same as no need for a key.
    server.replace_api_keys([]);
    assert!(matches!(stays.end().await, Some((1008, _))));
    assert_refused(connect("stays").await, 401, "unauthorized");
}

#[tokio::test]
async fn sec_ap_08_a_key_never_shows() {
    let secret = "s3cret";
    let builder = Server::builder().api_keys([ApiKey::new(secret)]);
    assert!(!format!("{builder:?}").contains(secret));
    let shown = Arc::new(Mutex::new(String::new()));
    let authorize = {
        let shown = shown.clone();
        move |request: ConnectRequest| {
            *shown.lock().unwrap() = format!("{request:?} {:?}", request.api_key());
            async { Ok(()) }
        }
    };
    let (server, address) = start(builder.authorize(authorize)).await;
    for (target, header) in [("/ws?apiKey=s3cret", None), ("/ws", Some("X-API-Key"))] {
        let adapt = |request: &mut ClientRequest| {
            request.target = target.to_owned();
            if let Some(name) = header {
                request.headers.append(name, secret).unwrap();
            }
        };
        assert!(Client::connect_with(address, adapt).await.is_ok());
        let shown = std::mem::take(&mut *shown.lock().unwrap());
        assert!(shown.contains("ConnectRequest") && !shown.contains(secret), "{shown}");
    }
    assert!(!format!("{server:?} {:?}", server.publisher()).contains(secret));
}

fn assert_refused(answer: Result<Client, HandshakeError>, status: u16, code: &str) {
    let Err(HandshakeError::Refused(refusal)) = answer else { panic!("not refused: {:?}", answer.err()) };
    assert_eq!((refusal.status, refusal.headers.get_str("Content-Type")), (status, Some("application/json")));
    let code = format!(r#""code":"{code}""#);
    assert!(refusal.text().contains(&code), "{}", refusal.text());
}

/// The seconds after which a client that got a 503 may come back.
fn retry_after(answer: Result<Client, HandshakeError>) -> u64 {
    let Err(HandshakeError::Refused(refusal)) = &answer else { panic!("not refused: {:?}", answer.err()) };
    let wait = refusal.retry_after().expect("a Retry-After").as_secs();
    assert_refused(answer, 503, "unavailable");
    wait
}
