//! Bytes on their way out: small frames side by side in one buffer, large and shared ones by reference.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::frame::FrameHeader;

/// A first-in, first-out queue of bytes that is lent for vectored writes and confirmed at any byte.
///
/// `copied` holds bytes that were copied in; `shared` holds buffers that stand between runs of them. An empty queue holds
/// at most [`KEPT`] bytes of memory, or [`KEPT_BATCH`] after much was sent, until [`release`](Self::release).
#[derive(Default)]
pub(crate) struct TransmitQueue {
    copied: Vec<u8>,
    /// How much of `copied` was written.
    head: usize,
    /// Shared buffers, each with the position in `copied` that it comes before.
    shared: VecDeque<(usize, Bytes)>,
    shared_len: usize,
}

/// What an empty queue keeps allocated: room for a short message, so that a steady trickle of them does not allocate. Events
/// go by reference, and the answers to an upgrade and to a subscription are too long and too rare to be kept for.
const KEPT: usize = 128;

/// What it keeps after a batch of at least [`BATCH`] bytes, which others will follow: room for the next one.
const KEPT_BATCH: usize = 16 << 10;

/// More than the answers of an idle connection have.
const BATCH: usize = 1 << 10;

impl TransmitQueue {
    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.copied.len() - self.head + self.shared_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a frame by copy. Returns where its payload lies, for masking.
    #[inline(always)]
    pub(crate) fn copy(&mut self, header: &FrameHeader, payload: &[u8]) -> &mut [u8] {
        let mut buffer = [0; FrameHeader::MAX_LEN];
        let header_len = header.encode(&mut buffer).len();
        let start = self.copied.len() + header_len;
        self.copied.reserve(buffer.len() + payload.len());
        // A copy of a length that the compiler knows takes a few instructions; what is too much of it is cut at once.
        self.copied.extend_from_slice(&buffer);
        self.copied.truncate(start);
        self.copied.extend_from_slice(payload);
        self.copied.get_mut(start..).unwrap_or_default()
    }

    /// Appends by reference; by copy when the reference would take more memory than the bytes do.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        if bytes.len() <= size_of::<(usize, Bytes)>() {
            self.copied.extend_from_slice(&bytes);
        } else {
            self.shared_len += bytes.len();
            self.shared.push_back((self.copied.len(), bytes));
        }
    }

    /// Lends the front of the queue in up to `slices.len()` slices and returns how many it filled.
    pub(crate) fn lend<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        let mut filled = 0;
        let mut at = self.head;
        let mut shared = self.shared.iter();
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
            let end = next.map_or(self.copied.len(), |(position, _)| *position);
            let copied = self.copied.get(at..end).unwrap_or_default();
            if !copied.is_empty() && !put(copied) {
                break;
            }
            at = end;
            match next {
                Some((_, bytes)) if put(bytes) => {}
                _ => break,
            }
        }
        filled
    }

    /// Drops the first `written` bytes, at most all.
    pub(crate) fn consume(&mut self, mut written: usize) {
        while written > 0 {
            let end = self.shared.front().map_or(self.copied.len(), |(position, _)| *position);
            let copied = (end - self.head).min(written);
            self.head += copied;
            written -= copied;
            let Some((_, bytes)) = self.shared.front_mut().filter(|_| self.head == end) else { break };
            let taken = bytes.len().min(written);
            bytes::Buf::advance(bytes, taken);
            self.shared_len -= taken;
            written -= taken;
            if !bytes.is_empty() {
                break;
            }
            self.shared.pop_front();
        }
        self.reclaim();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives all memory back when the queue is empty.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// Gives memory back: all but what is kept when the queue is empty, and what lies before `head` once that is the greater
    /// part, so that a queue that never runs dry moves each byte at most once.
    fn reclaim(&mut self) {
        if self.is_empty() {
            self.shared = VecDeque::new();
            self.head = 0;
            let kept = if self.copied.len() < BATCH { KEPT } else { KEPT_BATCH };
            if self.copied.capacity() > kept {
                self.copied = Vec::new();
            } else {
                self.copied.clear();
            }
        } else if self.head > self.copied.len() / 2 && self.head > KEPT {
            self.copied.drain(..self.head);
            for (position, _) in &mut self.shared {
                *position -= self.head;
            }
            self.head = 0;
        }
    }
}

/// Never the bytes: they are what the peers say to each other, and before them the response to the upgrade.
impl fmt::Debug for TransmitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransmitQueue({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::frame::OpCode;

    fn contents(queue: &TransmitQueue) -> Vec<u8> {
        let mut slices = [&[][..]; 16];
        let filled = queue.lend(&mut slices);
        slices[..filled].concat()
    }

    /// A queue of five slices, and what it holds.
    fn mixed() -> (TransmitQueue, Vec<u8>) {
        let bytes: Vec<u8> = (0..=255).collect();
        let shared = Bytes::from(bytes.clone());
        let mut queue = TransmitQueue::default();
        queue.share(shared.slice(..60));
        queue.share(shared.slice(60..61));
        queue.share(shared.slice(61..70));
        queue.share(shared.slice(70..130));
        queue.share(shared.slice(130..250));
        queue.share(Bytes::new());
        queue.share(shared.slice(250..254));
        queue.share(shared.slice(254..));
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
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![9; len];
            let header = FrameHeader::new(OpCode::Binary, true, Some([1, 2, 3, 4]), len as u64);
            let mut queue = TransmitQueue::default();
            queue.share(Bytes::from_static(&[7]));
            assert_eq!(queue.copy(&header, &payload), payload);
            let mut buffer = [0; FrameHeader::MAX_LEN];
            assert_eq!(contents(&queue), [&[7], header.encode(&mut buffer), &payload].concat());
        }
    }

    #[test]
    fn an_empty_queue_gives_all_memory_back_when_it_is_told_to() {
        let (mut queue, bytes) = mixed();
        queue.release();
        assert_eq!(queue.len(), bytes.len());
        queue.consume(bytes.len());
        assert_ne!((queue.copied.capacity(), queue.shared.capacity()), (0, 0));
        queue.release();
        assert_eq!((queue.copied.capacity(), queue.shared.capacity()), (0, 0));
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
            queue.share(Bytes::from_static(&[1; size_of::<(usize, Bytes)>()]));
        }
        assert_eq!((queue.shared.len(), queue.len()), (0, 1000 * size_of::<(usize, Bytes)>()));
        queue.share(Bytes::from_static(&[1; size_of::<(usize, Bytes)>() + 1]));
        assert_eq!(queue.shared.len(), 1);
    }

    #[test]
    fn large_shared_bytes_are_never_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let mut queue = TransmitQueue::default();
        queue.share(bytes.clone());
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
    fn a_queue_that_never_runs_dry_keeps_its_memory_in_bounds() {
        let mut queue = TransmitQueue::default();
        for _ in 0..10_000 {
            queue.copy(&FrameHeader::new(OpCode::Text, true, None, 996), &[0; 996]);
            queue.share(Bytes::from_static(&[1; 100]));
            queue.consume(if queue.len() > 4000 { 1100 } else { 0 });
        }
        assert!(queue.copied.capacity() < 40_000, "{}", queue.copied.capacity());
        queue.consume(usize::MAX);
        assert!(queue.is_empty() && queue.copied.capacity() <= KEPT_BATCH);
    }
}
