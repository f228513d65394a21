//! The way to the server: TLS, Unix sockets, proxies, redirects, and keys that change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiwa_ws_core::handshake::{ApiKey, Rejection};
use multiwa_ws_core::session::{ClientConfig, ClientState, CloseCause, DisconnectReason, LifecycleEvent, RawJson};
use multiwa_ws_tokio::{Server, ServerTls};
use multiwa_ws_tungstenite::{
    BuildError, Client, ClientTls, ConnectError, ConnectorError, Destination, Update, Updates,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use crate::peer::{at_once, call, find, listen, never, number, publish, runtime, serve, soon, wait_until};

/// An authority, and the TLS of a server for these names that it vouches for.
fn authority(names: &[&str]) -> (String, ServerTls) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    (issuer.pem(), ServerTls::pem(certificate.pem(), key.serialize_pem()).build().unwrap())
}

/// Subscribes, receives an event, and closes.
fn works(server: &Server, (client, mut updates): (Client, Updates)) {
    client.subscribe("p", ["*"]).unwrap();
    assert_eq!(publish(&server.publisher(), "p", 7), 1);
    assert_eq!(number(&mut updates), 7);
    client.ping().unwrap();
    call(move || client.close()).returned();
    wait_until(|| server.connections() == 0);
}

#[test]
fn an_event_arrives_over_tls() {
    let (roots, tls) = authority(&["localhost", "127.0.0.1"]);
    let (server, url) = serve(Server::builder().tls(tls));
    let port = server.local_addr().unwrap().port();
    for url in [url.replace("ws://", "wss://"), format!("wss://localhost:{port}/ws")] {
        let tls = ClientTls::builder().roots_pem(&roots).build().unwrap();
        works(&server, Client::builder(url).tls(tls).connect().unwrap());
    }
}

#[test]
fn a_large_message_arrives_over_tls() {
    let (roots, tls) = authority(&["127.0.0.1"]);
    let (server, url) = serve(Server::builder().tls(tls));
    let tls = ClientTls::builder().roots_pem(&roots).build().unwrap();
    let builder = Client::builder(url.replace("ws://", "wss://")).tls(tls).subscribe("p", ["*"]);
    let (_client, mut updates) = builder.connect().unwrap();
    let data = RawJson::parse(&format!("\"{}\"", "a".repeat(1_000_000))).unwrap().into_owned();
    for _ in 0..5 {
        assert_eq!(soon(server.publisher().publish("e", Some("p"), &data)).unwrap().receivers, 1);
        let arrived = find(&mut updates, |update| match update {
            Update::Event(event) => Some(event.data().unwrap() == data.as_str()),
            _ => None,
        });
        assert!(arrived);
    }
}

#[test]
fn sec_hs_15_a_certificate_of_another_host_or_a_strange_authority_ends_the_client() {
    let (roots, tls) = authority(&["localhost"]);
    let (server, _) = serve(Server::builder().tls(tls));
    let port = server.local_addr().unwrap().port();
    let (strangers, _) = authority(&[]);
    // A name that the certificate does not hold, and an authority that is not trusted.
    for (host, roots) in [("127.0.0.1", roots), ("localhost", strangers)] {
        let tls = ClientTls::builder().roots_pem(roots).build().unwrap();
        let builder = Client::builder(format!("wss://{host}:{port}/ws")).tls(tls).reconnect(at_once());
        let Err(BuildError::Connect(ConnectError::Disconnected(last))) = call(move || builder.connect()).returned()
        else {
            panic!("connected")
        };
        assert_eq!(last.reason(), DisconnectReason::TlsCertificate, "{host}");
    }
    let tls = ClientTls::builder().dangerous_accept_any_certificate().build().unwrap();
    works(&server, Client::builder(format!("wss://127.0.0.1:{port}/ws")).tls(tls).connect().unwrap());
}

#[test]
fn a_server_without_tls_is_no_certificate_error() {
    let listener = listen();
    let (roots, _) = authority(&[]);
    let tls = ClientTls::builder().roots_pem(roots).build().unwrap();
    let builder = Client::builder(listener.url.replace("ws://", "wss://")).tls(tls).reconnect(never());
    let connecting = call(move || builder.connect());
    let mut stream = listener.accept_tcp();
    soon(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")).unwrap();
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("connected") };
    assert_eq!(last.reason(), DisconnectReason::Tls);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_leads_to_the_server_too() {
    let path = std::env::temp_dir().join(format!("multiwa-ws-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = soon(Server::builder().bind_unix(&path)).unwrap();
    works(&server, Client::builder("ws://localhost/ws").unix(&path).connect().unwrap());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_key_that_was_exchanged_is_used_from_the_next_attempt_on() {
    let (server, url) = serve(Server::builder().api_keys([ApiKey::new("old")]));
    let key = Arc::new(Mutex::new("old"));
    let provided = key.clone();
    let builder = Client::builder_with(move |_| Ok(Destination::new(&url).api_key(*provided.lock().unwrap())));
    let reconnect = at_once().after_policy_violation(true);
    let (client, mut updates) = builder.reconnect(reconnect).connect().unwrap();
    client.subscribe("p", ["*"]).unwrap();

    *key.lock().unwrap() = "new";
    server.replace_api_keys([ApiKey::new("new")]);
    let reason = find(&mut updates, |update| match update {
        Update::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::ClosedByPeer { code: Some(1008) });
    wait_until(|| publish(&server.publisher(), "p", 7) == 1);
    assert_eq!(number(&mut updates), 7);
    assert_eq!(client.state(), ClientState::Ready);
}

#[test]
fn a_provider_may_say_stop() {
    let (client, _updates) = Client::builder_with(|_| Err(ConnectorError::stop("no key is left"))).start().unwrap();
    let ended = client.clone();
    assert_eq!(call(move || ended.closed()).returned(), CloseCause::Lost(DisconnectReason::Stopped));
    assert!(format!("{:#}", client.status().last_disconnect.unwrap()).contains("no key is left"));
}

#[test]
fn sec_hs_14_a_redirect_is_followed_without_the_key_to_another_origin_and_not_indefinitely() {
    let (server, url) = serve(Server::builder().api_keys([ApiKey::new("k")]));
    let listener = listen();
    let builder = Client::builder(&listener.url).api_key("k");
    let connecting = call(move || builder.connect());
    // Within its origin the key goes along, and to the server's own it does not.
    for location in ["/elsewhere", &url] {
        let mut rejection = Rejection::not_found();
        rejection.status = 307;
        rejection.headers.append("Location", location).unwrap();
        listener.reject(rejection);
    }
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("let in") };
    assert_eq!(last.reason(), DisconnectReason::Refused { status: 401, retry_after: None });

    let builder = Client::builder(&listener.url).max_redirects(2).reconnect(never());
    let connecting = call(move || builder.connect());
    for _ in 0..3 {
        let mut rejection = Rejection::not_found();
        rejection.status = 302;
        rejection.headers.append("Location", "/again").unwrap();
        listener.reject(rejection);
    }
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("connected") };
    assert_eq!(last.reason(), DisconnectReason::Refused { status: 302, retry_after: None });
    drop(server);
}

#[test]
fn a_proxy_leads_to_the_server() {
    let (roots, tls) = authority(&["127.0.0.1"]);
    let (server, url) = serve(Server::builder().tls(tls));
    let proxy = listen();
    let address = proxy.address;
    let asked = runtime().spawn(async move {
        let mut inward = proxy.accept_async().await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(inward.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
        let mut outward = TcpStream::connect(target).await.unwrap();
        inward.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut inward, &mut outward).await;
        head
    });
    let tls = ClientTls::builder().roots_pem(&roots).build().unwrap();
    let proxy = format!("http://me:s3cret@{address}").parse().unwrap();
    let builder = Client::builder(url.replace("ws://", "wss://")).tls(tls).proxy(proxy);
    assert!(!format!("{builder:?}").contains("s3cret"));
    works(&server, call(move || builder.connect()).returned().unwrap());
    assert!(soon(asked).unwrap().contains("Proxy-Authorization: Basic "));

    let proxy = listen();
    let builder = Client::builder(&url).proxy(format!("http://{}", proxy.address).parse().unwrap()).reconnect(never());
    let connecting = call(move || builder.connect());
    let mut stream = proxy.accept_tcp();
    soon(stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")).unwrap();
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("open") };
    assert_eq!(last.reason(), DisconnectReason::Io);
    let detail = format!("{last:#}");
    assert!(detail.contains("name and a password"), "{detail}");
}

#[test]
fn a_proxy_that_says_nothing_is_left_at_the_deadline() {
    let proxy = listen();
    let config = ClientConfig::new().connect_timeout(Duration::from_millis(50)).reconnect(never());
    let builder = Client::builder("ws://h/ws").proxy(format!("http://{}", proxy.address).parse().unwrap());
    let builder = builder.session(config);
    let connecting = call(move || builder.connect());
    let stream = proxy.accept_tcp();
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("connected") };
    assert!(matches!(last.reason(), DisconnectReason::ConnectTimeout | DisconnectReason::Io), "{last}");
    drop(stream);
}

#[test]
fn sec_ap_08_debug_output_of_a_builder_hides_every_credential() {
    let builder = Client::builder("ws://gateway/ws?apiKey=s3cret")
        .api_key("s3cret")
        .header("Authorization", "Bearer s3cret")
        .header("Cookie", "session=s3cret");
    assert!(!format!("{builder:?}").contains("s3cret"));
}
