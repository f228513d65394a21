//! How the streams of a client are opened.

use std::error::Error;
use std::future::{Future, ready};
use std::io;

use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;

/// Opens the streams of a client, one for each attempt.
pub trait Connector: Unpin + Send + 'static {
    /// The type of the streams.
    type Stream: Unpin + Send + 'static;

    /// Opens a stream to the server, and returns it with the upgrade request to send. `attempt` counts from the last
    /// stable connection.
    ///
    /// It is called before each attempt, so it can read a key that changes. [`DisconnectReason::Stopped`] closes the
    /// client.
    fn connect(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static;

    /// Opens a stream to the Location of a redirect, to replace the last stream. By default redirects are not followed.
    ///
    /// [`Target::redirected`](super::Target::redirected) decides which redirects are allowed.
    fn redirect(
        &mut self,
        response: Response,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static {
        ready(Err(ConnectorError::redirect(&response, "redirects are not followed")))
    }
}

/// Why a [`Connector`] did not open a stream, or a provider did not return a destination.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ConnectorError {
    /// The disconnect reason, which decides whether the client tries again.
    pub reason: DisconnectReason,
    /// The cause.
    #[source]
    pub error: io::Error,
}

impl ConnectorError {
    /// Makes the error for `reason`. An [`io::Error`] stays as it is.
    pub fn new(reason: DisconnectReason, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = why.into().downcast().map_or_else(io::Error::other, |error| *error);
        Self { reason, error }
    }

    /// Fails this attempt, because the redirect in `response` is not followed.
    pub fn redirect(response: &Response, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() }, why)
    }

    /// Stops the client: it does not try again, and closes with [`DisconnectReason::Stopped`].
    pub fn stop(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(DisconnectReason::Stopped, why)
    }

    /// Fails this attempt. The next attempt follows after the back-off.
    pub fn retry(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(DisconnectReason::Io, why)
    }
}
