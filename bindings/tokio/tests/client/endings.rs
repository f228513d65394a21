//! A close while requests wait for their answers: every future ends, whatever the server does.

use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::session::{ClientConfig, ClientState, CloseCause};
use multiwa_ws_core::websocket;
use multiwa_ws_tokio::RequestError;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::time::{Instant, sleep};

use super::support::{builder, connected_over, within};
use crate::kit::lines::{narrow_tcp, secure};

/// What a server does that answers nothing.
#[derive(Clone, Copy, Debug)]
enum Server {
    IsSilent,
    HangsUp,
    /// It sends a Close frame after which clients try again, and then neither reads nor writes.
    Closes,
}

const SERVERS: [Server; 3] = [Server::IsSilent, Server::HangsUp, Server::Closes];

/// The time of a closing handshake.
const DEADLINE: Duration = Duration::from_millis(500);

/// More than a narrow stream in memory takes.
const PINGS: usize = 50;

async fn close_while_requests_wait<C, S>(server: Server, streams: (C, S))
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let builder = builder()
        .session(ClientConfig::new().close_timeout(DEADLINE))
        .websocket(websocket::Config::new().keep_alive(KeepAlive::OFF).close_timeout(DEADLINE));
    let (client, mut updates, mut peer) = connected_over(builder, streams).await;
    let mut requests: Vec<_> = (0..PINGS).map(|_| tokio::spawn(client.ping())).collect();
    requests.push(tokio::spawn(client.subscribe("p", ["e"])));
    let watcher = client.clone();
    let closed = tokio::spawn(async move { watcher.closed().await });
    let updates = tokio::spawn(async move { while updates.next().await.is_some() {} });
    sleep(Duration::from_millis(50)).await;
    let peer = match server {
        Server::IsSilent => Some(peer),
        Server::HangsUp => None,
        Server::Closes => {
            peer.sender().close(multiwa_ws_core::Instant::default(), CloseCode::GOING_AWAY, "").unwrap();
            within(peer.flush()).await.unwrap();
            Some(peer)
        }
    };
    let start = Instant::now();
    within(client.close()).await;
    assert!(start.elapsed() < DEADLINE + Duration::from_secs(2), "{server:?}: {:?}", start.elapsed());
    for request in requests {
        let ended = within(request).await.unwrap();
        assert!(matches!(ended, Err(RequestError::ConnectionLost)), "{server:?}: {ended:?}");
    }
    within(updates).await.unwrap();
    assert_eq!((within(closed).await.unwrap(), client.state()), (CloseCause::Application, ClientState::Closed));
    // What comes too late is not kept waiting either.
    let late = within(client.ping()).await;
    assert!(late.is_err(), "{server:?}: {late:?}");
    let _ = within(client.ready()).await;
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn f_07_a_close_while_requests_wait_ends_in_memory() {
    for server in SERVERS {
        close_while_requests_wait(server, duplex(256)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_a_close_while_requests_wait_ends_over_tcp() {
    for server in SERVERS {
        close_while_requests_wait(server, narrow_tcp().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_a_close_while_requests_wait_ends_over_tls() {
    for server in SERVERS {
        close_while_requests_wait(server, secure(narrow_tcp().await).await).await;
    }
}
