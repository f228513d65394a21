//! The calls of foreign code that wait until a client is unlocked.

use crate::client::disconnect::Cause;
use crate::sync::SharedWaker;
use crate::trace;

/// Calls of foreign code, which run when this is dropped, after the state is unlocked.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Events for `tracing`.
    pub(super) log: trace::Log,
    /// To wake.
    pub(super) driver: Option<SharedWaker>,
    /// To wake.
    pub(super) reader: Option<SharedWaker>,
    /// To wake: tasks that wait for the result of a request, or for a change of the client.
    pub(super) others: Vec<SharedWaker>,
    /// To drop.
    pub(super) dropped: Vec<SharedWaker>,
    /// To drop: an error may come from a connector or a provider.
    pub(super) causes: Vec<Cause>,
}

impl Drop for Due {
    fn drop(&mut self) {
        self.log.emit();
        let woken = self.driver.iter().chain(&self.reader).chain(&self.others);
        woken.for_each(|waker| waker.wake_by_ref());
    }
}
