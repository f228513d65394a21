//! A shutdown in the middle of a message that does not get through: every future ends, whatever the client does.

use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::RawJson;
use multiwa_ws_tokio::Server;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, receivers, soon};
use crate::kit::lines::{narrow_tcp, secure};

/// What a client does that has read nothing since it subscribed.
#[derive(Clone, Copy, Debug)]
enum Reader {
    IsSilent,
    /// It drops its stream once the shutdown waits.
    HangsUp,
    /// It sends a Close frame once the shutdown waits, and goes on reading nothing.
    Closes,
}

const READERS: [Reader; 3] = [Reader::IsSilent, Reader::HangsUp, Reader::Closes];

/// When clients are cut that have not gone.
const DEADLINE: Duration = Duration::from_millis(600);

impl Reader {
    /// Whether such a client has to be cut: the answer to a Close frame waits behind what is not read.
    fn must_be_cut(self) -> bool {
        !matches!(self, Self::HangsUp)
    }

    async fn act<S: AsyncRead + AsyncWrite + Unpin>(self, mut client: Client<S>) -> Option<Client<S>> {
        sleep(DEADLINE / 3).await;
        match self {
            Self::IsSilent => {}
            Self::HangsUp => return None,
            Self::Closes => {
                client.0.sender().close(multiwa_ws_core::Instant::default(), CloseCode::NORMAL, "").unwrap();
                // What the server sends meanwhile is not taken: the stream has room for one frame.
                let _ = timeout(Duration::from_millis(20), client.0.flush()).await;
            }
        }
        Some(client)
    }
}

/// Shuts a server down whose connections, over the far ends of `streams`, are in the middle of an event of 3 MiB.
async fn shut_down_while_publishing<C, S>(streams: Vec<(C, S)>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server = Server::builder().close_window(Duration::ZERO).build();
    let (mut serving, mut clients) = (Vec::new(), Vec::new());
    for (near, far) in streams {
        serving.push(tokio::spawn(server.serve_stream(far, None)));
        let mut client = Client::over(near, ClientRequest::new("localhost", "/ws")).await.unwrap();
        client.take_ack().await;
        client.subscribe("p", r#"["*"]"#).await;
        clients.push(client);
    }
    let data = RawJson::parse(&format!("\"{}\"", "x".repeat(3 << 20))).unwrap().into_owned();
    assert_eq!(receivers(server.publisher().publish("e", Some("p"), &data)), READERS.len());
    sleep(Duration::from_millis(50)).await;
    let mut acting = JoinSet::new();
    for (reader, client) in READERS.into_iter().zip(clients) {
        acting.spawn(reader.act(client));
    }
    let start = Instant::now();
    let cut = soon(server.shutdown(DEADLINE)).await;
    assert!(start.elapsed() < DEADLINE + Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(cut, READERS.into_iter().filter(|reader| reader.must_be_cut()).count());
    assert_eq!(server.connections(), 0);
    for serving in serving {
        soon(serving).await.unwrap();
    }
    // The clients were there until then.
    assert_eq!(soon(acting.join_all()).await.len(), READERS.len());
    assert_eq!(soon(server.shutdown(DEADLINE)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn f_07_a_shutdown_in_the_middle_of_a_message_ends_in_memory() {
    shut_down_while_publishing(READERS.map(|_| duplex(1024)).into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_a_shutdown_in_the_middle_of_a_message_ends_over_tcp() {
    let mut streams = Vec::new();
    for _ in READERS {
        streams.push(narrow_tcp().await);
    }
    shut_down_while_publishing(streams).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_a_shutdown_in_the_middle_of_a_message_ends_over_tls() {
    let mut streams = Vec::new();
    for _ in READERS {
        streams.push(secure(narrow_tcp().await).await);
    }
    shut_down_while_publishing(streams).await;
}
