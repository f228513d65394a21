//! The futures of the asynchronous methods can move between threads, and are small.
#![cfg(test)]

use std::future::{Future, ready};
use std::time::Duration;

use multiwa_ws_tokio::core::frame::CloseCode;
use multiwa_ws_tokio::core::handshake::Acceptance;
use multiwa_ws_tokio::core::websocket::{Config, Negotiated, Role};
use multiwa_ws_tokio::{Client, ClientRequest, RawJson, Server, WebSocket, WebSocketConfig};
use tokio::io::{DuplexStream, duplex};

/// The name of a method, the size of its future and the limit of the size.
type Row = (&'static str, usize, usize);

fn row<F: Future + Send>(name: &'static str, future: F, limit: usize) -> Row {
    (name, size_of_val(&future), limit)
}

fn socket(stream: DuplexStream, role: Role) -> WebSocket<DuplexStream> {
    WebSocket::from_upgraded(stream, role, &Config::default(), &Negotiated::default(), b"").unwrap()
}

#[tokio::test]
async fn every_future_is_send_and_small() {
    let address = "127.0.0.1:0".parse().unwrap();
    let (client, mut updates) = Client::builder("ws://127.0.0.1:1/ws").start().unwrap();
    let mut rows = vec![
        row("Client::subscribe", client.subscribe("p", ["*"]), 48),
        row("Client::unsubscribe", client.unsubscribe(None), 48),
        row("Client::ping", client.ping(), 48),
        row("Client::close", client.close(), 96),
        row("Client::closed", client.closed(), 80),
        row("Client::ready", client.ready(), 80),
        row("ClientBuilder::connect", Client::builder("ws://127.0.0.1:1/ws").connect(), 1152),
        row("Updates::next", updates.next(), 48),
        row("Updates::next_event", updates.next_event(), 48),
    ];

    let server = Server::builder().build();
    let publisher = server.publisher();
    let data = RawJson::parse("{}").unwrap();
    rows.extend([
        row("Server::serve_stream", server.serve_stream(duplex(1).0, None), 512),
        row("Server::shutdown", server.shutdown(Duration::ZERO), 320),
        row("ServerBuilder::bind", Server::builder().bind(address), 2176),
        row("ServerBuilder::bind_with", Server::builder().bind_with(address, |stream| ready(Ok(stream))), 1664),
        row("Publisher::publish", publisher.publish("e", None, &data), 96),
    ]);
    #[cfg(unix)]
    rows.push(row("ServerBuilder::bind_unix", Server::builder().bind_unix("/nowhere"), 1088));

    let (near, far) = duplex(1);
    let config = WebSocketConfig::default();
    let mut whole = socket(near, Role::Client);
    let (mut reader, mut writer) = socket(far, Role::Server).split();
    let accept = |_: &_| Ok(Acceptance::default());
    rows.extend([
        row("WebSocket::connect", WebSocket::connect(duplex(1).0, ClientRequest::new("h", "/"), &config), 896),
        row("WebSocket::accept", WebSocket::accept(duplex(1).0, &config, accept), 704),
        row("WebSocket::next", whole.next(), 64),
        row("WebSocket::send_text", whole.send_text(""), 128),
        row("WebSocket::send_binary", whole.send_binary(b""), 128),
        row("WebSocket::flush", whole.flush(), 48),
        row("WebSocket::close", whole.close(CloseCode::NORMAL, ""), 96),
        row("Reader::next", reader.next(), 64),
        row("Writer::send_text", writer.send_text(""), 112),
        row("Writer::send_binary", writer.send_binary(b""), 112),
        row("Writer::flush", writer.flush(), 32),
        row("Writer::close", writer.close(CloseCode::NORMAL, ""), 64),
    ]);

    let table: String = rows.iter().map(|(name, size, limit)| format!("{name}: {size} (at most {limit})\n")).collect();
    println!("{table}");
    assert!(rows.iter().all(|(_, size, limit)| size <= limit), "{table}");
}
