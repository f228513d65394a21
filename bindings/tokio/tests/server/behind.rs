//! A server behind hyper and axum, over real sockets: the programs of the examples.

use std::net::SocketAddr;
use std::sync::Arc;

use multiwa_ws_core::websocket::{Config, Negotiated, Role};
use multiwa_ws_tokio::{ApiKey, ClientTls, Server, ServerBuilder, ServerTls, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::client::{Client, publish, soon, wait_until};
use super::{behind_axum, behind_hyper};

#[test]
fn the_examples_run() {
    behind_axum::main().unwrap();
    behind_hyper::main().unwrap();
}

#[tokio::test]
async fn a_connection_that_served_a_page_is_upgraded_with_the_frames_that_follow_at_once() {
    for http in [Http::Axum, Http::Hyper] {
        for tls in [false, true] {
            let (server, address, certificate) = start(http, tls, Server::builder()).await;
            let stream = TcpStream::connect(address).await.unwrap();
            if tls {
                reuse_and_upgrade(&server, secure(stream, &certificate).await).await;
            } else {
                reuse_and_upgrade(&server, stream).await;
            }
        }
    }
}

async fn reuse_and_upgrade<S: AsyncRead + AsyncWrite + Unpin>(server: &Server, mut stream: S) {
    for _ in 0..2 {
        assert_eq!(get_page(&mut stream).await, "0 clients");
    }
    // The subscription stands in the same segment and the same TLS record as the request, and half of a ping, too.
    let (first, second) = (frame(r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#), frame(PING));
    let (half, rest) = second.split_at(10);
    send(&mut stream, [request("/ws", "").as_bytes(), &first, half].concat()).await;
    let (head, unread) = response(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    for header in ["sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "x-multiwa-features: subscription-sets"] {
        assert!(head.contains(header), "{head}");
    }
    send(&mut stream, rest.to_vec()).await;
    let (config, negotiated) = (Config::default(), Negotiated::default());
    let mut client = Client(WebSocket::from_upgraded(stream, Role::Client, &config, &negotiated, &unread).unwrap());
    client.take_ack().await;
    assert!(client.text().await.contains(r#""action":"subscribed""#));
    assert!(client.text().await.contains("pong"));
    assert_eq!((server.connections(), publish(&server.publisher(), "p", 7)), (1, 1));
    assert_eq!(client.numbers(1).await, [7]);
    drop(client);
    wait_until(|| server.connections() == 0).await;
}

#[tokio::test]
async fn a_refused_client_gets_its_response_and_the_connection_stays_usable() {
    let builder = || {
        let origin = "https://app.example".parse().unwrap();
        Server::builder().api_keys([ApiKey::new("secret")]).allow_origin(origin).allow_host("localhost")
    };
    for http in [Http::Axum, Http::Hyper] {
        let (server, address, _) = start(http, false, builder().max_connections(1)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let refused = [
            (request("/ws", ""), "401 Unauthorized", "unauthorized"),
            (request("/ws?apiKey=wrong", ""), "401 Unauthorized", "unauthorized"),
            (request("/ws?apiKey=secret", "Origin: https://evil.example\r\n"), "403 Forbidden", "forbidden"),
            (request("/ws?apiKey=secret", "").replace("localhost", "evil.example"), "403 Forbidden", "forbidden"),
            (get("/ws", ""), "426 Upgrade Required", "upgrade_required"),
            (get("/ws", "Upgrade: websocket\r\n"), "426 Upgrade Required", "upgrade_required"),
            (request("/ws", "").replace(": 13", ": 8"), "426 Upgrade Required", "unsupported_version"),
            (request("/ws", "").replace("==", "="), "400 Bad Request", "bad_request"),
        ];
        for (request, status, code) in refused {
            send(&mut stream, request.into_bytes()).await;
            let (head, body) = response(&mut stream).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
            assert!(head.contains("content-type: application/json\r\n"), "{head}");
            let body = String::from_utf8(body).unwrap();
            assert!(body.ends_with(&format!(r#""code":"{code}"}}"#)), "{body}");
            let upgrade = ["upgrade: websocket\r\n", "connection: Upgrade\r\n", "sec-websocket-version: 13\r\n"];
            assert_eq!(upgrade.map(|line| head.contains(line)), [status.starts_with("426"); 3], "{head}");
        }
        assert_eq!(get_page(&mut stream).await, "0 clients");

        // The last one is accepted, and fills the server.
        send(&mut stream, request("/ws?apiKey=secret", "Origin: https://app.example\r\n").into_bytes()).await;
        assert!(response(&mut stream).await.0.starts_with("HTTP/1.1 101 "));
        assert_eq!(server.connections(), 1);
        let mut second = TcpStream::connect(address).await.unwrap();
        send(&mut second, request("/ws?apiKey=secret", "").into_bytes()).await;
        let (head, _) = response(&mut second).await;
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 5\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_shutdown_closes_the_connections_behind_another_server() {
    for http in [Http::Axum, Http::Hyper] {
        let (server, address, _) = start(http, false, Server::builder()).await;
        let mut client = Client::connect(address).await;
        let (aborted, end) = tokio::join!(soon(server.shutdown(super::client::PATIENCE)), async {
            let end = client.end().await;
            drop(client);
            end
        });
        assert_eq!((aborted, end), (0, Some((1001, "the server is shutting down".to_owned()))));
        let mut late = TcpStream::connect(address).await.unwrap();
        send(&mut late, request("/ws", "").into_bytes()).await;
        assert!(response(&mut late).await.0.starts_with("HTTP/1.1 503 "));
    }
}

/// The HTTP server in front.
#[derive(Clone, Copy)]
enum Http {
    Axum,
    Hyper,
}

/// Starts the program of an example with a server of the test. Returns the certificate, too.
async fn start(http: Http, tls: bool, builder: ServerBuilder) -> (Arc<Server>, SocketAddr, String) {
    let server = Arc::new(builder.build());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let acceptor = TlsAcceptor::from(ServerTls::pem(&certificate, key).build().unwrap().config().clone());
    match (http, tls) {
        (Http::Axum, true) => {
            tokio::spawn(behind_axum::serve_tls(listener, acceptor, behind_axum::app(server.clone())));
        }
        (Http::Axum, false) => {
            let app = behind_axum::app(server.clone()).into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(async { axum::serve(listener, app).await });
        }
        (Http::Hyper, tls) => {
            tokio::spawn(behind_hyper::serve(listener, tls.then_some(acceptor), server.clone()));
        }
    }
    (server, address, certificate)
}

async fn secure(stream: TcpStream, certificate: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tls = ClientTls::builder().roots_pem(certificate).build().unwrap();
    let connector = TlsConnector::from(tls.config().clone());
    soon(connector.connect("localhost".try_into().unwrap(), stream)).await.unwrap()
}

fn request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

const PING: &str = r#"{"type":"ping"}"#;

/// A text message of a client in one frame, whose masking key changes nothing (RFC 6455 section 5.2).
fn frame(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    let len = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: Vec<u8>) {
    soon(stream.write_all(&bytes)).await.unwrap();
    soon(stream.flush()).await.unwrap();
}

/// The head of a response and the bytes that follow it, up to its `Content-Length`.
async fn response(stream: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 4].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if bytes.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return (head, bytes.split_off(end + 4));
            }
        }
        let read = soon(stream.read_buf(&mut bytes)).await.unwrap();
        assert!(read > 0, "it ended after {:?}", String::from_utf8_lossy(&bytes));
    }
}

async fn get_page<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> String {
    send(stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()).await;
    String::from_utf8(response(stream).await.1).unwrap()
}
