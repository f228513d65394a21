//! What a server speaks: the protocol of the document, or socket.io.

use clap::ValueEnum;
use multiwa_ws_core::client::Failure;
use multiwa_ws_core::handshake::ResponseError;
use multiwa_ws_core::session::{CloseCause, Dialect, LifecycleEvent, ReconnectConfig};
use multiwa_ws_core::socketio::SocketIoError;
use multiwa_ws_tokio::{Clock, Disconnect, Tokio, Update};

use crate::connection::Connection;
use crate::exit::{End, why_lost};
use crate::output::note;

/// The argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// The documented protocol: one JSON envelope in each message, at the path /ws
    Document,
    /// The dialect of a deployed gateway: socket.io
    #[value(name = "socket.io")]
    SocketIo,
    /// The documented protocol, or socket.io if the server does not speak it. This takes one more connection
    Auto,
}

impl Connection {
    /// The dialect to use for the whole run. With `auto`, tries the document's protocol until the server shows which one
    /// it speaks.
    pub(crate) async fn spoken_dialect(&self, reconnect: ReconnectConfig) -> Result<Dialect, End> {
        match self.dialect {
            Choice::Document => Ok(Dialect::Document),
            Choice::SocketIo => Ok(Dialect::SocketIo),
            Choice::Auto => self.find_dialect(reconnect).await,
        }
    }

    async fn find_dialect(&self, reconnect: ReconnectConfig) -> Result<Dialect, End> {
        let (client, mut updates) = self.client(reconnect, Dialect::Document)?.start()?;
        while let Some(update) = updates.next().await {
            let Update::Lifecycle(lifecycle) = update else { continue };
            let last = client.status().last_disconnect;
            match lifecycle {
                LifecycleEvent::Opened => {
                    drop(updates);
                    client.close().await;
                    return Ok(Dialect::Document);
                }
                LifecycleEvent::Backoff { .. } | LifecycleEvent::Closed(_)
                    if last.as_ref().is_some_and(has_no_document) =>
                {
                    drop(updates);
                    client.close().await;
                    note("the server does not speak the documented protocol; using socket.io from now on");
                    return Ok(Dialect::SocketIo);
                }
                LifecycleEvent::Backoff { reason, until } => {
                    let why = last.as_ref().map_or_else(|| reason.to_string(), why_lost);
                    note(&format!("{why}; trying again in {:.1?}", until.saturating_duration_since(Tokio::now())));
                }
                LifecycleEvent::Closed(CloseCause::Lost(reason)) => {
                    let lost = last.as_ref().map(End::disconnected);
                    return Err(lost.unwrap_or_else(|| End::Unreachable(reason.to_string())));
                }
                _ => {}
            }
        }
        Err(End::Unreachable("the client was closed".to_owned()))
    }
}

/// A deployed gateway drops a plain WebSocket client without an answer. A proxy in front of it answers 502 then, and one
/// that knows only the gateway's own paths answers 404 (`protocol.md`, Dialects).
fn has_no_document(last: &Disconnect) -> bool {
    match last.failure() {
        Some(Failure::Response(error)) => *error == ResponseError::NoAnswer,
        Some(Failure::Refused(response)) => matches!(response.status, 404 | 502),
        _ => false,
    }
}

/// The error of a program that used `dialect`. If the server does not speak the document's, it names the other.
pub(crate) fn advise(end: End, dialect: Dialect, last: Option<&Disconnect>) -> End {
    match end {
        End::Unreachable(text) if dialect == Dialect::Document && last.is_some_and(has_no_document) => {
            End::Unreachable(format!("{text}; if it is a deployed gateway, use --dialect socket.io"))
        }
        end => end,
    }
}

/// The end for a rule of socket.io.
pub(crate) fn lost(error: SocketIoError, text: String) -> End {
    match error {
        SocketIoError::KeyRefused | SocketIoError::ConnectRefused => End::Refused(text),
        SocketIoError::OpenTimeout | SocketIoError::ConnectTimeout | SocketIoError::HeartbeatTimeout => {
            End::TimedOut(text)
        }
        SocketIoError::Disconnected => End::Unreachable(text),
        _ => End::Violation(text),
    }
}

/// The URL for `dialect`. `/ws` is the path of the document. The gateway has it as a namespace, and drops whoever asks for
/// it as a path.
pub(crate) fn url(url: &str, dialect: Dialect) -> String {
    let (path, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let origin = path.strip_suffix("/ws").filter(|origin| {
        origin.split_once("://").is_some_and(|(_, authority)| !authority.is_empty() && !authority.contains('/'))
    });
    match origin {
        Some(origin) if dialect == Dialect::SocketIo => format!("{origin}{query}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_document_is_no_path_of_socket_io() {
        for (given, expected) in [
            ("ws://h:3000/ws", "ws://h:3000"),
            ("wss://h/ws?a=b/ws", "wss://h?a=b/ws"),
            ("ws://ws", "ws://ws"),
            ("ws://h", "ws://h"),
            ("ws://h/ws/", "ws://h/ws/"),
            ("ws://h/api/ws", "ws://h/api/ws"),
            ("ws://h/socket.io/", "ws://h/socket.io/"),
        ] {
            assert_eq!(url(given, Dialect::SocketIo), expected);
            assert_eq!(url(given, Dialect::Document), given);
        }
    }
}
