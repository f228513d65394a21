//! The transport of every contestant. Reads are copied from a wire that repeats endlessly. Writes are read
//! and dropped.
//!
//! A read never crosses the end of the wire, so that no contestant has unread bytes after a pass.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::corpus::Wire;

/// The size of the reads of a caller.
pub const READ: usize = 64 << 10;

/// Provides the wire repeatedly.
#[derive(Clone, Debug, Default)]
pub struct Source {
    wire: Wire,
    at: usize,
}

impl Source {
    pub fn new(wire: &Wire) -> Self {
        Self { wire: wire.clone(), at: 0 }
    }

    /// The number of messages in a pass over the wire.
    pub fn messages(&self) -> usize {
        self.wire.messages
    }

    /// Fills `buffer` up to the end of the pass, with at least one byte, like a socket with much data.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = self.take(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    }

    /// At most the next `room` bytes of the pass. The caller copies them.
    pub fn take(&mut self, room: usize) -> &[u8] {
        if self.at == self.wire.bytes.len() {
            self.at = 0;
        }
        let rest = &self.wire.bytes[self.at..];
        let taken = &rest[..room.min(rest.len())];
        self.at += taken.len();
        taken
    }
}

/// Takes every byte at once. Clones share one count, because not every peer returns its stream.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<AtomicU64>);

impl Sink {
    pub fn write(&self, bytes: &[u8]) {
        // Only one thread counts, so no atomic addition is needed.
        self.0.store(self.0.load(Relaxed) + black_box(bytes).len() as u64, Relaxed);
    }

    /// The number of bytes that were taken since the last call.
    pub fn taken(&self) -> u64 {
        let taken = self.0.load(Relaxed);
        self.0.store(0, Relaxed);
        taken
    }
}

/// Stands between the sink and a peer that writes every frame by itself. It collects a batch, so that a batch leaves in
/// one write, as with the other contestants.
#[derive(Debug)]
pub struct Collector {
    bytes: Vec<u8>,
    /// The number of collected frames, and the number of frames in a batch.
    frames: usize,
    batch: usize,
    sink: Sink,
}

impl Collector {
    pub fn new(batch: usize, sink: &Sink) -> Self {
        Self { bytes: Vec::new(), frames: 0, batch, sink: sink.clone() }
    }

    pub fn frame<S: AsRef<[u8]>>(&mut self, slices: impl Iterator<Item = S>) {
        if self.batch == 1 {
            slices.for_each(|slice| self.sink.write(slice.as_ref()));
            return;
        }
        slices.for_each(|slice| self.bytes.extend_from_slice(slice.as_ref()));
        self.frames += 1;
        if self.frames == self.batch {
            self.sink.write(&self.bytes);
            self.bytes.clear();
            self.frames = 0;
        }
    }
}

/// A source that also takes writes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub source: Source,
    pub sink: Sink,
}

impl Memory {
    pub fn new(wire: &Wire) -> Self {
        Self { source: Source::new(wire), sink: Sink::default() }
    }
}

impl io::Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.source.read(buffer))
    }
}

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().for_each(|slice| self.sink.write(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
