//! Updates in order, with their texts.

use std::collections::VecDeque;
use std::ops::Range;

use multiwa_ws_core::session::{JsonError, LifecycleEvent, Spans};

use crate::buffer::ReadBuffer;
use crate::client::update::Update;

/// Updates in order, with their texts.
///
/// A text lies where it was received, in a read buffer that the connection has handed over, or in `texts`, to which it
/// was copied.
#[derive(Debug, Default)]
pub(in crate::client) struct Batch {
    items: VecDeque<(Item, Place)>,
    /// The copied texts in the order of their items, after `read` bytes of items that were removed.
    texts: String,
    read: usize,
    buffer: ReadBuffer,
    /// The number of items that are no lifecycle events, and the length of their texts.
    events: usize,
    bytes: usize,
    /// Where the text of the item lies that was removed last. A copied one is the end of the `read` bytes.
    last: Option<Place>,
}

/// Where the text of an item lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In `texts`, after the copied texts of the items before.
    Copied { len: usize },
    /// In the buffer. A buffer is far smaller than 4 GiB.
    Received { start: u32, len: u32 },
}

impl Place {
    const fn len(self) -> usize {
        match self {
            Self::Copied { len } => len,
            Self::Received { len, .. } => len as usize,
        }
    }
}

/// The capacity in bytes and items that an empty batch keeps: enough for one read of the connection.
const KEPT: usize = 64 << 10;
const KEPT_ITEMS: usize = 512;

/// The most memory of an empty batch: a `VecDeque` may keep twice as many items.
#[cfg(test)]
pub(super) const MAX_KEPT: usize = KEPT + 2 * KEPT_ITEMS * size_of::<(Item, Place)>();

/// An update without its text.
#[derive(Debug)]
pub(in crate::client) enum Item {
    Event(Spans),
    Notification(Spans),
    Unknown(Spans),
    /// The code follows after this many bytes of text.
    Error {
        code: Option<usize>,
    },
    Invalid(JsonError),
    Lifecycle(LifecycleEvent),
}

impl Item {
    /// Converts to the update. `text` is the text that it was queued with.
    pub(in crate::client) fn lend(self, text: &str) -> Update<'_> {
        match self {
            Self::Event(spans) => Update::Event(spans.event(text)),
            Self::Notification(spans) => Update::Notification(spans.message(text)),
            Self::Unknown(spans) => Update::Unknown(spans.message(text)),
            Self::Error { code } => {
                let (error, code) = match code {
                    Some(at) => (text.get(..at), text.get(at..)),
                    None => (Some(text), None),
                };
                Update::Error { error: error.unwrap_or_default().into(), code: code.map(Into::into) }
            }
            Self::Invalid(error) => Update::Invalid(error),
            Self::Lifecycle(lifecycle) => Update::Lifecycle(lifecycle),
        }
    }

    pub(super) const fn is_lifecycle(&self) -> bool {
        matches!(self, Self::Lifecycle(_))
    }
}

impl Batch {
    pub(in crate::client) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number of items that are no lifecycle events.
    pub(in crate::client) const fn events(&self) -> usize {
        self.events
    }

    /// The length of all texts.
    pub(in crate::client) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn lifecycle_events(&self) -> usize {
        self.items.len() - self.events
    }

    /// Appends an item whose text is copied.
    pub(super) fn push(&mut self, item: Item, texts: &[&str]) {
        let len = texts.iter().map(|text| text.len()).sum();
        // The unread bytes are moved to the front only if at least as many bytes were read, which bounds the cost.
        if self.texts.capacity() - self.texts.len() < len && self.read >= self.texts.len() - self.read {
            self.texts.drain(..self.read);
            self.read = 0;
        }
        texts.iter().for_each(|text| self.texts.push_str(text));
        self.append(item, Place::Copied { len });
    }

    /// Appends an item whose text lies in the read buffer that will be handed over with [`adopt`](Self::adopt).
    pub(super) fn push_received(&mut self, item: Item, start: u32, len: u32) {
        self.append(item, Place::Received { start, len });
    }

    fn append(&mut self, item: Item, place: Place) {
        self.events += usize::from(!item.is_lifecycle());
        self.bytes += place.len();
        self.items.push_back((item, place));
    }

    /// Whether a read buffer can be handed over: no earlier event waits, so no other buffer is held.
    pub(super) fn can_adopt(&self) -> bool {
        self.events == 0
    }

    pub(super) fn holds_buffer(&self) -> bool {
        self.buffer.is_held()
    }

    /// Takes the buffer over if all of it was processed and a text lies in it. Otherwise copies the texts that lie in it.
    /// Returns whether it took the buffer.
    pub(super) fn adopt(&mut self, buffer: &mut ReadBuffer) -> bool {
        if !self.items.iter().any(|(_, place)| matches!(place, Place::Received { .. })) {
            return false;
        }
        if buffer.is_empty() {
            self.buffer = std::mem::take(buffer);
            return true;
        }
        let mut texts = String::new();
        for (_, place) in &mut self.items {
            match *place {
                Place::Copied { len } => {
                    texts.push_str(self.texts.get(self.read..self.read + len).unwrap_or_default());
                    self.read += len;
                }
                Place::Received { start, len } => {
                    texts.push_str(buffer.text(range(start, len)));
                    *place = Place::Copied { len: len as usize };
                }
            }
        }
        (self.texts, self.read) = (texts, 0);
        false
    }

    /// Removes the first item. [`text`](Self::text) is its text until the next call.
    pub(in crate::client) fn pop(&mut self) -> Option<Item> {
        let (item, place) = self.items.pop_front()?;
        self.forget(&item, place);
        Some(item)
    }

    /// The text of the item that was removed last.
    pub(in crate::client) fn text(&self) -> &str {
        match self.last {
            Some(Place::Copied { len }) => self.texts.get(self.read.saturating_sub(len)..self.read).unwrap_or_default(),
            Some(Place::Received { start, len }) => self.buffer.text(range(start, len)),
            None => "",
        }
    }

    /// Removes the first item for which `is_one` returns `true`. It may skip only items without a text.
    pub(super) fn remove_first(&mut self, is_one: impl Fn(&Item) -> bool) -> bool {
        let Some(at) = self.items.iter().position(|(item, _)| is_one(item)) else { return false };
        let Some((item, place)) = self.items.remove(at) else { return false };
        self.forget(&item, place);
        self.free_texts();
        true
    }

    /// Moves the first item with its text to `other`.
    pub(super) fn move_first(&mut self, other: &mut Self) {
        if let Some(item) = self.pop() {
            other.push(item, &[self.text()]);
            self.free_texts();
        }
    }

    /// Empties the batch. It keeps its memory for as many items and texts as one read of the connection has.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.items.shrink_to(KEPT_ITEMS);
        (self.events, self.bytes, self.last) = (0, 0, None);
        self.free_texts();
    }

    /// The memory of an empty batch.
    pub(super) fn capacity(&self) -> usize {
        self.texts.capacity() + self.items.capacity() * size_of::<(Item, Place)>()
    }

    /// Frees the texts if no item has one.
    fn free_texts(&mut self) {
        if self.events == 0 {
            self.texts.clear();
            self.texts.shrink_to(KEPT);
            self.read = 0;
            self.buffer = ReadBuffer::default();
        }
    }

    /// Updates the counters after an item was removed. It was the first one with a text.
    fn forget(&mut self, item: &Item, place: Place) {
        self.events -= usize::from(!item.is_lifecycle());
        self.bytes -= place.len();
        if let Place::Copied { len } = place {
            self.read += len;
        }
        self.last = Some(place);
    }
}

const fn range(start: u32, len: u32) -> Range<usize> {
    start as usize..start as usize + len as usize
}
