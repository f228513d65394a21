//! Generators of DEFLATE streams of every form, valid and invalid, written bit by bit.

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::noise;

/// One to three payloads, some of them with a few bits flipped.
pub(super) fn streams() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let flips = prop_oneof![2 => Just(Vec::new()), 1 => vec((any::<Index>(), 0_u8..8), 1..4)];
    let payload = (vec(block(), 0..4), end(), flips).prop_map(|(blocks, end, flips)| {
        let mut bits = Bits::default();
        for block in &blocks {
            block.write(&mut bits);
        }
        end.write(&mut bits);
        for (index, bit) in flips {
            if !bits.bytes.is_empty() {
                let index = index.index(bits.bytes.len());
                bits.bytes[index] ^= 1 << bit;
            }
        }
        bits.bytes
    });
    vec(payload, 1..4)
}

/// RFC 1951 section 3.2.3.
#[derive(Debug, Clone)]
struct Block {
    is_final: bool,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Stored(Vec<u8>),
    Fixed(Vec<Symbol>),
    Dynamic { literals: Vec<u8>, distances: Vec<u8>, symbols: Vec<Symbol> },
}

/// A literal, or a length and a distance, among those that have a code.
#[derive(Debug, Clone)]
struct Symbol {
    literal: Index,
    distance: Index,
    /// The source of the extra bits.
    extra: u16,
}

/// The bytes after the last block.
#[derive(Debug, Clone)]
enum End {
    /// An empty stored block without its lengths, as RFC 7692 section 7.2.1 requires.
    Flushed,
    Nothing,
    Bytes(Vec<u8>),
}

fn block() -> impl Strategy<Value = Block> {
    let symbols = || vec(symbol(), 0..40);
    let content = prop_oneof![
        1 => (0_usize..6000).prop_map(|length| Content::Stored(noise(length))),
        2 => symbols().prop_map(Content::Fixed),
        4 => (code(286, Some(256)), code(30, None), symbols())
            .prop_map(|(literals, distances, symbols)| Content::Dynamic { literals, distances, symbols }),
    ];
    (prop::bool::weighted(0.2), content).prop_map(|(is_final, content)| Block { is_final, content })
}

fn symbol() -> impl Strategy<Value = Symbol> {
    (any::<Index>(), any::<Index>(), any::<u16>()).prop_map(|(literal, distance, extra)| Symbol {
        literal,
        distance,
        extra,
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![8 => Just(End::Flushed), 1 => Just(End::Nothing), 1 => vec(any::<u8>(), 1..6).prop_map(End::Bytes)]
}

/// The lengths of a Huffman code for some of `size` symbols. Most codes are complete.
fn code(size: usize, always: Option<usize>) -> impl Strategy<Value = Vec<u8>> {
    let symbols =
        prop_oneof![1 => subsequence(Vec::from_iter(0..size), 0..3), 4 => subsequence(Vec::from_iter(0..size), 0..30)];
    let splits = vec(any::<Index>(), 32);
    let damage = prop_oneof![9 => Just(None), 1 => (any::<Index>(), 0_u8..16).prop_map(Some)];
    (symbols, splits, damage, 0_usize..3).prop_map(move |(mut symbols, splits, damage, unused)| {
        if let Some(always) = always.filter(|always| !symbols.contains(always)) {
            symbols.push(always);
        }
        // A complete code is a binary tree: begin with its root and split leaves.
        let mut depths = Vec::from([0_u8]);
        for split in splits.iter().take(symbols.len().saturating_sub(1)) {
            let leaf = split.index(depths.len());
            if depths[leaf] == 15 {
                break;
            }
            depths[leaf] += 1;
            depths.push(depths[leaf]);
        }
        if depths.len() == 1 {
            depths[0] = 1;
        }
        let mut lengths = alloc::vec![0; symbols.iter().max().map_or(1, |&last| last + 1)];
        for (&symbol, depth) in symbols.iter().zip(depths) {
            lengths[symbol] = depth;
        }
        if let Some((index, length)) = damage {
            let index = index.index(lengths.len());
            lengths[index] = length;
        }
        // Sometimes more symbols than exist.
        lengths.resize(lengths.len() + unused, 0);
        lengths
    })
}

impl Block {
    fn write(&self, bits: &mut Bits) {
        bits.push(self.is_final.into(), 1);
        match &self.content {
            Content::Stored(data) => {
                bits.push(0, 2);
                bits.align();
                let length = u32::try_from(data.len()).unwrap();
                bits.push(length, 16);
                bits.push(!length & 0xffff, 16);
                bits.bytes.extend_from_slice(data);
            }
            Content::Fixed(symbols) => {
                bits.push(1, 2);
                write_symbols(symbols, &fixed_literals(), &[5; 32], bits);
            }
            Content::Dynamic { literals, distances, symbols } => {
                bits.push(2, 2);
                write_lengths(literals, distances, bits);
                write_symbols(symbols, literals, distances, bits);
            }
        }
        if self.is_final {
            bits.align();
        }
    }
}

/// Section 3.2.6: the lengths of the fixed code.
pub(super) fn fixed_literals() -> Vec<u8> {
    [&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat()
}

/// Section 3.2.7. The code for the lengths is always the same one, of all 19 symbols.
fn write_lengths(literals: &[u8], distances: &[u8], bits: &mut Bits) {
    let mut padded = literals.to_vec();
    padded.resize(literals.len().clamp(257, 288), 0);
    let distances = &distances[..distances.len().min(32)];
    bits.push(u32::try_from(padded.len() - 257).unwrap(), 5);
    bits.push(u32::try_from(distances.len() - 1).unwrap(), 5);
    bits.push(15, 4);
    let order = [&[4; 13][..], &[5; 6]].concat();
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        bits.push(u32::from(order[symbol]), 3);
    }
    let lengths = [&padded, distances].concat();
    for run in lengths.chunk_by(|a, b| a == b) {
        let (length, mut rest) = (run[0], run.len());
        if length > 0 {
            bits.code(&order, length.into());
            rest -= 1;
        }
        while rest > 0 {
            let (symbol, repeated, count, extra) = match (length, rest) {
                (0, 11..) => (18, rest.min(138), 11, 7),
                (0, 3..) => (17, rest.min(10), 3, 3),
                (1.., 3..) => (16, rest.min(6), 3, 2),
                _ => (usize::from(length), 1, 1, 0),
            };
            bits.code(&order, symbol);
            bits.push(u32::try_from(repeated - count).unwrap(), extra);
            rest -= repeated;
        }
    }
}

/// Section 3.2.5, with the end of the block.
fn write_symbols(symbols: &[Symbol], literals: &[u8], distances: &[u8], bits: &mut Bits) {
    let pick = |lengths: &[u8], index: Index| {
        let used: Vec<usize> = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0 && symbol != 256).collect();
        (!used.is_empty()).then(|| used[index.index(used.len())])
    };
    for symbol in symbols {
        let Some(literal) = pick(literals, symbol.literal) else { break };
        bits.code(literals, literal);
        if literal > 256 {
            let extra = if (265..285).contains(&literal) { (literal - 261) / 4 } else { 0 };
            bits.push(symbol.extra.into(), extra);
            let Some(distance) = pick(distances, symbol.distance) else { break };
            bits.code(distances, distance);
            bits.push(symbol.extra.into(), (distance / 2).saturating_sub(1));
        }
    }
    bits.code(literals, 256);
}

impl End {
    fn write(&self, bits: &mut Bits) {
        match self {
            Self::Flushed => bits.push(0, 3),
            Self::Nothing => {}
            Self::Bytes(bytes) => {
                bits.align();
                bits.bytes.extend_from_slice(bytes);
            }
        }
    }
}

/// Writes bits.
#[derive(Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    /// How many bits of the last byte are free.
    free: u32,
}

impl Bits {
    /// The lowest bit first.
    pub(super) fn push(&mut self, value: u32, count: usize) {
        for place in 0..count {
            self.bit(value >> place & 1 == 1);
        }
    }

    /// Section 3.2.2: the code of a symbol, the highest bit first. Codes of damaged lengths may overflow.
    pub(super) fn code(&mut self, lengths: &[u8], symbol: usize) {
        let length = lengths[symbol];
        let shorter: u32 = lengths.iter().filter(|&&of| of > 0 && of < length).map(|&of| 1 << (length - of)).sum();
        let before = lengths[..symbol].iter().filter(|&&of| of == length).count();
        let code = shorter + u32::try_from(before).unwrap();
        for place in (0..length).rev() {
            self.bit(code >> place & 1 == 1);
        }
    }

    fn bit(&mut self, bit: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (8 - self.free);
        }
        self.free -= 1;
    }

    fn align(&mut self) {
        self.free = 0;
    }
}
