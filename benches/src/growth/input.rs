//! Growth of the cost of input for a receiver.

use super::curves::{Curve, Plot, Point, steps};
use crate::corpus::{Reader, Script, Wire, frame, text};
use crate::memory::READ;
use crate::ours::{self, Glance};
use crate::random::Random;
use crate::reference;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The size of every wire, so that short and long messages use the same amount of memory.
const WIRE: usize = 16 * MIB;

/// Bytes in each message, whole or in fragments.
pub fn message_sizes() -> Plot {
    let whole = |len| READ.max(len + FRAME);
    let wires: Vec<_> = steps(KIB, 4, WIRE).map(|len| (len, wire(WIRE / len, &[len]))).collect();
    Plot {
        title: "Decoding messages of different sizes",
        axes: ["bytes a message", "ns a byte"],
        log: false,
        curves: vec![
            curve("multiwa-ws, reads of 64 KiB", &wires, WIRE, |_| READ),
            curve("multiwa-ws, reads of a message", &wires, WIRE, whole),
            transport("the transport's copy alone, reads of a message", &wires, whole),
        ],
    }
}

/// The longest header of a frame.
const FRAME: usize = 14;

/// Fragments of one size, with an increasing number of fragments in a message.
pub fn fragments() -> Plot {
    const MOST: usize = 65_536;
    let wires =
        |len| -> Vec<_> { steps(1, 4, MOST).map(|count| (count, wire(MOST / count, &vec![len; count]))).collect() };
    Plot {
        title: "Decoding messages of many fragments",
        axes: ["fragments a message", "ns a byte"],
        log: true,
        curves: vec![
            curve("fragments of 16 B", &wires(16), MOST * 16, |_| READ),
            curve("fragments of 256 B", &wires(256), MOST * 256, |_| READ),
        ],
    }
}

/// One message of 1 MiB, in reads of increasing size.
pub fn reads() -> Plot {
    let wire = wire(1, &[MIB]);
    let wires: Vec<_> = steps(1, 4, 64 * KIB).map(|read| (read, wire.clone())).collect();
    Plot {
        title: "Reassembling a message of 1 MiB from many reads",
        axes: ["bytes a read", "ns a byte"],
        log: true,
        curves: vec![
            curve("multiwa-ws", &wires, MIB, |read| read),
            transport("the transport's copy alone", &wires, |read| read),
        ],
    }
}

/// Messages of increasing size, always in small reads.
pub fn sizes_in_small_reads() -> Plot {
    let wires: Vec<_> = steps(KIB, 4, WIRE).map(|len| (len, wire(1, &[len]))).collect();
    Plot {
        title: "Reassembling messages of different sizes from small reads",
        axes: ["bytes a message", "us a message"],
        log: true,
        curves: vec![curve("reads of 16 B", &wires, 1000, |_| 16), curve("reads of 1 KiB", &wires, 1000, |_| KIB)],
    }
}

/// A wire of `messages` texts, each in masked fragments of these sizes.
fn wire(messages: usize, fragments: &[usize]) -> Wire {
    let mut random = Random::new(1);
    let mut bytes = Vec::new();
    for _ in 0..messages {
        for (index, len) in fragments.iter().enumerate() {
            let opcode = if index == 0 { 0x1 } else { 0x0 };
            let fin = index + 1 == fragments.len();
            let text = text(Script::Ascii, *len, &mut random);
            frame(&mut bytes, fin, opcode, Some(random.masking_key()), text.as_bytes());
        }
    }
    Wire { bytes: bytes.into(), messages }
}

fn curve(name: &'static str, wires: &[(usize, Wire)], units: usize, read: impl Fn(usize) -> usize) -> Curve {
    let point = |(x, wire): &(usize, Wire)| Point {
        x: *x,
        units: units as f64,
        run: ours::decoder(wire, Reader::Server, read(*x), Glance::default()),
    };
    Curve { name, points: wires.iter().map(point).collect() }
}

fn transport(name: &'static str, wires: &[(usize, Wire)], read: impl Fn(usize) -> usize) -> Curve {
    let point = |(x, wire): &(usize, Wire)| Point {
        x: *x,
        units: wire.bytes.len() as f64,
        run: reference::memcpy(wire, read(*x)),
    };
    Curve { name, points: wires.iter().map(point).collect() }
}
