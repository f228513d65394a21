//! The signals with which the user or the system asks the program to end or to reload its settings.

use std::future::Future;
use std::time::Duration;

use crate::exit::{End, Signal};

/// The signals that ask the program to end. It receives every signal after its creation.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Interrupts {
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self, End> {
        use tokio::signal::unix::SignalKind;
        Ok(Self { terminate: listen_for(SignalKind::terminate())?, interrupt: listen_for(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self, End> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }

    /// The output of `closing`, if it completes within `limit` and before another signal. Otherwise `None`: open
    /// connections are aborted.
    pub(crate) async fn last<T>(mut self, limit: Duration, closing: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            closed = closing => Some(closed),
            () = tokio::time::sleep(limit) => None,
            _ = self.next() => None,
        }
    }
}

/// The signals that ask the program to reload its settings.
#[derive(Debug)]
pub(crate) struct Hangups {
    /// A program that does not handle these signals is ended by them.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    pub(crate) fn new(enabled: bool) -> Result<Self, End> {
        let hangup = enabled.then(|| listen_for(tokio::signal::unix::SignalKind::hangup())).transpose()?;
        Ok(Self { hangup })
    }

    #[cfg(not(unix))]
    pub(crate) fn new(_: bool) -> Result<Self, End> {
        Ok(Self {})
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(hangup) = &mut self.hangup
            && hangup.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Listens for one kind of signal.
#[cfg(unix)]
fn listen_for(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal, End> {
    tokio::signal::unix::signal(kind).map_err(|error| End::Failed(format!("cannot listen for signals: {error}")))
}
