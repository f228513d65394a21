//! WebSocket and the MultiWA protocol on tokio.
//!
//! # A client
//! 1. [`Client::builder`] takes the URL, the key and the subscriptions. [`ClientBuilder::connect`] waits until the client is
//!    ready. [`ClientBuilder::start`] does not wait.
//! 2. Both return a [`Client`] and its [`Updates`]. The client is a handle: clone it, and use it from any task to
//!    subscribe, ping and close. [`Updates::next`] *lends* each [`Update`]: it borrows from a buffer until the next call.
//!    `Updates` is also a `Stream` of owned updates.
//! 3. The client reconnects by itself. A [`LifecycleEvent`] reports each change of the connection, and [`Client::status`]
//!    returns the present state. [`Client::closed`] waits until the client stops, and returns the reason.
//!
//! ```no_run
//! use multiwa_ws_tokio::{Client, Update};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let builder = Client::builder("ws://127.0.0.1:3001/ws").api_key("secret").subscribe("profile-123", ["*"]);
//! let (client, mut updates) = builder.connect().await?;
//! while let Some(update) = updates.next().await {
//!     if let Update::Event(event) = update {
//!         println!("{} {}", event.name(), event.data().unwrap_or("null"));
//!     }
//! }
//! println!("{:?}", client.closed().await);
//! # Ok(())
//! # }
//! ```
//!
//! # A server
//! 1. [`Server::builder`] takes keys, limits and a function that [decides on each client](ServerBuilder::authorize).
//!    [`ServerBuilder::bind`] listens. [`Server::serve_stream`] serves a stream that you opened. With the
//!    feature `http`, `Server::upgrade` serves a client whose request `hyper` or `axum` has read.
//! 2. [`Server::publisher`] returns a [`Publisher`]: clone it, and [`publish`](Publisher::publish) from any task. A slow
//!    client does not delay the others: see [`SlowReader`].
//! 3. [`Server::shutdown`] sends what is queued and closes every connection.
//!
//! ```
//! use multiwa_ws_tokio::{ApiKey, RawJson, Server};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().api_keys([ApiKey::new("k-1")]).bind("127.0.0.1:0".parse()?).await?;
//! println!("listening on {:?}", server.local_addr());
//! let data = RawJson::parse(r#"{"status":"connected"}"#)?;
//! let published = server.publisher().publish("session.status", Some("p"), &data).await?;
//! assert_eq!(published.receivers, 0); // no client is connected
//! server.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # WebSocket alone
//! [`WebSocket::connect`] and [`WebSocket::accept`] upgrade any `AsyncRead + AsyncWrite`. [`WebSocket::next`] lends each
//! message, the `send_*` methods send, and [`WebSocket::split`] returns a [`Reader`] and a [`Writer`] for two tasks.
//! [`WebSocket::into_stream`] returns a [`MessageStream`], which is a `Stream` and a `Sink` of messages.
//!
//! A client of any WebSocket server:
//! ```no_run
//! use multiwa_ws_tokio::core::websocket::Event;
//! use multiwa_ws_tokio::{ClientRequest, CloseCode, WebSocket, WebSocketConfig};
//! use tokio::net::TcpStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stream = TcpStream::connect("127.0.0.1:8080").await?;
//! let request = ClientRequest::new("127.0.0.1:8080", "/chat?room=1");
//! let (mut socket, _) = WebSocket::connect(stream, request, &WebSocketConfig::default()).await?;
//! socket.send_text("hello").await?;
//! while let Some(received) = socket.next().await? {
//!     if let Event::Text(text) = received.event {
//!         println!("{text}");
//!         break;
//!     }
//! }
//! socket.close(CloseCode::NORMAL, "").await?;
//! # Ok(())
//! # }
//! ```
//! A server that sends every message back:
//! ```
//! use futures_util::StreamExt; // with the feature `sink` of futures-util
//! use multiwa_ws_tokio::core::handshake::Acceptance;
//! use multiwa_ws_tokio::{WebSocket, WebSocketConfig};
//! use tokio::net::TcpStream;
//!
//! /// Sends every message back until the client closes.
//! async fn echo(stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//!     let accept = |_: &_| Ok(Acceptance::default());
//!     let (socket, ..) = WebSocket::accept(stream, &WebSocketConfig::default(), accept).await?;
//!     let (sink, stream) = socket.into_stream().split();
//!     stream.forward(sink).await?;
//!     Ok(())
//! }
//! ```
//!
//! # TLS
//! `wss` URLs and servers with TLS use `rustls`. The feature `tls-ring` (on by default) or `tls-aws-lc` adds it with a crypto
//! provider. With the feature `tls` alone, pass a provider in a `ClientTls` or `ServerTls`. Without these features no code
//! of `rustls` is compiled, and a `wss` URL is [`DialerError::NoTls`].
//!
//! # The core
//! The module [`core`] is the whole core: limits, state machines and errors. The most used names are also at the root of
//! this crate.
//!
//! # The runtime
//! Everything runs on a tokio runtime whose time and I/O are enabled, as `tokio::main` and `Builder::enable_all` do. Outside
//! of one, [`ClientBuilder::start`] and [`ServerBuilder::bind`] return an error.
//!
//! # Panics
//! Everything panics on a runtime whose time or I/O is not enabled. The futures of [`WebSocket`], [`Server::serve_stream`]
//! and [`Server::shutdown`] also panic if they are polled outside of a runtime. These are panics of tokio. A client whose
//! task has panicked is closed, with [`DisconnectReason::Stopped`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod runtime;

pub use multiwa_ws_driver::binding::*;
pub use runtime::Tokio;

multiwa_ws_driver::name_types!(Tokio);

/// The examples of the project's README and of its pages compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/bindings.md")]
#[doc = include_str!("../../../docs/from-tokio-tungstenite.md")]
struct Pages;
