//! A decoder that follows the text of RFC 1951. It is slow and strict, and records the longest distance.
//!
//! One rule comes from zlib: a Huffman code is complete, or it has at most one symbol, whose code is one bit.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::TAIL;

/// The longest message that is decoded.
pub(super) const LIMIT: usize = 1 << 20;

/// Decodes the messages of one direction, with context takeover.
pub(super) struct Reference {
    /// All decoded bytes.
    history: Vec<u8>,
    /// The start of the message in them.
    start: usize,
    /// No distance may be longer than two to the power of this.
    pub(super) window_bits: u8,
    /// The longest distance so far.
    pub(super) longest_distance: usize,
}

impl Reference {
    pub(super) fn new(window_bits: u8) -> Self {
        Self { history: Vec::new(), start: 0, window_bits, longest_distance: 0 }
    }

    /// The message of a payload, or `None` if the payload is invalid or its message too long. `None` leaves the decoder
    /// unchanged.
    pub(super) fn decode(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.start = self.history.len();
        let valid = self.blocks(payload) == Some(true);
        if !valid {
            self.history.truncate(self.start);
        }
        valid.then(|| self.history[self.start..].to_vec())
    }

    /// Returns whether the last block ends where it should.
    fn blocks(&mut self, payload: &[u8]) -> Option<bool> {
        let bytes = [payload, &TAIL].concat();
        let mut bits = Bits { bytes: &bytes, position: 0, payload_end: 8 * payload.len() };
        let end = 8 * bytes.len();
        // Where a final block ends the payload, no tail was removed (RFC 7692 section 7.2.3.4).
        let mut stream_ended = true;
        while bits.position < bits.payload_end || (bits.position < end && !stream_ended) {
            stream_ended = self.block(&mut bits)?;
        }
        Some(bits.position == bits.payload_end || bits.position == end)
    }

    /// Returns whether the block was the final one.
    fn block(&mut self, bits: &mut Bits<'_>) -> Option<bool> {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => self.stored(bits)?,
            1 => self.compressed(bits, &fixed_literals()?, &codes(&[5; 32])?)?,
            2 => {
                let (literals, distances) = dynamic(bits)?;
                self.compressed(bits, &literals, &distances)?;
            }
            _ => return None,
        }
        if is_final {
            bits.align();
        }
        Some(is_final)
    }

    /// Section 3.2.4.
    fn stored(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.align();
        let length = bits.take(16)?;
        if bits.take(16)? != length ^ 0xffff {
            return None;
        }
        for _ in 0..length {
            let byte = bits.take(8)?;
            self.push(u8::try_from(byte).ok()?, bits)?;
        }
        Some(())
    }

    /// Section 3.2.5.
    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Codes, distances: &Codes) -> Option<()> {
        loop {
            let symbol = bits.symbol(literals)?;
            let length = match symbol {
                0..=255 => {
                    self.push(u8::try_from(symbol).ok()?, bits)?;
                    continue;
                }
                256 => return Some(()),
                257..=264 => symbol - 254,
                265..=284 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 265) % 4) << extra) + 3 + bits.take(extra)?
                }
                285 => 258,
                _ => return None,
            };
            let symbol = bits.symbol(distances)?;
            let distance = match symbol {
                0..=3 => symbol + 1,
                4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((2 + symbol % 2) << extra) + 1 + bits.take(extra)?
                }
                _ => return None,
            };
            if distance > 1 << self.window_bits {
                return None;
            }
            self.longest_distance = self.longest_distance.max(distance);
            for _ in 0..length {
                let from = self.history.len().checked_sub(distance)?;
                self.push(self.history[from], bits)?;
            }
        }
    }

    /// The tail completes an empty block, so it produces no output.
    fn push(&mut self, byte: u8, bits: &Bits<'_>) -> Option<()> {
        if bits.position > bits.payload_end || self.history.len() - self.start == LIMIT {
            return None;
        }
        self.history.push(byte);
        Some(())
    }
}

/// Section 3.2.6.
fn fixed_literals() -> Option<Codes> {
    codes(&[&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat())
}

/// Section 3.2.7.
fn dynamic(bits: &mut Bits<'_>) -> Option<(Codes, Codes)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut order = [0; 19];
    for &index in &ORDER[..bits.take(4)? + 4] {
        order[index] = bits.take(3)?;
    }
    let order = codes(&order)?;
    // Complete: at least two symbols.
    if order.len() < 2 {
        return None;
    }
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, count) = match bits.symbol(&order)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(core::iter::repeat_n(length, count));
    }
    // A repetition may continue into the lengths of the distances, but not beyond them. A block needs a code for its end.
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return None;
    }
    Some((codes(&lengths[..literals])?, codes(&lengths[literals..])?))
}

/// From length and value of a code to its symbol.
type Codes = BTreeMap<(usize, usize), usize>;

/// Section 3.2.2.
fn codes(lengths: &[usize]) -> Option<Codes> {
    let mut codes = Codes::new();
    let mut code = 0;
    for length in 1..=15 {
        code <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &of_symbol)| of_symbol == length) {
            codes.insert((length, code), symbol);
            code += 1;
        }
        // More codes than there are values of that many bits.
        if code > 1 << length {
            return None;
        }
    }
    let incomplete = code < 1 << 15;
    let one_bit = codes.keys().all(|&(length, _)| length == 1);
    (!incomplete || one_bit).then_some(codes)
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
    /// In bits: where the tail begins.
    payload_end: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        (0..count).map(|place| self.bit().map(|bit| bit << place)).sum()
    }

    fn symbol(&mut self, codes: &Codes) -> Option<usize> {
        let mut code = 0;
        for length in 1..=15 {
            code = code << 1 | self.bit()?;
            if let Some(&symbol) = codes.get(&(length, code)) {
                return Some(symbol);
            }
        }
        None
    }

    fn bit(&mut self) -> Option<usize> {
        let bit = usize::from(*self.bytes.get(self.position / 8)?) >> (self.position % 8) & 1;
        self.position += 1;
        Some(bit)
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}
