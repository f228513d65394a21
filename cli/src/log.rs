//! What `serve` reports about its clients.

use std::sync::atomic::{AtomicBool, Ordering};

use multiwa_ws_tokio::{Observed, Peer};

use crate::output::note;

/// Reports the clients of a server on standard error.
#[derive(Debug)]
pub(crate) struct Log {
    /// Report every client. Otherwise only what the user has to change.
    verbose: bool,
    /// Whether a client that reads too slowly is closed.
    closes_slow_readers: bool,
    /// Whether a refused host name was reported.
    host_was_named: AtomicBool,
}

impl Log {
    pub(crate) fn new(verbose: bool, closes_slow_readers: bool) -> Self {
        Self { verbose, closes_slow_readers, host_was_named: AtomicBool::new(false) }
    }

    pub(crate) fn report(&self, observed: Observed<'_>) {
        // Behind a proxy every client is refused in this way. Any client can send any name, so one line is enough.
        let is_news =
            matches!(observed, Observed::HostRefused { .. }) && !self.host_was_named.swap(true, Ordering::Relaxed);
        if (self.verbose || is_news)
            && let Some(text) = self.text(observed)
        {
            note(&text);
        }
    }

    fn text(&self, observed: Observed<'_>) -> Option<String> {
        Some(match observed {
            Observed::Opened { peer } => format!("{} is connected", who(peer)),
            Observed::Refused { peer, status } => format!("{} is refused with HTTP status {status}", who(peer)),
            Observed::Failed { peer, error: Some(error) } => format!("{} failed to connect: {error}", who(peer)),
            Observed::Closed { peer, closed, dropped } => {
                let ending = format!("{} has disconnected, code {}", who(peer), closed.code.get());
                match dropped {
                    0 => ending,
                    dropped if self.closes_slow_readers => format!(
                        "{ending}: the server closed it because it read more slowly than events were published; it missed \
                         {dropped} events (see --slow-reader)"
                    ),
                    dropped => format!("{ending}: {dropped} events were dropped because it read too slowly"),
                }
            }
            Observed::ShareHeld { address } => format!("too many clients from {address} are connecting at once"),
            Observed::HostRefused { host } => format!(
                "a client used the host name \"{host}\", which is not allowed: if it is a name of this server, as behind a \
                 proxy, pass it with --allow-host"
            ),
            Observed::AcceptFailed { error } => format!("cannot accept clients: {error}"),
            _ => return None,
        })
    }
}

fn who(peer: &Peer) -> String {
    match peer.address {
        Some(address) => format!("client {} from {address}", peer.id),
        None => format!("client {}", peer.id),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use multiwa_ws_core::frame::CloseCode;
    use multiwa_ws_core::websocket::{Cause, Closed};

    use super::*;

    #[test]
    fn the_end_of_a_slow_reader_names_its_cause() {
        let peer = Peer { id: 7, address: Some(SocketAddr::from(([127, 0, 0, 1], 4))) };
        let closed = Closed { cause: Cause::Local, code: CloseCode::ABNORMAL, clean: false };
        let text =
            |closes, dropped| Log::new(true, closes).text(Observed::Closed { peer: &peer, closed, dropped }).unwrap();
        let ending = "client 7 from 127.0.0.1:4 has disconnected, code 1006";
        assert_eq!(text(true, 0), ending);
        for (text, cause) in [(text(true, 986), "read more slowly"), (text(false, 986), "read too slowly")] {
            assert!(text.starts_with(ending) && text.contains(cause) && text.contains("986 events"), "{text}");
        }
    }
}
