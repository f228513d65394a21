//! The updates that a client delivers.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use multiwa_ws_core::session::Event;
#[cfg(doc)]
use multiwa_ws_core::session::LifecycleEvent;

use super::shared::{Batch, Item, Lent, Shared};
use super::update::Update;
use crate::Clock;
use crate::sync::{Arc, SharedWaker, is_same_task};

/// The updates of a client: events, and changes of the connection.
///
/// [`next`](Self::next) and [`next_event`](Self::next_event) lend each update until the next call, without an allocation
/// for each one. If the application keeps up, the events of a read of 4 KiB or more are lent from the buffer of that read,
/// without a copy. The [`Stream`] implementation returns updates that own their text. [`into_events`](Self::into_events)
/// is a stream of events only.
pub struct Updates<R: Clock> {
    shared: Shared,
    /// The updates that were taken from the queue at once, and the text of the last one that was returned.
    batch: Box<Batch>,
    /// How much is left in `batch`.
    lent: Arc<Lent>,
    /// The task that last took an update through the lock.
    reader: Option<SharedWaker>,
    clock: PhantomData<fn() -> R>,
}

impl<R: Clock> Updates<R> {
    pub(super) fn new(shared: Shared) -> Self {
        let lent = shared.lock().inbox.lent.clone();
        Self { shared, batch: Box::default(), lent, reader: None, clock: PhantomData }
    }

    /// Waits for the next update, which is borrowed until the next call. Returns `None` after [`LifecycleEvent::Closed`].
    ///
    /// Cancel safe: a dropped future has taken no update.
    pub async fn next(&mut self) -> Option<Update<'_>> {
        let item = poll_fn(|cx| self.poll_take(cx)).await?;
        Some(item.lend(self.batch.text()))
    }

    /// Waits for the next event, which is borrowed until the next call, and discards all other updates. Returns `None`
    /// when the client is closed.
    ///
    /// Cancel safe: a dropped future has taken no event.
    pub async fn next_event(&mut self) -> Option<Event<'_>> {
        let spans = poll_fn(|cx| {
            loop {
                match ready!(self.poll_take(cx)) {
                    Some(Item::Event(spans)) => return Poll::Ready(Some(spans)),
                    Some(_) => {}
                    None => return Poll::Ready(None),
                }
            }
        });
        let spans = spans.await?;
        Some(spans.event(self.batch.text()))
    }

    /// A stream of events only. It discards all other updates.
    #[must_use]
    pub fn into_events(self) -> Events<R> {
        Events { updates: self }
    }

    /// Takes the next update. Its text is that of `batch`.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        // The inbox must know which task takes updates, so another task goes through the lock.
        let is_known = self.reader.as_ref().is_some_and(|reader| is_same_task(reader, cx.waker()));
        if is_known && let Some(item) = self.batch.pop() {
            self.lent.set(self.batch.events(), self.batch.bytes(), true);
            if self.lent.is_full() {
                let now = R::now();
                self.shared.lock().inbox.check_room(now);
            }
            return Poll::Ready(Some(item));
        }
        let now = R::now();
        let mut state = self.shared.lock_with(cx.waker(), |inbox| Some(&mut inbox.reader));
        self.reader.clone_from(&state.inbox.reader);
        state.inbox.poll_updates(now, &mut self.batch)
    }
}

/// Returns updates that own their text.
impl<R: Clock> Stream for Updates<R> {
    type Item = Update<'static>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update<'static>>> {
        let this = self.get_mut();
        let item = ready!(this.poll_take(cx));
        Poll::Ready(item.map(|item| item.lend(this.batch.text()).into_owned()))
    }
}

impl<R: Clock> Drop for Updates<R> {
    fn drop(&mut self) {
        let now = R::now();
        let mut state = self.shared.lock();
        state.inbox.stop_reading();
        state.drop_handle(now);
    }
}

impl<R: Clock> std::fmt::Debug for Updates<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}

/// A stream of the events of a client, each owning its text. [`Updates::into_events`] makes it.
#[derive(Debug)]
pub struct Events<R: Clock> {
    updates: Updates<R>,
}

impl<R: Clock> Events<R> {
    /// Converts back to the stream of all updates.
    #[must_use]
    pub fn into_updates(self) -> Updates<R> {
        self.updates
    }
}

impl<R: Clock> Stream for Events<R> {
    type Item = Event<'static>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<'static>>> {
        let updates = &mut self.get_mut().updates;
        loop {
            match ready!(updates.poll_take(cx)) {
                Some(Item::Event(spans)) => return Poll::Ready(Some(spans.event(updates.batch.text()).into_owned())),
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}
