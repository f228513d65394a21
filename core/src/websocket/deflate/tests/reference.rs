//! A decoder straight from the text of RFC 1951: slow, strict, and it knows how far the matches reach back.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::TAIL;

/// Decodes the messages of one direction, with context take-over.
#[derive(Default)]
pub(super) struct Reference {
    /// All that was ever decoded.
    history: Vec<u8>,
    /// The longest distance met.
    pub(super) longest_distance: usize,
}

impl Reference {
    pub(super) fn decode(&mut self, payload: &[u8]) -> Vec<u8> {
        let start = self.history.len();
        let bytes = [payload, &TAIL].concat();
        let mut bits = Bits { bytes: &bytes, position: 0 };
        while bits.position < 8 * bytes.len() {
            let is_final = bits.take(1) == 1;
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => self.compressed(&mut bits, &fixed_literals(), &codes(&[5; 30])),
                2 => {
                    let (literals, distances) = dynamic(&mut bits);
                    self.compressed(&mut bits, &literals, &distances);
                }
                _ => panic!("reserved block type"),
            }
            if is_final {
                bits.align();
            }
        }
        self.history[start..].to_vec()
    }

    /// Section 3.2.4.
    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.align();
        let length = bits.take(16);
        assert_eq!(bits.take(16), length ^ 0xffff);
        for _ in 0..length {
            self.history.push(u8::try_from(bits.take(8)).unwrap());
        }
    }

    /// Section 3.2.5.
    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Codes, distances: &Codes) {
        loop {
            let symbol = bits.symbol(literals);
            let length = match symbol {
                0..=255 => {
                    self.history.push(u8::try_from(symbol).unwrap());
                    continue;
                }
                256 => return,
                257..=264 => symbol - 254,
                265..=284 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 265) % 4) << extra) + 3 + bits.take(extra)
                }
                285 => 258,
                _ => panic!("reserved length"),
            };
            let symbol = bits.symbol(distances);
            let distance = match symbol {
                0..=3 => symbol + 1,
                4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((2 + symbol % 2) << extra) + 1 + bits.take(extra)
                }
                _ => panic!("reserved distance"),
            };
            self.longest_distance = self.longest_distance.max(distance);
            for _ in 0..length {
                self.history.push(self.history[self.history.len() - distance]);
            }
        }
    }
}

/// Section 3.2.6.
fn fixed_literals() -> Codes {
    codes(&[&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat())
}

/// Section 3.2.7.
fn dynamic(bits: &mut Bits<'_>) -> (Codes, Codes) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let mut order = [0; 19];
    for &index in &ORDER[..bits.take(4) + 4] {
        order[index] = bits.take(3);
    }
    let order = codes(&order);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, count) = match bits.symbol(&order) {
            16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length, 1),
        };
        lengths.extend(core::iter::repeat_n(length, count));
    }
    (codes(&lengths[..literals]), codes(&lengths[literals..literals + distances]))
}

/// From length and value of a code to its symbol.
type Codes = BTreeMap<(usize, usize), usize>;

/// Section 3.2.2.
fn codes(lengths: &[usize]) -> Codes {
    let mut codes = Codes::new();
    let mut code = 0;
    for length in 1..=15 {
        code <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &of_symbol)| of_symbol == length) {
            codes.insert((length, code), symbol);
            code += 1;
        }
    }
    codes
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).map(|place| self.bit() << place).sum()
    }

    fn symbol(&mut self, codes: &Codes) -> usize {
        let mut code = 0;
        for length in 1..=15 {
            code = code << 1 | self.bit();
            if let Some(&symbol) = codes.get(&(length, code)) {
                return symbol;
            }
        }
        panic!("no such code");
    }

    fn bit(&mut self) -> usize {
        let bit = usize::from(self.bytes[self.position / 8]) >> (self.position % 8) & 1;
        self.position += 1;
        bit
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}
