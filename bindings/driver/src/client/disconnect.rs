//! Why a connection ended, and the cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use multiwa_ws_core::client::Failure;
use multiwa_ws_core::session::DisconnectReason;

/// An error of a transport, a connector or a library. It is shared, because a [`Status`](super::Status) is cloned.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a connection or an attempt ended.
///
/// [`reason`](Self::reason) decides whether the client reconnects. [`failure`](Self::failure) and
/// [`source`](Error::source) give more details, if they are known.
#[derive(Clone, Debug)]
pub struct Disconnect {
    reason: DisconnectReason,
    failure: Option<Box<Failure>>,
    cause: Option<Cause>,
}

impl Disconnect {
    pub(super) fn new(reason: DisconnectReason, failure: Option<Failure>, cause: Option<Cause>) -> Self {
        Self { reason, failure: failure.map(Box::new), cause }
    }

    /// The disconnect reason.
    #[must_use]
    pub fn reason(&self) -> DisconnectReason {
        self.reason
    }

    /// The server's response to the upgrade, or the protocol rule that the server violated.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }
}

/// Like other errors, it leaves out its sources. `{:#}` appends them on the same line.
impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Some(failure) => write!(f, "{failure}")?,
            None => write!(f, "{}", self.reason)?,
        }
        if f.alternate() {
            let mut source = self.source();
            while let Some(cause) = source {
                write!(f, ": {cause}")?;
                source = cause.source();
            }
        }
        Ok(())
    }
}

impl Error for Disconnect {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
