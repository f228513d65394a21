//! How the streams of a client are opened.

use multiwa_ws_core::handshake::{ClientRequest, Response};
#[cfg(doc)]
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::ConnectorError;

use crate::stream::Stream;

/// Opens the streams of a client, one for each attempt.
pub trait Connector: Send + 'static {
    /// The type of the stream.
    type Stream: Stream;

    /// Opens a stream to the server. Returns it with the upgrade request to send. `attempt` counts from the last stable
    /// connection.
    ///
    /// It runs on a separate thread and may block. The client still applies its
    /// [`connect_timeout`](multiwa_ws_core::session::ClientConfig::connect_timeout) and drops a later result. If the key
    /// can change, read it here, before each attempt. [`DisconnectReason::Stopped`] ends the client.
    ///
    /// # Errors
    /// Why it opened nothing.
    fn connect(&mut self, attempt: u32) -> Result<(Self::Stream, ClientRequest), ConnectorError>;

    /// Opens a stream to the target of a redirect, in place of the latest stream. By default redirects are not followed.
    ///
    /// [`Target::redirected`](crate::Target::redirected) checks which redirects are allowed.
    ///
    /// # Errors
    /// Why it opened nothing.
    fn redirect(&mut self, response: &Response) -> Result<(Self::Stream, ClientRequest), ConnectorError> {
        Err(ConnectorError::redirect(response, "redirects are not followed"))
    }
}
