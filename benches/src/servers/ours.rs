//! Ours.

use std::io;
use std::net::TcpListener;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Message};
use multiwa_ws_core::websocket::{Config, Event, Negotiated, Role};
use multiwa_ws_tokio::Server;

use super::broadcast::{Orders, Ready, SUBSCRIBERS};

/// Without pings, as all others are.
fn config() -> Config {
    Config { keep_alive: KeepAlive::OFF, ..Config::default() }
}

pub(super) fn tokio(listener: TcpListener) -> io::Result<()> {
    super::serve(listener, |stream| async {
        let socket =
            multiwa_ws_tokio::WebSocket::from_upgraded(stream, Role::Server, &config(), &Negotiated::default(), &[]);
        let mut socket = socket.expect("the system has entropy");
        // What is queued is written before the next read.
        while let Ok(Some(received)) = socket.next().await {
            if let Event::Text(text) = received.event {
                received.out.send_text(text).expect("there is room");
            }
        }
    })
}

pub(super) fn async_std(listener: TcpListener) -> io::Result<()> {
    async_std::task::block_on(async {
        let listener = async_std::net::TcpListener::from(listener);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            async_std::task::spawn(async {
                let socket = multiwa_ws_async_std::WebSocket::from_upgraded(
                    stream,
                    Role::Server,
                    &config(),
                    &Negotiated::default(),
                    &[],
                );
                let mut socket = socket.expect("the system has entropy");
                while let Ok(Some(received)) = socket.next().await {
                    if let Event::Text(text) = received.event {
                        received.out.send_text(text).expect("there is room");
                    }
                }
            });
        }
    })
}

/// The whole server: sessions, registry and mailboxes.
pub(super) fn broadcast(event: &str, ready: Ready, mut orders: Orders) -> io::Result<()> {
    let event = Message::parse(event, DEFAULT_MAX_DEPTH).expect("it is JSON").into_event().expect("it is an event");
    super::block_on(async {
        let server = Server::builder().websocket(config()).bind(([127, 0, 0, 1], 0).into()).await?;
        // Whoever waits for it has gone only with the process.
        let _ = ready.send(server.local_addr().expect("it listens"));
        let publisher = server.publisher();
        while let Some(events) = orders.recv().await {
            for _ in 0..events {
                assert_eq!(publisher.publish(&event), SUBSCRIBERS);
            }
        }
        Ok(())
    })?
}
