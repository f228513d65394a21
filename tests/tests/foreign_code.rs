//! Code of the application that the client calls may itself call any method of the client's handles, on every runtime.
#![cfg(test)]

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::ReconnectConfig;
use multiwa_ws_driver::{Client, Connector, ConnectorError, Io, Net, Server};
use tokio::io::ReadBuf;
use tokio::runtime::Builder;

/// Runs `test` on a thread of its own. One that is blocked cannot be ended: it is left behind.
fn returns(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("it returns");
}

fn at_once() -> ReconnectConfig {
    let soon = Duration::from_millis(1);
    ReconnectConfig::new().initial(soon).max(soon)
}

async fn a_provider_asks<R: Net>() {
    let later: Arc<OnceLock<Client<R>>> = Arc::default();
    let known = later.clone();
    let provider = move |_| {
        let known = known.clone();
        async move {
            match known.get() {
                Some(client) => Err(ConnectorError::stop(format!("{:?}", client.status().state))),
                None => Err(ConnectorError::retry("not yet")),
            }
        }
    };
    let (client, mut updates) = Client::<R>::builder_with(provider).reconnect(at_once()).start().unwrap();
    assert!(later.set(client.clone()).is_ok());
    while updates.next().await.is_some() {}
    assert!(format!("{:#}", client.status().last_disconnect.unwrap()).contains("Connecting"));
}

async fn a_provider_drops_a_handle<R: Net>() {
    let slot: Arc<Mutex<Option<Client<R>>>> = Arc::default();
    let given = slot.clone();
    let provider = move |_| {
        let given = given.lock().unwrap().take();
        async move {
            match given {
                Some(client) => {
                    drop(client);
                    Err(ConnectorError::stop("enough"))
                }
                None => Err(ConnectorError::retry("not yet")),
            }
        }
    };
    let (client, mut updates) = Client::<R>::builder_with(provider).reconnect(at_once()).start().unwrap();
    *slot.lock().unwrap() = Some(client.clone());
    while updates.next().await.is_some() {}
}

/// Asks its client for its status whenever it is called, and when it is dropped.
struct Curious<S, R: Net> {
    stream: S,
    client: Arc<OnceLock<Client<R>>>,
}

impl<S, R: Net> Curious<S, R> {
    fn ask(&self) {
        let _ = self.client.get().map(Client::status);
    }
}

impl<S: futures_io::AsyncRead + Unpin, R: Net> futures_io::AsyncRead for Curious<S, R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: futures_io::AsyncWrite + Unpin, R: Net> futures_io::AsyncWrite for Curious<S, R> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask();
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

impl<S: tokio::io::AsyncRead + Unpin, R: Net> tokio::io::AsyncRead for Curious<S, R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.ask();
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: tokio::io::AsyncWrite + Unpin, R: Net> tokio::io::AsyncWrite for Curious<S, R> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S, R: Net> Drop for Curious<S, R> {
    fn drop(&mut self) {
        self.ask();
    }
}

/// Gives one stream, and asks its client for its status whenever it is called.
struct OneStream<S, R: Net>(Option<Curious<S, R>>, Arc<OnceLock<Client<R>>>);

impl<S: Unpin + Send + 'static, R: Net> Connector for OneStream<S, R> {
    type Stream = Curious<S, R>;

    fn connect(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Curious<S, R>, ClientRequest), ConnectorError>> + Send + 'static {
        let _ = self.1.get().map(Client::status);
        let stream = self.0.take();
        async move {
            let stream = stream.ok_or_else(|| ConnectorError::stop("there was one stream"))?;
            Ok((stream, ClientRequest::new("127.0.0.1", "/ws")))
        }
    }
}

async fn a_stream_asks<R: Net + Io<Curious<R::TcpStream, R>>>() {
    let server: Server<R> = Server::builder().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let stream = R::connect(server.local_addr().unwrap()).await.unwrap();
    let later: Arc<OnceLock<Client<R>>> = Arc::default();
    let connector = OneStream(Some(Curious { stream, client: later.clone() }), later.clone());
    let (client, mut updates) = Client::<R>::builder("").reconnect(at_once()).start_with(connector).unwrap();
    assert!(later.set(client.clone()).is_ok());
    client.ready().await.unwrap();
    client.subscribe("p", ["e"]).await.unwrap();
    assert_eq!(server.publisher().publish("e", Some("p"), &1).await.unwrap().receivers, 1);
    assert!(updates.next_event().await.is_some());
    server.shutdown(Duration::from_secs(1)).await;
    while updates.next().await.is_some() {}
}

/// Runs each scenario on `$runtime`.
macro_rules! on_runtime {
    ($module:ident, $runtime:ty, $block_on:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn f_01_a_provider_may_ask_its_client_for_its_status() {
                returns(|| $block_on(a_provider_asks::<$runtime>()));
            }

            #[test]
            fn f_01_a_provider_may_drop_a_handle() {
                returns(|| $block_on(a_provider_drops_a_handle::<$runtime>()));
            }

            #[test]
            fn f_01_a_stream_and_a_connector_may_ask_their_client_for_its_status() {
                returns(|| $block_on(a_stream_asks::<$runtime>()));
            }
        }
    };
}

on_runtime!(on_async_std, multiwa_ws_async_std::AsyncStd, async_std::task::block_on);
on_runtime!(on_smol, multiwa_ws_async_std::smol::Smol, smol::block_on);
on_runtime!(on_one_thread_of_tokio, multiwa_ws_tokio::Tokio, |test| {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
});
on_runtime!(on_threads_of_tokio, multiwa_ws_tokio::Tokio, |test| {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
});
