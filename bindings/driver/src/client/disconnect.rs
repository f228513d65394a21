//! Why a connection ended, with its cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use multiwa_ws_core::client::Failure;
use multiwa_ws_core::session::DisconnectReason;

/// An error of a transport, of a connector or of a library below. Shared, since a [`Status`](super::Status) is a copy.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a connection, or the attempt at one, ended.
///
/// [`reason`](Self::reason) decides whether the client connects again. [`failure`](Self::failure) and
/// [`source`](Error::source) are what more is known of it.
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

    /// The kind of ending.
    #[must_use]
    pub fn reason(&self) -> DisconnectReason {
        self.reason
    }

    /// What the server did: its response to the upgrade, or the rule that it broke.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }
}

/// As other errors, it leaves its sources out. With `{:#}` they follow, in the same line.
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
