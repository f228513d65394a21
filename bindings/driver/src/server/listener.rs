//! The loop that accepts connections.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::entry::Entry;
use super::observer::Observed;
use super::shared::Shared;
use super::timeout::within;
#[cfg(unix)]
use crate::UnixNet;
use crate::{Net, Runtime};

/// A listening socket of any kind.
pub(super) trait Listener: Send + Sync + 'static {
    /// The type of accepted streams.
    type Stream;

    /// Accepts the next connection, and returns the address of the client if it has one. Cancel safe.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>> + Send;
}

/// A TCP socket.
pub(super) struct Tcp<R: Net>(pub(super) R::TcpListener);

impl<R: Net> Listener for Tcp<R> {
    type Stream = R::TcpStream;

    async fn accept(&self) -> io::Result<(R::TcpStream, Option<SocketAddr>)> {
        let (stream, address) = R::accept(&self.0).await?;
        Ok((stream, Some(address)))
    }
}

/// A Unix socket.
#[cfg(unix)]
pub(super) struct Unix<R: UnixNet>(pub(super) R::UnixListener);

#[cfg(unix)]
impl<R: UnixNet> Listener for Unix<R> {
    type Stream = R::UnixStream;

    async fn accept(&self) -> io::Result<(R::UnixStream, Option<SocketAddr>)> {
        Ok((R::accept_unix(&self.0).await?, None))
    }
}

/// The pause after the first failure. Each consecutive failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause. It is also the longest that a client waits after the server can accept again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections and starts a task for each, until the server shuts down.
pub(super) async fn accept<R: Runtime, L: Listener>(
    shared: Arc<Shared>,
    listener: L,
    start: impl Fn(Entry, L::Stream, Option<SocketAddr>) + Send + Sync + 'static,
) {
    let mut pause = FIRST_PAUSE;
    while shared.registry.handshake_permit(shared.settings.max_handshakes).await {
        let accepted = {
            let mut accept = pin!(listener.accept());
            let mut shutting_down = pin!(shared.registry.shutting_down());
            poll_fn(|cx| match shutting_down.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => accept.as_mut().poll(cx).map(Some),
            })
            .await
        };
        match accepted {
            None => return,
            Some(Ok((stream, address))) => {
                pause = FIRST_PAUSE;
                // Without an entry the stream is dropped. An address that holds its share does not delay other addresses.
                if let Some(entry) = Entry::new(&shared, R::now(), address.map(|address| address.ip())) {
                    start(entry, stream, address);
                }
            }
            // A single client disconnected before it was accepted.
            Some(Err(error)) if is_of_one_client(&error) => {}
            // The usual cause is too many open files. Retrying at once would be a busy loop.
            Some(Err(error)) => {
                shared.observe(Observed::AcceptFailed { error: &error });
                let _ = within::<R, _>(R::now() + pause, shared.registry.shutting_down()).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}
