//! What the machine allows: the least that could be called decoding and encoding.

use std::hint::black_box;

use crate::corpus::{Reader, Wire};
use crate::memory::{Sink, Source};
use crate::ours::{BATCH, Look, Run};
use crate::random::Random;

/// Copies the wire into the buffer and does nothing with it.
pub fn memcpy(wire: &Wire, buffer_len: usize) -> Run {
    let mut source = Source::new(wire);
    let len = wire.bytes.len();
    let mut buffer = vec![0; buffer_len];
    Box::new(move || {
        let mut copied = 0;
        while copied < len {
            copied += source.read(&mut buffer);
            black_box(&mut buffer);
        }
        copied as u64
    })
}

/// Decodes whole, unfragmented text frames in place, and checks nothing but the UTF-8. Its buffer holds the whole pass.
pub fn decoder(wire: &Wire, reader: Reader, mut look: impl Look) -> Run {
    let mut source = Source::new(wire);
    let mut buffer = vec![0; wire.bytes.len()];
    Box::new(move || {
        let len = source.read(&mut buffer);
        let mut rest = &mut buffer[..len];
        while rest.len() >= 2 {
            let (len, header) = match rest[1] & 0x7F {
                126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
                127 => (u64::from_be_bytes(rest[2..10].try_into().expect("eight bytes")) as usize, 10),
                len => (usize::from(len), 2),
            };
            let masked = reader == Reader::Server;
            let key: Option<[u8; 4]> = masked.then(|| rest[header..header + 4].try_into().expect("four bytes"));
            let header = header + if masked { 4 } else { 0 };
            let (frame, after) = rest.split_at_mut(header + len);
            let payload = &mut frame[header..];
            if let Some(key) = key {
                unmask(payload, key);
            }
            look.text(simdutf8::basic::from_utf8(payload).expect("it is text"));
            rest = after;
        }
        look.found()
    })
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<16>();
    for word in words {
        for (byte, key) in word.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Writes header and payload side by side into one buffer, masked for a client.
pub fn encoder(writer: Reader, text: &str) -> Run {
    let text = text.to_owned();
    let sink = Sink::default();
    let mut buffer = Vec::with_capacity(BATCH * (text.len() + 14));
    let mut random = Random::new(1);
    Box::new(move || {
        for _ in 0..BATCH {
            let text = black_box(&text).as_bytes();
            let mask_bit = if writer == Reader::Client { 0x80 } else { 0 };
            match text.len() {
                len @ 0..=125 => buffer.extend_from_slice(&[0x81, mask_bit | len as u8]),
                len @ 126..=0xFFFF => {
                    let [high, low] = (len as u16).to_be_bytes();
                    buffer.extend_from_slice(&[0x81, mask_bit | 126, high, low]);
                }
                len => {
                    buffer.extend_from_slice(&[0x81, mask_bit | 127]);
                    buffer.extend_from_slice(&(len as u64).to_be_bytes());
                }
            }
            if writer == Reader::Server {
                buffer.extend_from_slice(text);
                continue;
            }
            let key = random.masking_key();
            buffer.extend_from_slice(&key);
            let start = buffer.len();
            buffer.extend_from_slice(text);
            unmask(&mut buffer[start..], key);
        }
        sink.write(&buffer);
        buffer.clear();
        sink.taken()
    })
}
