//! The queue of bytes to send. Small frames lie in one buffer; large and shared ones are queued by reference.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::frame::{FrameHeader, copy_masked};

/// A first-in, first-out queue of bytes. It lends slices for vectored writes, and a write may end at any byte.
///
/// `copied` holds the bytes that were copied in; `head..tail` of it wait to be written. Each shared buffer has a position
/// in `copied`. An empty queue holds at most [`KEPT`] bytes of memory, or [`KEPT_BATCH`] after a large batch, until
/// [`release`](Self::release).
#[derive(Default)]
pub(crate) struct TransmitQueue {
    /// Its whole length is initialized, so that a frame is written in one step without updating the length of the vector.
    copied: Vec<u8>,
    head: usize,
    tail: usize,
    /// The first shared buffer. Usually it is the only one.
    next: Option<Shared>,
    /// The shared buffers after `next`.
    later: VecDeque<Shared>,
    shared_len: usize,
}

/// A shared buffer and the position in `copied` before which it is sent.
struct Shared {
    before: usize,
    bytes: Bytes,
}

/// The memory that an empty queue keeps: enough for a short message, so that a slow sequence of them does not allocate.
/// Events are queued by reference, and the answers to an upgrade and to a subscription are too long and too rare to keep
/// memory for them.
const KEPT: usize = 128;

/// The memory that it keeps after a batch of at least [`BATCH`] bytes, since more batches are likely to follow.
const KEPT_BATCH: usize = 256 << 10;

/// Larger than any answer on an idle connection.
const BATCH: usize = 1 << 10;

impl TransmitQueue {
    /// The number of bytes that wait to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tail - self.head + self.shared_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a frame by copy and masks it if its header has a key.
    #[inline(always)]
    pub(crate) fn copy(&mut self, header: &FrameHeader, payload: &[u8]) {
        let Some(room) = self.room(FrameHeader::MAX_LEN + payload.len()) else { return };
        let Some(field) = room.first_chunk_mut() else { return };
        let header_len = header.encode(field).len();
        let Some(to) = room.get_mut(header_len..header_len + payload.len()) else { return };
        copy_payload(to, payload, header.mask);
        self.tail += header_len + payload.len();
    }

    /// Appends the rest of a frame by copy: what is left of its header, and of its payload, which is masked if there is a
    /// key.
    pub(crate) fn copy_rest(&mut self, header: &[u8], payload: &[u8], mask: Option<[u8; 4]>) {
        let len = header.len() + payload.len();
        let Some((to_header, to)) = self.room(len).and_then(|room| room.split_at_mut_checked(header.len())) else {
            return;
        };
        to_header.copy_from_slice(header);
        copy_payload(to, payload, mask);
        self.tail += len;
    }

    /// Appends `bytes` by reference, or by copy if the reference would take more memory than the bytes.
    #[inline]
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() <= size_of::<Shared>() {
            let Some(to) = self.room(bytes.len()) else { return };
            to.copy_from_slice(bytes);
            self.tail += bytes.len();
            return;
        }
        self.shared_len += bytes.len();
        let shared = Shared { before: self.tail, bytes: bytes.clone() };
        match self.next {
            None => self.next = Some(shared),
            Some(_) => self.later.push_back(shared),
        }
    }

    /// Lends the front of the queue in up to `slices.len()` slices and returns how many it filled.
    #[inline]
    pub(crate) fn lend<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        let mut filled = 0;
        let mut at = self.head;
        let mut shared = self.next.iter().chain(&self.later);
        let mut put = |bytes: &'q [u8]| match slices.get_mut(filled) {
            Some(slot) => {
                *slot = bytes;
                filled += 1;
                true
            }
            None => false,
        };
        loop {
            let next = shared.next();
            let end = next.map_or(self.tail, |shared| shared.before);
            let copied = self.copied.get(at..end).unwrap_or_default();
            if !copied.is_empty() && !put(copied) {
                break;
            }
            at = end;
            match next {
                Some(shared) if put(&shared.bytes) => {}
                _ => break,
            }
        }
        filled
    }

    /// Drops the first `written` bytes, or all bytes if there are fewer.
    #[inline]
    pub(crate) fn consume(&mut self, mut written: usize) {
        while written > 0 {
            let end = self.next.as_ref().map_or(self.tail, |shared| shared.before);
            let copied = (end - self.head).min(written);
            self.head += copied;
            written -= copied;
            let Some(Shared { bytes, .. }) = self.next.as_mut().filter(|_| self.head == end) else { break };
            let taken = bytes.len().min(written);
            self.shared_len -= taken;
            written -= taken;
            if taken < bytes.len() {
                bytes::Buf::advance(bytes, taken);
                break;
            }
            self.next = self.later.pop_front();
        }
        self.reclaim();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Frees all memory if the queue is empty.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// Exactly `len` free bytes after the last one. This is always `Some`.
    #[inline]
    fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.copied.len() - self.tail < len {
            self.grow(len);
        }
        self.copied.get_mut(self.tail..self.tail + len)
    }

    /// Makes room for `len` bytes after the last one. If at least as many bytes were written as wait, the waiting bytes
    /// move to the front. Otherwise the buffer doubles. In both cases each byte is moved a bounded number of times.
    #[cold]
    fn grow(&mut self, len: usize) {
        let waiting = self.tail - self.head;
        let needed = waiting.saturating_add(len);
        if self.head < waiting || needed > self.copied.len() {
            let mut grown = vec![0; needed.max(waiting.saturating_mul(2))];
            if let (Some(to), Some(from)) = (grown.get_mut(..waiting), self.copied.get(self.head..self.tail)) {
                to.copy_from_slice(from);
            }
            self.copied = grown;
        } else {
            self.copied.copy_within(self.head..self.tail, 0);
        }
        self.rebase();
    }

    /// Frees unused memory. An empty queue keeps at most [`KEPT`] or [`KEPT_BATCH`] bytes. In a queue that is not empty,
    /// the memory before `head` is reused when it is the larger part, so that a queue that never runs empty moves no more
    /// bytes than are written.
    #[inline]
    fn reclaim(&mut self) {
        if self.is_empty() {
            let kept = if self.tail < BATCH { KEPT } else { KEPT_BATCH };
            if self.copied.len() > kept {
                self.copied = Vec::new();
            }
            if self.later.capacity() > 0 {
                self.later = VecDeque::new();
            }
            (self.head, self.tail) = (0, 0);
        } else if self.head > self.tail / 2 && self.head > KEPT {
            self.copied.copy_within(self.head..self.tail, 0);
            self.rebase();
        }
    }

    /// Adjusts all positions after the waiting bytes were moved to the front of `copied`.
    #[cold]
    fn rebase(&mut self) {
        for shared in self.next.iter_mut().chain(&mut self.later) {
            shared.before -= self.head;
        }
        self.tail -= self.head;
        self.head = 0;
    }
}

/// Copies `payload` to `to`, which has the same length, and masks it if there is a key.
#[inline(always)]
pub(super) fn copy_payload(to: &mut [u8], payload: &[u8], mask: Option<[u8; 4]>) {
    match mask {
        Some(key) => copy_masked(to, payload, key),
        None => to.copy_from_slice(payload),
    }
}

/// The output omits the bytes: they are messages of the peers, or the response to the upgrade.
impl fmt::Debug for TransmitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransmitQueue({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{OpCode, apply_mask};

    fn contents(queue: &TransmitQueue) -> Vec<u8> {
        let mut slices = [&[][..]; 16];
        let filled = queue.lend(&mut slices);
        slices[..filled].concat()
    }

    impl TransmitQueue {
        fn references(&self) -> usize {
            self.next.iter().chain(&self.later).count()
        }
    }

    /// A queue of five slices, and its bytes.
    fn mixed() -> (TransmitQueue, Vec<u8>) {
        let bytes: Vec<u8> = (0..=255).collect();
        let shared = Bytes::from(bytes.clone());
        let mut queue = TransmitQueue::default();
        queue.share(&shared.slice(..60));
        queue.share(&shared.slice(60..61));
        queue.share(&shared.slice(61..70));
        queue.share(&shared.slice(70..130));
        queue.share(&shared.slice(130..250));
        queue.share(&Bytes::new());
        queue.share(&shared.slice(250..254));
        queue.share(&shared.slice(254..));
        (queue, bytes)
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_each_write_takes() {
        for step in 1..=257 {
            let (mut queue, bytes) = mixed();
            let mut expected = &bytes[..];
            while !expected.is_empty() {
                assert_eq!((contents(&queue).as_slice(), queue.len()), (expected, expected.len()));
                queue.consume(step);
                expected = expected.get(step..).unwrap_or_default();
            }
            assert!(queue.is_empty() && contents(&queue).is_empty());
        }
    }

    #[test]
    fn a_frame_is_its_header_and_its_payload_with_nothing_between() {
        for (len, mask) in
            [0, 1, 125, 126, 65_535, 65_536].into_iter().flat_map(|len| [(len, None), (len, Some([1, 2, 3, 4]))])
        {
            let mut payload = vec![9; len];
            let header = FrameHeader::new(OpCode::Binary, true, mask, len as u64);
            let mut queue = TransmitQueue::default();
            queue.share(&Bytes::from_static(&[7]));
            queue.copy(&header, &payload);
            if let Some(key) = mask {
                apply_mask(&mut payload, key, 0);
            }
            let mut buffer = [0; FrameHeader::MAX_LEN];
            assert_eq!(contents(&queue), [&[7], header.encode(&mut buffer), &payload].concat());
        }
    }

    #[test]
    fn an_empty_queue_frees_all_memory_on_request() {
        let (mut queue, bytes) = mixed();
        queue.release();
        assert_eq!(queue.len(), bytes.len());
        queue.consume(bytes.len());
        assert_ne!(queue.copied.capacity(), 0);
        queue.release();
        assert_eq!((queue.copied.capacity(), queue.later.capacity()), (0, 0));
    }

    #[test]
    fn no_more_slices_are_lent_than_the_caller_has_room_for() {
        let (queue, bytes) = mixed();
        for room in 0..7 {
            let mut slices = vec![&[][..]; room];
            let filled = queue.lend(&mut slices);
            assert_eq!(filled, room.min(5));
            assert!(bytes.starts_with(&slices[..filled].concat()));
        }
    }

    #[test]
    fn a_reference_is_not_kept_to_fewer_bytes_than_it_takes_itself() {
        let mut queue = TransmitQueue::default();
        for _ in 0..1000 {
            queue.share(&Bytes::from_static(&[1; size_of::<Shared>()]));
        }
        assert_eq!((queue.references(), queue.len()), (0, 1000 * size_of::<Shared>()));
        queue.share(&Bytes::from_static(&[1; size_of::<Shared>() + 1]));
        assert_eq!(queue.references(), 1);
    }

    #[test]
    fn large_shared_bytes_are_never_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let mut queue = TransmitQueue::default();
        queue.share(&bytes);
        let mut slices = [&[][..]; 1];
        assert_eq!(queue.lend(&mut slices), 1);
        assert_eq!(slices[0].as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn memory_is_kept_for_the_next_batch_and_not_for_an_answer_now_and_then() {
        let mut queue = TransmitQueue::default();
        let mut kept_after = |len: usize| {
            queue.copy(&FrameHeader::new(OpCode::Text, true, None, len as u64), &vec![0; len]);
            queue.consume(usize::MAX);
            queue.copied.capacity()
        };
        assert!(kept_after(BATCH) >= BATCH);
        assert_eq!(kept_after(KEPT_BATCH), 0);
        assert_eq!(kept_after(BATCH / 2), 0);
        assert!(kept_after(KEPT / 2) > 0);
    }

    #[test]
    fn what_waits_behind_references_is_moved_without_a_change() {
        let mut queue = TransmitQueue::default();
        let mut expected = Vec::new();
        let shared = Bytes::from(vec![9; 100]);
        for round in 0..2000_usize {
            let payload = vec![(round % 251).try_into().unwrap_or(0); round * 7 % 500];
            let header = FrameHeader::new(OpCode::Binary, true, None, payload.len() as u64);
            queue.copy(&header, &payload);
            expected.extend_from_slice(header.encode(&mut [0; FrameHeader::MAX_LEN]));
            expected.extend(payload);
            if round % 3 == 0 {
                queue.share(&shared);
                expected.extend_from_slice(&shared);
            }
            // The queue alternately grows and runs nearly empty.
            let written = if round / 100 % 2 == 0 { 40 } else { 700 }.min(queue.len().saturating_sub(round % 50));
            let mut slices = [&[][..]; 400];
            let filled = queue.lend(&mut slices);
            assert!(expected.starts_with(&slices[..filled].concat()), "round {round}");
            queue.consume(written);
            expected.drain(..written);
        }
        assert_eq!(queue.len(), expected.len());
    }

    #[test]
    fn a_queue_that_never_runs_dry_keeps_its_memory_in_bounds() {
        let mut queue = TransmitQueue::default();
        for _ in 0..10_000 {
            queue.copy(&FrameHeader::new(OpCode::Text, true, None, 996), &[0; 996]);
            queue.share(&Bytes::from_static(&[1; 100]));
            queue.consume(if queue.len() > 4000 { 1100 } else { 0 });
        }
        assert!(queue.copied.capacity() < 40_000, "{}", queue.copied.capacity());
        queue.consume(usize::MAX);
        assert!(queue.is_empty() && queue.copied.capacity() <= KEPT_BATCH);
    }
}
