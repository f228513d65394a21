//! The wish of the user, or of the system, that the program ends.

use std::future::Future;
use std::time::Duration;

use crate::exit::End;

/// Signals that ask the program to end, heard from its creation on.
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
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self, End> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does what is left to do at the end: for `limit` at most, and not beyond another signal.
    pub(crate) async fn last(mut self, limit: Duration, farewell: impl Future) {
        tokio::select! {
            _ = farewell => {}
            () = tokio::time::sleep(limit) => {}
            () = self.next() => {}
        }
    }
}

/// Signals that ask the program to read its settings again.
#[derive(Debug)]
pub(crate) struct Hangups {
    /// Unless they are heard, these signals end the program.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    pub(crate) fn new(heard: bool) -> Result<Self, End> {
        let hangup = heard.then(|| hear(tokio::signal::unix::SignalKind::hangup())).transpose()?;
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

/// Hears one kind of signal.
#[cfg(unix)]
fn hear(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal, End> {
    tokio::signal::unix::signal(kind).map_err(|error| End::Failed(format!("signals cannot be heard: {error}")))
}
