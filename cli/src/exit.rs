//! How the program ends: exit codes and error messages.

use std::io;
use std::process::ExitCode;

use multiwa_ws_core::client::Failure;
use multiwa_ws_core::handshake::Response;
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_core::socketio::SocketIoError;
use multiwa_ws_tokio::{BuildError, ConnectError, Disconnect};
use serde::Deserialize;

use crate::dialect;
use crate::output::note;

/// The table of exit codes in the help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    success; also after SIGTERM, and for `serve` after Ctrl-C, if no connection was aborted
  1    failed: events were lost or delivered twice, or a file or socket failed
  2    wrong usage
  3    the server refused the key, the origin or the subscriptions
  4    cannot connect, or connection lost
  5    timed out
  6    the server broke the protocol, or sent a message over the limit
  130  interrupted by Ctrl-C (SIGINT)
  143  ended by SIGTERM, and a connection was aborted";

/// An end of the program other than success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The reader of standard output has closed it.
    #[error("standard output was closed")]
    OutputClosed,
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    TimedOut(String),
    #[error("{0}")]
    Violation(String),
    #[error("a signal ended the program")]
    Signaled(Signal),
}

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT or Ctrl-C: a user stops the program.
    Interrupt,
    /// SIGTERM: the system or a supervisor asks the program to end.
    #[cfg(unix)]
    Terminate,
}

impl End {
    /// Prints the reason on standard error, unless the user caused the end.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::OutputClosed | Self::Signaled(_)) {
            note(&format!("error: {self}"));
        }
        ExitCode::from(self.code())
    }

    /// Wrong usage, with the whole chain of causes.
    pub(crate) fn usage(what: &str, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        Self::Usage(causes.fold(what.to_owned(), |text, cause| format!("{text}: {cause}")))
    }

    /// The result of the program after everything is closed. SIGTERM asks for an orderly end, so it counts as success
    /// unless a connection was `aborted`. Ctrl-C interrupts unfinished work.
    pub(crate) fn after_closing(
        result: Result<(), Self>,
        #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no SIGTERM"))] aborted: bool,
    ) -> Result<(), Self> {
        match result {
            #[cfg(unix)]
            Err(Self::Signaled(Signal::Terminate)) if !aborted => Ok(()),
            result => result,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Unreachable(_) => 4,
            Self::TimedOut(_) => 5,
            Self::Violation(_) => 6,
            // The exit code that a shell reports for a program ended by this signal.
            Self::Signaled(Signal::Interrupt) => 130,
            #[cfg(unix)]
            Self::Signaled(Signal::Terminate) => 143,
        }
    }

    /// The end for a lost connection.
    pub(crate) fn disconnected(last: &Disconnect) -> Self {
        Self::lost(last.reason(), &why_lost(last))
    }

    fn lost(reason: DisconnectReason, detail: &str) -> Self {
        let text = match advice(reason, detail) {
            Some(advice) => format!("{detail}; {advice}"),
            None => detail.to_owned(),
        };
        Self::for_reason(reason, text)
    }

    /// The end for a lost connection, with this text.
    pub(crate) fn for_reason(reason: DisconnectReason, text: String) -> Self {
        match reason {
            DisconnectReason::SocketIo(error) => dialect::lost(error, text),
            // A server sends 1008 (RFC 6455 section 7.4.1), for example, when the key is no longer valid.
            DisconnectReason::Refused { status: 401 | 403, .. }
            | DisconnectReason::ClosedByPeer { code: Some(1008) } => Self::Refused(text),
            DisconnectReason::ConnectTimeout | DisconnectReason::UpgradeTimeout | DisconnectReason::PongTimeout => {
                Self::TimedOut(text)
            }
            DisconnectReason::BadUpgrade | DisconnectReason::Violation { .. } => Self::Violation(text),
            _ => Self::Unreachable(text),
        }
    }
}

/// What to do after a connection was lost. `detail` says why it was.
pub(crate) fn advice(reason: DisconnectReason, detail: &str) -> Option<&'static str> {
    Some(match reason {
        DisconnectReason::Refused { status: 401, .. } | DisconnectReason::SocketIo(SocketIoError::KeyRefused) => {
            "the key is missing or wrong: set MULTIWA_WS_API_KEY or pass --api-key"
        }
        DisconnectReason::Refused { status: 403, .. } => "the server does not allow this origin or host name",
        DisconnectReason::Refused { status: 404, .. } => "check the path of the URL: most servers use /ws",
        DisconnectReason::Io => "check that the server is running, and that the host and port are correct",
        DisconnectReason::Dns => "check the host name in the URL",
        // The name of the error is part of the text of `rustls`, which has no variant for it.
        DisconnectReason::TlsCertificate if detail.contains("CaUsedAsEndEntity") => {
            "the server shows a certificate of an authority (CA:TRUE), as `openssl req -x509` makes it by default: make it \
             again with -addext basicConstraints=critical,CA:FALSE"
        }
        DisconnectReason::TlsCertificate => {
            "if a private authority issued the certificate, pass the authority's certificate with --ca FILE"
        }
        _ => return None,
    })
}

/// Why a connection was lost, with all causes.
pub(crate) fn why_lost(last: &Disconnect) -> String {
    match (last.reason(), last.failure()) {
        // The client's own limit, which the server cannot know.
        (DisconnectReason::Violation { code: 1009 }, _) => {
            "the server sent a message that is larger than the limit: set --max-message".to_owned()
        }
        // The server says which of the two it does not allow.
        (DisconnectReason::Refused { status: 403, .. }, Some(Failure::Refused(response))) => match error_of(response) {
            Some(error) => format!("{last:#}: {error}"),
            None => format!("{last:#}"),
        },
        // The failure names only the rule.
        (DisconnectReason::Violation { .. }, Some(_)) => format!("the server broke the protocol: {last:#}"),
        _ => format!("{last:#}"),
    }
}

/// The error that the body of a refusal names (`protocol.md`, Transport).
pub(crate) fn error_of(response: &Response) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: String,
    }
    serde_json::from_slice(&response.body).ok().map(|Body { error }| error)
}

/// A failure of standard output.
impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

impl From<BuildError> for End {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Connect(error) => error.into(),
            BuildError::Seed(_) => Self::Failed(error.to_string()),
            error => Self::Usage(error.to_string()),
        }
    }
}

impl From<ConnectError> for End {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Disconnected(last) => Self::disconnected(&last),
            ConnectError::TimedOut { last: Some(ref last), .. } => {
                Self::Unreachable(format!("{error}: {}", why_lost(last)))
            }
            error => Self::Unreachable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn each_loss_has_the_exit_code_of_the_table() {
        let refused = |status| DisconnectReason::Refused { status, retry_after: None };
        let closed = |code| DisconnectReason::ClosedByPeer { code };
        let cases = [
            (refused(401), 3),
            (refused(403), 3),
            (closed(Some(1008)), 3),
            (refused(404), 4),
            (refused(503), 4),
            (DisconnectReason::Dns, 4),
            (DisconnectReason::Io, 4),
            (DisconnectReason::Eof, 4),
            (DisconnectReason::Tls, 4),
            (DisconnectReason::TlsCertificate, 4),
            (closed(None), 4),
            (closed(Some(1001)), 4),
            (DisconnectReason::ConnectTimeout, 5),
            (DisconnectReason::UpgradeTimeout, 5),
            (DisconnectReason::PongTimeout, 5),
            (DisconnectReason::BadUpgrade, 6),
            (DisconnectReason::Violation { code: 1002 }, 6),
            (DisconnectReason::Violation { code: 1009 }, 6),
            (SocketIoError::KeyRefused.into(), 3),
            (SocketIoError::ConnectRefused.into(), 3),
            (SocketIoError::Disconnected.into(), 4),
            (SocketIoError::OpenTimeout.into(), 5),
            (SocketIoError::HeartbeatTimeout.into(), 5),
            (SocketIoError::Version.into(), 6),
        ];
        for (reason, code) in cases {
            assert_eq!(End::lost(reason, "detail").code(), code, "{reason:?}");
        }
    }

    #[test]
    fn every_code_is_in_the_help_and_on_the_pages() {
        let ends = [
            End::OutputClosed,
            End::Failed(String::new()),
            End::Usage(String::new()),
            End::Refused(String::new()),
            End::Unreachable(String::new()),
            End::TimedOut(String::new()),
            End::Violation(String::new()),
            End::Signaled(Signal::Interrupt),
            #[cfg(unix)]
            End::Signaled(Signal::Terminate),
        ];
        for end in ends {
            assert!(EXIT_CODES.contains(&format!("\n  {} ", end.code())), "{end:?}");
        }
        let rows = EXIT_CODES.lines().skip(1).filter_map(|line| line.trim_start().split_once(' '));
        let rows: String = rows.map(|(code, meaning)| format!("| {code} | {} |\n", meaning.trim_start())).collect();
        for page in [include_str!("../README.md"), include_str!("../../docs/operating.md")] {
            assert!(page.contains(&rows), "{rows}");
        }
    }
}
