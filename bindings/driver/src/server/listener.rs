//! The loop that accepts connections.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::registry::Entry;
use super::{Observed, Shared, within};
use crate::Net;

/// The pause after the first failure in a row; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause: so long a client waits at most once the server can accept again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections and starts a task for each, until the server goes down.
pub(super) async fn accept<R: Net>(
    shared: Arc<Shared>,
    listener: R::TcpListener,
    start: impl Fn(Entry, R::TcpStream, SocketAddr) + Send + Sync + 'static,
) {
    let mut pause = FIRST_PAUSE;
    while shared.registry.room_to_knock(shared.options.max_handshakes).await {
        let accepted = {
            let mut accept = pin!(R::accept(&listener));
            let mut going_down = pin!(shared.registry.going_down());
            poll_fn(|cx| match going_down.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => accept.as_mut().poll(cx).map(Some),
            })
            .await
        };
        match accepted {
            None => return,
            Some(Ok((stream, address))) => {
                pause = FIRST_PAUSE;
                let Some(entry) = Entry::new(&shared) else { return };
                start(entry, stream, address);
            }
            // One client that left before it was accepted.
            Some(Err(error)) if is_of_one_client(&error) => {}
            // Most often too many open files: to try again at once would spin.
            Some(Err(error)) => {
                shared.observe(Observed::AcceptFailed { error: &error });
                let _ = within::<R, _>(R::now() + pause, shared.registry.going_down()).await;
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
