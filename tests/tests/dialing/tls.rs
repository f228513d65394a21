//! `wss`, with certificates that are made for the test.

use std::sync::Arc;

use multiwa_ws_async_std::AsyncStd;
use multiwa_ws_core::session::{DisconnectReason, LifecycleEvent};
use multiwa_ws_driver::{
    Client, ClientTls, ClientTlsBuilder, Net, Server, ServerTls, ServerTlsBuilder, TlsError, Update,
};
use multiwa_ws_tokio::{Tokio, WebSocket, WebSocketConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::kit::{Scripted, at_once, failure, listen, loopback, once, read_head, redirect, within, works};

on_each_runtime! {
    an_event_arrives_over_tls
    sec_hs_15_a_certificate_is_checked_against_the_host_that_is_dialed
    sec_hs_15_after_a_redirect_the_host_that_is_dialed_is_the_one_it_leads_to
    a_certificate_that_is_not_trusted_ends_the_attempts_at_once
    a_server_lets_no_client_in_without_a_certificate_that_it_wants
    every_certificate_is_accepted_when_that_is_asked_for
    two_providers_live_in_one_program_and_none_becomes_its_default
    a_stream_that_ends_without_close_notify_has_ended_like_any_other
    a_server_without_tls_is_no_certificate_error
    a_client_without_tls_does_not_hold_up_a_server
}

/// An authority that issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, and its key, in PEM.
    fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn server(&self, names: &[&str]) -> ServerTlsBuilder {
        let (chain, key) = self.issue(names);
        ServerTls::pem(chain, key).provider(provider())
    }

    fn client(&self) -> ClientTlsBuilder {
        ClientTls::builder().roots_pem(self.pem()).provider(provider())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

async fn an_event_arrives_over_tls<R: Net>() {
    let authority = Authority::new();
    let tls = authority.server(&["localhost", "127.0.0.1"]).build().unwrap();
    let (server, port) = listen::<R>(Server::builder().tls(tls)).await;
    for host in ["localhost", "127.0.0.1"] {
        let tls = authority.client().build().unwrap();
        works(Client::<R>::builder(format!("wss://{host}:{port}/ws")).tls(tls), &server).await;
    }
    assert_eq!(within(server.shutdown(std::time::Duration::from_secs(20))).await, 0);
}

#[tokio::test]
async fn each_runtime_speaks_tls_with_the_other() {
    async fn between<C: Net, S: Net>() {
        let authority = Authority::new();
        let tls = authority.server(&["localhost"]).build().unwrap();
        let (server, port) = listen::<S>(Server::builder().tls(tls)).await;
        let tls = authority.client().build().unwrap();
        works(Client::<C>::builder(format!("wss://localhost:{port}/ws")).tls(tls), &server).await;
    }
    between::<Tokio, AsyncStd>().await;
    between::<AsyncStd, Tokio>().await;
}

async fn sec_hs_15_a_certificate_is_checked_against_the_host_that_is_dialed<R: Net>() {
    let authority = Authority::new();
    for (names, dialed) in
        [(&["gateway.example"][..], "localhost"), (&["localhost"], "127.0.0.1"), (&["127.0.0.1"], "localhost")]
    {
        let tls = authority.server(names).build().unwrap();
        let (_server, port) = listen::<R>(Server::builder().allow_any_host().tls(tls)).await;
        let tls = authority.client().build().unwrap();
        let builder = Client::<R>::builder(format!("wss://{dialed}:{port}/ws")).tls(tls).reconnect(at_once());
        let (reason, detail) = failure(builder).await;
        assert_eq!(reason, DisconnectReason::TlsCertificate, "{names:?} {dialed}: {detail}");
    }
}

async fn sec_hs_15_after_a_redirect_the_host_that_is_dialed_is_the_one_it_leads_to<R: Net>() {
    let authority = Authority::new();
    // The first server names the second one as it likes; only where it leads counts.
    let tls = authority.server(&["127.0.0.1"]).build().unwrap();
    let (server, port) = listen::<R>(Server::builder().tls(tls)).await;
    for (host, good) in [("127.0.0.1", true), ("localhost", false)] {
        let leading = Scripted::start(move |_| redirect(307, &format!("https://{host}:{port}/ws"))).await;
        let tls = authority.client().build().unwrap();
        let builder = Client::<R>::builder(format!("ws://localhost:{}/ws", leading.port)).tls(tls);
        if good {
            works(builder, &server).await;
        } else {
            assert_eq!(failure(builder).await.0, DisconnectReason::TlsCertificate);
        }
    }
}

async fn a_certificate_that_is_not_trusted_ends_the_attempts_at_once<R: Net>() {
    let tls = Authority::new().server(&["localhost"]).build().unwrap();
    let (_server, port) = listen::<R>(Server::builder().tls(tls)).await;
    let tls = Authority::new().client().build().unwrap();
    let (client, mut updates) =
        Client::<R>::builder(format!("wss://localhost:{port}/ws")).tls(tls).reconnect(at_once()).start().unwrap();
    assert!(within(client.ready()).await.is_err());
    let mut attempts = 0;
    while let Some(update) = within(updates.next()).await {
        attempts += usize::from(matches!(update, Update::Lifecycle(LifecycleEvent::Connecting { .. })));
    }
    let status = client.status();
    assert_eq!(
        (attempts, status.last_disconnect.as_ref().map(|last| last.reason())),
        (1, Some(DisconnectReason::TlsCertificate))
    );
    assert!(format!("{:#}", status.last_disconnect.unwrap()).contains("certificate"));
}

async fn a_server_lets_no_client_in_without_a_certificate_that_it_wants<R: Net>() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let desired = || authority.server(&["localhost"]).client_roots_pem(clients.pem());
    let (server, port) = listen::<R>(Server::builder().tls(desired().build().unwrap())).await;
    let url = format!("wss://localhost:{port}/ws");
    let connect = |tls: ClientTlsBuilder| Client::<R>::builder(&url).tls(tls.build().unwrap()).reconnect(once());

    let (chain, key) = clients.issue(&["client"]);
    works(connect(authority.client().certificate_pem(&chain, &key)), &server).await;
    let (_, detail) = failure(connect(authority.client())).await;
    assert!(detail.contains("CertificateRequired"), "{detail}");
    let (stranger, its_key) = Authority::new().issue(&["client"]);
    failure(connect(authority.client().certificate_pem(stranger, its_key))).await;

    let optional = desired().client_certificate_optional().build().unwrap();
    let (server, port) = listen::<R>(Server::builder().tls(optional)).await;
    let tls = authority.client().build().unwrap();
    works(Client::<R>::builder(format!("wss://localhost:{port}/ws")).tls(tls), &server).await;
}

async fn every_certificate_is_accepted_when_that_is_asked_for<R: Net>() {
    let tls = Authority::new().server(&["gateway.example"]).build().unwrap();
    let (server, port) = listen::<R>(Server::builder().tls(tls)).await;
    let tls = ClientTls::builder().provider(provider()).dangerous_accept_any_certificate().build().unwrap();
    works(Client::<R>::builder(format!("wss://127.0.0.1:{port}/ws")).tls(tls), &server).await;
}

async fn two_providers_live_in_one_program_and_none_becomes_its_default<R: Net>() {
    let providers = [Arc::new(ring::default_provider()), Arc::new(aws_lc_rs::default_provider())];
    let authority = Authority::new();
    for theirs in &providers {
        let tls = authority.server(&["localhost"]).provider(theirs.clone()).build().unwrap();
        let (server, port) = listen::<R>(Server::builder().tls(tls)).await;
        let url = format!("wss://localhost:{port}/ws");
        for ours in &providers {
            let tls = authority.client().provider(ours.clone()).build().unwrap();
            works(Client::<R>::builder(&url).tls(tls), &server).await;
        }
        // Without one that is handed in, the feature of the bindings decides.
        let tls = ClientTls::builder().roots_pem(authority.pem()).build().unwrap();
        works(Client::<R>::builder(&url).tls(tls), &server).await;
    }
    assert!(CryptoProvider::get_default().is_none());
}

async fn a_stream_that_ends_without_close_notify_has_ended_like_any_other<R: Net>() {
    let authority = Authority::new();
    let tls = authority.server(&["localhost"]).build().unwrap();
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let url = format!("wss://localhost:{}/ws", listener.local_addr().unwrap().port());
    let serve = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(tls.config().clone()).accept(stream).await.unwrap();
        let (mut socket, ..) =
            WebSocket::accept(stream, &WebSocketConfig::default(), |_| Ok(Default::default())).await.unwrap();
        socket.send_text(r#"{"type":"ack","payload":{"clientId":"c"}}"#).await.unwrap();
        // Dropped, the stream ends without `close_notify`.
        drop(socket);
    });
    let tls = authority.client().build().unwrap();
    let (client, _updates) = within(Client::<R>::builder(url).tls(tls).reconnect(once()).connect()).await.unwrap();
    within(serve).await.unwrap();
    within(client.closed()).await;
    assert_eq!(client.status().last_disconnect.map(|last| last.reason()), Some(DisconnectReason::Eof));
}

async fn a_server_without_tls_is_no_certificate_error<R: Net>() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let tls = Authority::new().client().build().unwrap();
    let (reason, _) =
        failure(Client::<R>::builder(format!("wss://localhost:{port}/ws")).tls(tls).reconnect(once())).await;
    assert_eq!(reason, DisconnectReason::Tls);
}

async fn a_client_without_tls_does_not_hold_up_a_server<R: Net>() {
    let authority = Authority::new();
    let tls = authority.server(&["localhost"]).build().unwrap();
    let (server, port) = listen::<R>(Server::builder().tls(tls)).await;
    let (reason, detail) = failure(Client::<R>::builder(format!("ws://localhost:{port}/ws")).reconnect(once())).await;
    assert!(
        matches!(reason, DisconnectReason::BadUpgrade | DisconnectReason::Eof | DisconnectReason::Io),
        "{reason}: {detail}"
    );
    // One that says nothing at all is there meanwhile.
    let mut silent = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let tls = authority.client().build().unwrap();
    works(Client::<R>::builder(format!("wss://localhost:{port}/ws")).tls(tls), &server).await;
    drop(server);
    let _ = within(tokio::io::copy(&mut silent, &mut tokio::io::sink())).await;
}

#[tokio::test]
async fn sec_hs_14_a_redirect_from_tls_to_plain_text_is_not_followed() {
    async fn on<R: Net>() {
        let authority = Authority::new();
        let tls = authority.server(&["localhost"]).build().unwrap();
        let below = Scripted::start(|_| String::new()).await;
        let location = format!("ws://localhost:{}/ws", below.port);
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(tls.config().clone()).accept(stream).await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(redirect(302, &location).as_bytes()).await.unwrap();
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        let tls = authority.client().build().unwrap();
        let builder = Client::<R>::builder(format!("wss://localhost:{port}/ws")).api_key("s3cret").tls(tls);
        let (reason, detail) = failure(builder.reconnect(once())).await;
        assert_eq!(reason, DisconnectReason::Refused { status: 302, retry_after: None });
        assert!(detail.contains("from wss to ws"), "{detail}");
        assert!(below.heads().is_empty());
    }
    on::<Tokio>().await;
    on::<AsyncStd>().await;
}

#[test]
fn invalid_settings_are_reported_before_anything_is_dialed() {
    let authority = Authority::new();
    let (chain, key) = authority.issue(&["localhost"]);
    let (_, other) = authority.issue(&["localhost"]);
    let server = |chain: &str, key: &str| ServerTls::pem(chain, key).provider(provider()).build().unwrap_err();
    assert!(matches!(server("", &key), TlsError::Missing("certificate")));
    assert!(matches!(server(&chain, &chain), TlsError::Missing("private key")));
    assert!(matches!(server(&chain, &other), TlsError::Rustls(_)));
    assert!(matches!(server("-----BEGIN CERTIFICATE-----\n", &key), TlsError::Pem { what: "certificate", .. }));
    let missing = ClientTls::builder().roots_file("/does/not/exist.pem").build().unwrap_err();
    assert_eq!(missing.to_string(), "/does/not/exist.pem cannot be read");
}

#[test]
fn sec_ap_08_debug_output_of_tls_shows_no_key() {
    let (chain, key) = Authority::new().issue(&["localhost"]);
    let secret = key.lines().nth(1).unwrap();
    let server = ServerTls::pem(&chain, &key).provider(provider());
    let client = ClientTls::builder().certificate_pem(&chain, &key).provider(provider()).roots_pem(&chain);
    let shown = format!("{server:?} {client:?} {:?} {:?}", server.clone().build(), client.clone().build());
    assert!(!shown.contains(secret));
}
