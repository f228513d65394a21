//! Our servers: echo on both runtimes, and the whole server for fan-out and for idle memory.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::DeflateConfig;
use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope};
use multiwa_ws_core::websocket::{Config, Event, Negotiated, Role};
use multiwa_ws_tokio::{Server, ServerTls};

use super::orders::{Job, Orders, Ready, announce};
use crate::corpus::{Keys, event};
use crate::random::Random;

/// Without keep-alive pings, like all other contestants.
pub(super) fn config() -> Config {
    Config::new().keep_alive(KeepAlive::OFF)
}

pub(super) fn tokio(listener: TcpListener) -> io::Result<()> {
    super::thread::serve(listener, |stream| async {
        let socket =
            multiwa_ws_tokio::WebSocket::from_upgraded(stream, Role::Server, &config(), &Negotiated::default(), &[]);
        let mut socket = socket.expect("the system has entropy");
        // The queue is written before the next read.
        while let Ok(Some(mut received)) = socket.next().await {
            if let Event::Text(text) = received.event {
                received.sender.send_text(text).expect("there is room");
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
                while let Ok(Some(mut received)) = socket.next().await {
                    if let Event::Text(text) = received.event {
                        received.sender.send_text(text).expect("there is room");
                    }
                }
            });
        }
    })
}

/// The whole server: sessions, registry and mailboxes.
pub(super) fn broadcast(job: &Job, ready: Ready, mut orders: Orders) -> io::Result<()> {
    let event =
        Envelope::parse(&job.event, DEFAULT_MAX_DEPTH).expect("it is JSON").into_event().expect("it is an event");
    super::thread::block_on(async {
        let server = Server::builder().websocket(config()).bind(([127, 0, 0, 1], 0).into()).await?;
        // The receiver exists until the address has arrived.
        let _ = ready.send(server.local_addr().expect("it listens"));
        let publisher = server.publisher();
        while let Some(events) = orders.recv().await {
            for _ in 0..events {
                let published = publisher.forward(&event).await.expect("it is in memory");
                assert_eq!(published.receivers, job.subscribers);
            }
        }
        Ok(())
    })?
}

/// The whole server. It publishes an event of 300 B to each of the given number of profiles.
pub(super) fn idle(mut orders: Orders, deflate: bool, tls: bool) -> io::Result<()> {
    // Each connection has a timer, as by default. The interval is long, because no client here answers a ping.
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(3600)).timeout(None);
    let mut builder = Server::builder().websocket(Config::new().keep_alive(keep_alive));
    let mut certificate = String::new();
    if deflate {
        builder = builder.compression(DeflateConfig::default());
    }
    if tls {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        certificate = made.cert.pem();
        let tls = ServerTls::pem(&certificate, made.signing_key.serialize_pem()).build();
        builder = builder.tls(tls.map_err(io::Error::other)?);
    }
    super::thread::block_on(async {
        let server = builder.bind(([127, 0, 0, 1], 0).into()).await?;
        announce(server.local_addr().expect("it listens"), certificate.trim_end());
        let publisher = server.publisher();
        while let Some(profiles) = orders.recv().await {
            for profile in 0..profiles {
                let text = event(Keys::First, &format!("profile-{profile}"), 300, &mut Random::new(1));
                let event = Envelope::parse(&text, DEFAULT_MAX_DEPTH).expect("it is JSON").into_event();
                publisher.forward(&event.expect("it is an event")).await.expect("it is in memory");
                // Lets the bytes leave: bytes in flight are not part of the memory of an idle connection.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    })?
}
