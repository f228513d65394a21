//! The `tracing` output of the crate. Without that feature this module does nothing.
//!
//! There is one span for each client, and events for clients and for the connections of a server. Fields never contain
//! keys or text from a peer: no URL, no header, no payload, no error text. They do not contain profiles either, because
//! these name the accounts of people.

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::ClientEvent;
#[cfg(feature = "tracing")]
use multiwa_ws_core::session::{LifecycleEvent, RequestId, RequestOutcome};
#[cfg(feature = "tracing")]
use tracing::Level;

use crate::Observed;

/// The target of all spans and events.
#[cfg(feature = "tracing")]
const TARGET: &str = "multiwa_ws";

/// The span of one client. All work of the client runs in it.
#[derive(Debug)]
pub(crate) struct ClientSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl ClientSpan {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "tracing")]
        {
            use std::sync::atomic::{AtomicU64, Ordering};
            static CLIENTS: AtomicU64 = AtomicU64::new(1);
            let id = CLIENTS.fetch_add(1, Ordering::Relaxed);
            Self { span: tracing::info_span!(target: TARGET, "client", id) }
        }
        #[cfg(not(feature = "tracing"))]
        Self {}
    }

    /// Enters the span until the result is dropped.
    pub(crate) fn enter(&self) -> Entered {
        Entered {
            #[cfg(feature = "tracing")]
            _span: self.span.clone().entered(),
        }
    }
}

/// The guard of an entered [`ClientSpan`].
#[derive(Debug)]
pub(crate) struct Entered {
    #[cfg(feature = "tracing")]
    _span: tracing::span::EnteredSpan,
}

/// Events of a client that are emitted after it is unlocked, because a subscriber may call its handles.
#[derive(Default)]
pub(crate) struct Log {
    #[cfg(feature = "tracing")]
    events: Vec<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Emits the deferred events.
    pub(crate) fn emit(&mut self) {
        #[cfg(feature = "tracing")]
        self.events.drain(..).for_each(|event| event());
    }

    /// Defers an event if its level is enabled. The level check does not call the subscriber.
    #[cfg(feature = "tracing")]
    fn defer(&mut self, level: Level, event: impl FnOnce() + Send + 'static) {
        if level <= tracing::level_filters::LevelFilter::current() {
            self.events.push(Box::new(event));
        }
    }

    /// Records an event of a client. The text of a server's message is not included.
    pub(crate) fn received(&mut self, now: Instant, event: &ClientEvent<'_>) {
        #[cfg(feature = "tracing")]
        match event {
            ClientEvent::Lifecycle(lifecycle) => self.notified(now, lifecycle),
            ClientEvent::Event(event) => {
                let bytes = event.as_str().len();
                self.defer(Level::TRACE, move || tracing::trace!(target: TARGET, bytes, "event received"));
            }
            ClientEvent::RequestEnded { id, outcome, .. } => self.request_ended(*id, outcome),
            ClientEvent::Connected(_) => {
                self.defer(Level::DEBUG, || tracing::debug!(target: TARGET, "connection acknowledged"));
            }
            ClientEvent::Notification(_) => {
                self.defer(Level::DEBUG, || tracing::debug!(target: TARGET, "notification received"));
            }
            ClientEvent::Unknown(_) => {
                self.defer(Level::DEBUG, || tracing::debug!(target: TARGET, "message of an unknown type received"));
            }
            ClientEvent::Error { .. } => {
                self.defer(Level::WARN, || tracing::warn!(target: TARGET, "the server reports an error"));
            }
            ClientEvent::Invalid(error) => {
                let error = *error;
                self.defer(Level::WARN, move || tracing::warn!(target: TARGET, %error, "invalid message received"));
            }
            _ => {}
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (now, event);
    }

    #[cfg(feature = "tracing")]
    fn request_ended(&mut self, id: RequestId, outcome: &RequestOutcome<'_>) {
        match outcome {
            RequestOutcome::Acknowledged { after } => {
                let after = *after;
                self.defer(Level::DEBUG, move || {
                    tracing::debug!(target: TARGET, %id, ?after, "request acknowledged");
                });
            }
            RequestOutcome::Refused(_) => {
                self.defer(Level::DEBUG, move || tracing::debug!(target: TARGET, %id, "request refused"));
            }
            RequestOutcome::TimedOut => {
                self.defer(Level::DEBUG, move || tracing::debug!(target: TARGET, %id, "request timed out"));
            }
            RequestOutcome::ConnectionLost => {
                self.defer(Level::DEBUG, move || {
                    tracing::debug!(target: TARGET, %id, "request lost with its connection");
                });
            }
        }
    }

    #[cfg(feature = "tracing")]
    fn notified(&mut self, now: Instant, lifecycle: &LifecycleEvent) {
        match lifecycle {
            LifecycleEvent::Connecting { attempt } => {
                let attempt = *attempt;
                self.defer(Level::DEBUG, move || tracing::debug!(target: TARGET, attempt, "connecting"));
            }
            LifecycleEvent::Opened => self.defer(Level::DEBUG, || tracing::debug!(target: TARGET, "connection open")),
            LifecycleEvent::AckMissing => {
                self.defer(Level::WARN, || tracing::warn!(target: TARGET, "the server sent no connection ack"));
            }
            LifecycleEvent::Ready { failed, gap } => {
                let failed_subscriptions = failed.len();
                let gap = gap.map(|gap| gap.to.saturating_duration_since(gap.from));
                self.defer(Level::INFO, move || tracing::info!(target: TARGET, failed_subscriptions, ?gap, "ready"));
            }
            LifecycleEvent::Backoff { reason, until } => {
                let (reason, wait) = (*reason, until.saturating_duration_since(now));
                self.defer(Level::WARN, move || {
                    tracing::warn!(target: TARGET, %reason, ?wait, "connection lost, retrying");
                });
            }
            LifecycleEvent::Closing => self.defer(Level::DEBUG, || tracing::debug!(target: TARGET, "closing")),
            LifecycleEvent::Closed(cause) => {
                let cause = *cause;
                self.defer(Level::INFO, move || tracing::info!(target: TARGET, ?cause, "closed"));
            }
            _ => {}
        }
    }

    /// Records that updates were dropped because the application did not take them. `dropped` is the total number.
    pub(crate) fn dropped(&mut self, dropped: u64) {
        #[cfg(feature = "tracing")]
        self.defer(Level::WARN, move || {
            tracing::warn!(target: TARGET, dropped, "events dropped: the application does not take them");
        });
        #[cfg(not(feature = "tracing"))]
        let _ = dropped;
    }
}

/// Emits an event of a server.
pub(crate) fn observed(observed: &Observed<'_>) {
    #[cfg(feature = "tracing")]
    match observed {
        Observed::Opened { peer } => {
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, "client connected");
        }
        Observed::Refused { peer, status } => {
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, status, "client refused");
        }
        Observed::Failed { peer, error } => {
            let error = error.as_ref().map(tracing::field::display);
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, error, "upgrade failed");
        }
        Observed::Closed { peer, closed, dropped } => {
            let (cause, code) = (closed.cause, closed.code.get());
            tracing::debug!(target: TARGET, connection = peer.id, ?cause, code, closed.clean, dropped, "client disconnected");
        }
        Observed::ShareHeld { address } => {
            tracing::debug!(target: TARGET, %address, "the address holds its share of handshake permits");
        }
        // The name comes from the client.
        Observed::HostRefused { host: _ } => tracing::debug!(target: TARGET, "the host name is not allowed"),
        Observed::AcceptFailed { error } => tracing::error!(target: TARGET, %error, "no connection can be accepted"),
    }
    #[cfg(not(feature = "tracing"))]
    let _ = observed;
}
