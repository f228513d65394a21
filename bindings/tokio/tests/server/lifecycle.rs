//! How connections and servers begin and end.

use std::future::{pending, ready};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{ClientRequest, HandshakeLimits};
use multiwa_ws_driver::{Clock, Io, Net, Runtime, Tls};
use multiwa_ws_tokio::{Observed, Server, Tokio};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::client::{Client, PATIENCE, publish, soon, start, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_get_every_event_exactly_once() {
    let (server, address) = start(Server::builder()).await;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = Client::connect(address).await;
        client.subscribe("p", r#"["*"]"#).await;
        clients.push(client);
    }
    assert_eq!(server.connections(), 1_000);
    let publisher = server.publisher();
    for number in 0..20 {
        assert_eq!(publish(&publisher, "p", number), 1_000);
    }
    let expected: Vec<_> = (0..20).collect();
    for client in &mut clients {
        assert_eq!(client.numbers(20).await, expected);
    }
    let closing = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.end().await.map(|(code, _)| code), Some(1001));
            // To its end, so that the server sees the client's Close frame too.
            while let Ok(Some(_)) = soon(client.0.next()).await {}
        }
    });
    assert_eq!(soon(server.shutdown(PATIENCE)).await, 0);
    soon(closing).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_delivers_what_was_published_and_closes_with_1001() {
    let (server, address) = start(Server::builder().close_window(Duration::from_millis(200))).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(address).await;
        client.subscribe("p", r#"["*"]"#).await;
        clients.push(client);
    }
    let publisher = server.publisher();
    for number in 0..1_000 {
        assert_eq!(publish(&publisher, "p", number), 3);
    }
    let reading = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.numbers(1_000).await, (0..1_000).collect::<Vec<_>>());
            assert_eq!(client.end().await, Some((1001, "the server is shutting down".to_owned())));
            while let Ok(Some(_)) = soon(client.0.next()).await {}
            assert!(client.0.closed().is_some_and(|closed| closed.clean));
        }
    });
    assert_eq!(soon(server.shutdown(PATIENCE)).await, 0);
    soon(reading).await.unwrap();
    assert_eq!((server.connections(), publish(&publisher, "p", 0)), (0, 0));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_dropped_shutdown_goes_on_and_can_be_taken_up_again() {
    let (server, address) = start(Server::builder()).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(address).await;
        client.subscribe("p", r#"["*"]"#).await;
        clients.push(client);
    }
    let publisher = server.publisher();
    for number in 0..100 {
        assert_eq!(publish(&publisher, "p", number), 3);
    }
    for _ in 0..5 {
        tokio::select! {
            biased;
            cut = server.shutdown(PATIENCE) => panic!("over, with {cut} connections cut, while clients are there"),
            () = tokio::task::yield_now() => {}
        }
    }
    let reading = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.numbers(100).await, (0..100).collect::<Vec<_>>());
            assert_eq!(client.end().await.map(|(code, _)| code), Some(1001));
            // One Close frame, and nothing behind it.
            assert_eq!(client.text_or_end().await, Err(None));
        }
    });
    assert_eq!(soon(server.shutdown(PATIENCE)).await, 0);
    soon(reading).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_is_over_by_its_deadline_even_if_a_client_stalls() {
    let (server, address) = start(Server::builder()).await;
    let mut stalled = Client::connect(address).await;
    stalled.subscribe("p", r#"["*"]"#).await;
    let silent = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    assert_eq!(soon(server.shutdown(Duration::from_millis(300))).await, 1);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(server.connections(), 0);
    drop((stalled, silent));
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_its_connections() {
    let (server, address) = start(Server::builder()).await;
    let mut client = Client::connect(address).await;
    let publisher = server.publisher();
    drop(server);
    assert_eq!(client.end().await, None);
    assert_eq!(publish(&publisher, "p", 0), 0);
    wait_until(|| std::net::TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn connections_with_a_subscription_are_counted() {
    let (server, address) = start(Server::builder()).await;
    let mut client = Client::connect(address).await;
    assert_eq!((server.connections(), server.subscribers()), (1, 0));
    client.subscribe("p", r#"["*"]"#).await;
    assert_eq!(server.subscribers(), 1);
    drop(client);
    wait_until(|| server.subscribers() == 0).await;
}

#[tokio::test]
async fn every_step_of_a_connection_is_observed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observe = {
        let seen = seen.clone();
        move |observed: Observed<'_>| {
            seen.lock().unwrap().push(match observed {
                Observed::Opened { peer } => format!("opened {}", peer.id),
                Observed::Refused { peer, status } => format!("refused {} {status}", peer.id),
                Observed::Failed { peer, error } => format!("failed {} {}", peer.id, error.is_some()),
                Observed::Closed { peer, closed, .. } => format!("closed {} {}", peer.id, closed.code.get()),
                other => format!("{other:?}"),
            });
        }
    };
    let (server, address) = start(Server::builder().observe(observe)).await;
    let mut client = Client::connect(address).await;
    assert!(Client::connect_with(address, |request| request.target = "/".to_owned()).await.is_err());
    drop(TcpStream::connect(address).await.unwrap());
    soon(client.0.close(CloseCode::NORMAL, "bye")).await.unwrap();
    drop(client);
    wait_until(|| seen.lock().unwrap().len() == 4).await;
    assert_eq!(soon(server.shutdown(PATIENCE)).await, 0);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["closed 1 1000", "failed 3 true", "opened 1", "refused 2 404"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_stream_of_any_kind_can_be_served() {
    let (server, _) = start(Server::builder()).await;
    let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
    let serving = tokio::spawn(server.serve_stream(theirs, None));
    let mut client = Client::over(ours, ClientRequest::new("localhost", "/ws")).await.unwrap();
    client.take_ack().await;
    assert_eq!(server.connections(), 1);
    soon(client.0.close(CloseCode::NORMAL, "")).await.unwrap();
    drop(client);
    soon(serving).await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_over_even_if_a_stream_is_never_driven() {
    let server = Server::builder().build();
    let serving = server.serve_stream(tokio::io::duplex(64).1, None);
    assert_eq!(soon(server.shutdown(Duration::from_secs(5))).await, 0);
    drop(serving);
}

#[tokio::test]
async fn a_stream_that_cannot_be_secured_is_dropped() {
    let fail = |_| ready(Err::<TcpStream, _>(io::ErrorKind::InvalidData.into()));
    let stall = |_| pending::<io::Result<TcpStream>>();
    let handshake = HandshakeLimits::new().timeout(Duration::from_millis(100));
    let any_port = "127.0.0.1:0".parse().unwrap();
    let failing = Server::builder().bind_with(any_port, fail).await.unwrap();
    let stalling = Server::builder().handshake(handshake).bind_with(any_port, stall).await.unwrap();
    for server in [failing, stalling] {
        let mut stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        assert_eq!(soon(stream.read(&mut [0; 16])).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_failure_to_accept_ends_nothing() {
    let failures = Arc::new(AtomicUsize::new(0));
    let observe = {
        let failures = failures.clone();
        move |observed: Observed<'_>| {
            if let Observed::AcceptFailed { .. } = observed {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let builder = multiwa_ws_driver::Server::<Flaky>::builder().observe(observe);
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    Client::connect(server.local_addr().unwrap()).await;
    assert_eq!(failures.load(Ordering::Relaxed), 3);
}

/// tokio, on which the first three connections cannot be accepted.
struct Flaky;

impl Clock for Flaky {
    fn now() -> multiwa_ws_core::Instant {
        Tokio::now()
    }
}

impl Runtime for Flaky {
    type Sleep = <Tokio as Runtime>::Sleep;

    fn sleep_until(at: multiwa_ws_core::Instant) -> Self::Sleep {
        Tokio::sleep_until(at)
    }
}

impl<S> Io<S> for Flaky
where
    Tokio: Io<S>,
{
    fn poll_read(stream: Pin<&mut S>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Tokio::poll_read(stream, cx, buffer)
    }

    fn poll_write(stream: Pin<&mut S>, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Tokio::poll_write(stream, cx, buffers)
    }

    fn poll_flush(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Tokio::poll_flush(stream, cx)
    }

    fn poll_shutdown(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Tokio::poll_shutdown(stream, cx)
    }
}

/// Without TLS.
impl<S: Unpin + Send + 'static> Tls<S> for Flaky
where
    Tokio: Io<S>,
{
    type Stream = S;
}

impl Net for Flaky {
    type TcpStream = TcpStream;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        Tokio::spawn(task)
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Tokio::resolve(host, port).await
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        <Tokio as Net>::connect(address).await
    }

    async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        Tokio::bind(address).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        Tokio::local_addr(listener)
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        if ACCEPTS.fetch_add(1, Ordering::Relaxed) < 3 {
            return Err(io::Error::other("too many open files"));
        }
        Tokio::accept(listener).await
    }
}

static ACCEPTS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn f_13_a_server_outside_of_a_runtime_is_refused() {
    let mut binding = pin!(Server::builder().bind("127.0.0.1:0".parse().unwrap()));
    let bound = binding.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(bound, Poll::Ready(Err(_))), "{bound:?}");
}
