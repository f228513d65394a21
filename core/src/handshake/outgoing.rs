//! The bytes to send.

use alloc::vec::Vec;
use core::fmt;

/// One HTTP message, sent in any number of pieces.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn poll_transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        match (slices.first_mut(), self.rest()) {
            (_, []) | (None, _) => 0,
            (Some(slice), rest) => {
                *slice = rest;
                1
            }
        }
    }

    /// Drops the first `count` bytes, or all bytes if there are fewer.
    pub(super) fn transmitted(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.bytes.len());
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// The bytes that were not sent yet.
    #[cfg(feature = "server")]
    pub(super) fn into_rest(mut self) -> Vec<u8> {
        self.bytes.drain(..self.sent.min(self.bytes.len()));
        self.bytes
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }
}

/// The output omits the bytes: the request may contain the API key.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes)", self.rest().len())
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_counted_and_not_shown() {
        let mut outgoing = Outgoing::new(Vec::from(*b"s3cret"));
        outgoing.transmitted(2);
        assert_eq!(alloc::format!("{outgoing:?}"), "Outgoing(4 bytes)");
        assert_eq!(outgoing.into_rest(), b"cret");
    }
}
