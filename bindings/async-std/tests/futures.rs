//! What the compiler checks: futures, streams and sinks of both runtimes can move between threads.
#![cfg(test)]
#![cfg(any(feature = "async-std", feature = "smol"))]

use std::future::{Future, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use multiwa_ws_async_std::core::frame::CloseCode;
use multiwa_ws_async_std::core::handshake::Acceptance;
use multiwa_ws_async_std::{ClientRequest, Error, Message, Publisher, RawJson, WebSocketConfig};

fn send<F: Future + Send>(_: F) {}

fn stream<S: Stream<Item = Result<Message, Error>> + Send>(_: S) {}

fn sink<S: Sink<Message, Error = Error> + Send>(_: S) {}

/// Defines a test for the types of `$runtime`.
macro_rules! test {
    ($name:ident, $($runtime:ident)::+, $stream:ty) => {
        #[test]
        fn $name() {
            use $($runtime)::+::{Client, Reader, Server, Updates, WebSocket, Writer};

            fn client(client: &Client, updates: &mut Updates) {
                send(client.subscribe("p", ["*"]));
                send(client.unsubscribe(None));
                send(client.ping());
                send(client.close());
                send(client.closed());
                send(client.ready());
                send(Client::builder("ws://127.0.0.1:1/ws").connect());
                send(updates.next());
                send(updates.next_event());
            }

            fn server(server: &Server, publisher: &Publisher, data: &RawJson<'_>, stream: $stream) {
                let address = ([127, 0, 0, 1], 0).into();
                send(server.serve_stream(stream, None));
                send(server.shutdown(Duration::ZERO));
                send(Server::builder().bind(address));
                send(Server::builder().bind_with(address, |stream| ready(Ok(stream))));
                send(publisher.publish("e", None, data));
            }

            fn socket(near: $stream, far: $stream, mut whole: WebSocket<$stream>, config: &WebSocketConfig) {
                send(WebSocket::connect(near, ClientRequest::new("h", "/"), config));
                send(WebSocket::accept(far, config, |_| Ok(Acceptance::default())));
                send(whole.next());
                send(whole.send_text(""));
                send(whole.send_binary(b""));
                send(whole.flush());
                send(whole.close(CloseCode::NORMAL, ""));
            }

            fn halves(mut reader: Reader<$stream>, mut writer: Writer<$stream>, whole: WebSocket<$stream>) {
                send(reader.next());
                send(writer.send_text(""));
                send(writer.send_binary(b""));
                send(writer.flush());
                send(writer.close(CloseCode::NORMAL, ""));
                stream(reader);
                sink(writer.into_sink());
                let mut whole = whole.into_stream();
                stream(&mut whole);
                sink(whole);
            }

            // To compile is the test.
            let _ = (client, server, socket, halves);
        }
    };
}

#[cfg(feature = "async-std")]
test!(futures_of_async_std_are_send, multiwa_ws_async_std, async_std::net::TcpStream);
#[cfg(feature = "smol")]
test!(futures_of_smol_are_send, multiwa_ws_async_std::smol, smol::net::TcpStream);
