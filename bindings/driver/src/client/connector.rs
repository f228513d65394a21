//! Where the streams of a client come from.

use std::future::{Future, ready};
use std::io;

use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;

/// Opens the streams of a client, one an attempt.
pub trait Connector: Unpin + Send + 'static {
    /// What it opens.
    type Stream: Unpin + Send + 'static;

    /// Opens a stream to the server and says what to ask of it. `attempt` counts from the last stable connection.
    ///
    /// A key that changes is read here, before each attempt. [`DisconnectReason::Stopped`] ends the client.
    fn connect(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static;

    /// Opens a stream to where the server redirects, instead of the latest one. By default it is not followed.
    ///
    /// [`Target::redirected`](super::Target::redirected) says what may be.
    fn redirect(
        &mut self,
        response: Response,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static {
        ready(Err(ConnectorError {
            reason: DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() },
            error: io::Error::new(io::ErrorKind::Unsupported, "redirects are not followed"),
        }))
    }
}

/// Why a [`Connector`] has opened nothing, or a provider has named no destination.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ConnectorError {
    /// What kind of failure it is, which decides whether there is another attempt.
    pub reason: DisconnectReason,
    /// What is known of it.
    #[source]
    pub error: io::Error,
}

impl ConnectorError {
    /// No further attempt is wanted; the client ends with [`DisconnectReason::Stopped`].
    pub fn stop(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { reason: DisconnectReason::Stopped, error: io::Error::other(why) }
    }

    /// This attempt has failed, and the next one is made after the back-off.
    pub fn retry(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { reason: DisconnectReason::Io, error: io::Error::other(why) }
    }
}
