//! What is told to `tracing` when that feature is on; nothing otherwise.
//!
//! One span for each client, and events for what happens to it and to the connections of a server. Neither keys nor anything
//! that a peer wrote is ever a field: no URL, no header, no payload, no text of an error. Nor are profiles, which are names
//! of people's accounts.

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::ClientEvent;
#[cfg(feature = "tracing")]
use multiwa_ws_core::session::{Notice, RequestId, RequestOutcome};

use crate::Observed;

/// Where all of it belongs to.
#[cfg(feature = "tracing")]
const TARGET: &str = "multiwa_ws";

/// The span of one client, in which everything that it does happens.
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

    /// What happens until the result is dropped happens in this span.
    pub(crate) fn enter(&self) -> Entered {
        Entered {
            #[cfg(feature = "tracing")]
            _span: self.span.clone().entered(),
        }
    }
}

/// The stay in a [`ClientSpan`].
#[derive(Debug)]
pub(crate) struct Entered {
    #[cfg(feature = "tracing")]
    _span: tracing::span::EnteredSpan,
}

/// What happened to a client. A message of the server is not shown.
pub(crate) fn received(now: Instant, event: &ClientEvent<'_>) {
    #[cfg(feature = "tracing")]
    match event {
        ClientEvent::Notice(notice) => notified(now, notice),
        ClientEvent::Event(event) => tracing::trace!(target: TARGET, bytes = event.as_str().len(), "event received"),
        ClientEvent::RequestEnded { id, outcome, .. } => request_ended(*id, outcome),
        ClientEvent::Connected(_) => tracing::debug!(target: TARGET, "greeted by the server"),
        ClientEvent::Notification(_) => tracing::debug!(target: TARGET, "notification received"),
        ClientEvent::Unknown(_) => tracing::debug!(target: TARGET, "message of an unknown type received"),
        ClientEvent::Error { .. } => tracing::warn!(target: TARGET, "the server reports an error"),
        ClientEvent::Invalid(error) => tracing::warn!(target: TARGET, %error, "invalid message received"),
    }
    #[cfg(not(feature = "tracing"))]
    let _ = (now, event);
}

#[cfg(feature = "tracing")]
fn request_ended(id: RequestId, outcome: &RequestOutcome<'_>) {
    match outcome {
        RequestOutcome::Acknowledged { after } => {
            tracing::debug!(target: TARGET, %id, ?after, "request acknowledged");
        }
        RequestOutcome::Refused(_) => tracing::debug!(target: TARGET, %id, "request refused"),
        RequestOutcome::TimedOut => tracing::debug!(target: TARGET, %id, "request timed out"),
        RequestOutcome::ConnectionLost => tracing::debug!(target: TARGET, %id, "request lost with its connection"),
    }
}

/// What happened to the connection of a client.
#[cfg(feature = "tracing")]
fn notified(now: Instant, notice: &Notice) {
    match notice {
        Notice::Connecting { attempt } => tracing::debug!(target: TARGET, attempt, "connecting"),
        Notice::Opened => tracing::debug!(target: TARGET, "connection open"),
        Notice::AckMissing => tracing::warn!(target: TARGET, "the server did not greet"),
        Notice::Ready { failed, gap } => {
            let gap = gap.map(|gap| gap.to.saturating_duration_since(gap.from));
            tracing::info!(target: TARGET, failed_subscriptions = failed.len(), ?gap, "ready");
        }
        Notice::Backoff { loss, until } => {
            let wait = until.saturating_duration_since(now);
            tracing::warn!(target: TARGET, %loss, ?wait, "connection lost, to be tried again");
        }
        Notice::Closing => tracing::debug!(target: TARGET, "closing"),
        Notice::Closed(cause) => tracing::info!(target: TARGET, ?cause, "closed"),
    }
}

/// An application that does not take its events has lost some, `dropped` in all.
pub(crate) fn dropped(dropped: u64) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: TARGET, dropped, "the application does not take its events");
    #[cfg(not(feature = "tracing"))]
    let _ = dropped;
}

/// What a server tells of its connections.
pub(crate) fn observed(observed: &Observed<'_>) {
    #[cfg(feature = "tracing")]
    match observed {
        Observed::Opened { peer } => {
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, "client let in");
        }
        Observed::Refused { peer, status } => {
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, status, "client turned away");
        }
        Observed::Failed { peer, error } => {
            let error = error.as_ref().map(tracing::field::display);
            tracing::debug!(target: TARGET, connection = peer.id, address = ?peer.address, error, "upgrade failed");
        }
        Observed::Closed { peer, closed, dropped } => {
            let (cause, code) = (closed.cause, closed.code.get());
            tracing::debug!(target: TARGET, connection = peer.id, ?cause, code, closed.clean, dropped, "client gone");
        }
        Observed::ShareHeld { address } => {
            tracing::debug!(target: TARGET, %address, "the address holds its share of handshake permits");
        }
        Observed::AcceptFailed { error } => tracing::error!(target: TARGET, %error, "no connection can be accepted"),
    }
    #[cfg(not(feature = "tracing"))]
    let _ = observed;
}
