//! The common code of the echo programs: the peers that conformance suites test, over the bindings' public API.

use std::error::Error;
use std::process::ExitCode;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, DeflateConfig, DeflateOffer};
use multiwa_ws_core::websocket::{Compression, Config, Event, Received};
use multiwa_ws_driver::{Io, WebSocket, WebSocketConfig};

/// The runtime that a program runs on.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Runtime {
    /// async-std.
    AsyncStd,
    /// tokio.
    Tokio,
}

/// The longest message to echo: twice the longest of the Autobahn suite.
const MAX_MESSAGE_LEN: usize = 32 << 20;

/// The settings of each connection: long messages, all of them compressed, and no deadline, because the suite may be
/// slow.
#[must_use]
pub fn options() -> WebSocketConfig {
    let connection = Config::new()
        .max_message_len(MAX_MESSAGE_LEN)
        // The queue holds an echo and the message that waits before it.
        .max_queued(2 * MAX_MESSAGE_LEN)
        .message_timeout(None)
        .keep_alive(KeepAlive::OFF)
        .compression(Compression::new().threshold(0));
    WebSocketConfig::new().connection(connection)
}

/// The extensions that the server accepts for every client.
#[must_use]
pub fn acceptance() -> Acceptance {
    Acceptance::new().deflate(DeflateConfig::default())
}

/// The request of the client. Its offer lets the server limit the client's window, as cases 13.3 to 13.7 do, and
/// require no context takeover of the client, as case 13.2 does.
#[must_use]
pub fn request(host: &str, target: &str) -> ClientRequest {
    let deflate = DeflateOffer::new().client_no_context_takeover(true);
    ClientRequest { deflate: Some(deflate), ..ClientRequest::new(host, target) }
}

/// Sends every message back until the connection ends.
///
/// # Errors
/// How the connection ended, unless it ended with a closing handshake.
pub async fn echo<S: Unpin, R: Io<S>>(socket: &mut WebSocket<S, R>) -> Result<(), multiwa_ws_driver::Error> {
    while let Some(Received { event, mut sender }) = socket.next().await? {
        match event {
            Event::Text(text) => sender.send_text(text)?,
            Event::Binary(payload) => sender.send_binary(payload)?,
            _ => {}
        }
    }
    Ok(())
}

/// The exit code of a program that ended with `result`. Prints an error with its causes.
#[must_use]
pub fn exit_code(result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
