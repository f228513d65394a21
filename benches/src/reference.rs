//! The limit of the machine: the smallest amount of work for decoding and encoding.

use std::hint::black_box;

use multiwa_ws_core::frame::apply_mask;

use crate::corpus::{Reader, Wire};
use crate::memory::{Sink, Source};
use crate::ours::{Look, Run};
use crate::random::Random;

/// Copies the wire into the buffer and does no other work.
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

/// Decodes unfragmented text frames in place, and checks only the UTF-8. `buffer_len` is at least the length of one
/// frame.
pub fn decoder(wire: &Wire, reader: Reader, buffer_len: usize, mut look: impl Look) -> Run {
    let mut source = Source::new(wire);
    let mut buffer = vec![0; buffer_len];
    Box::new(move || {
        let (mut messages, mut kept) = (0, 0);
        while messages < source.messages() {
            let len = kept + source.read(&mut buffer[kept..]);
            let mut rest = &mut buffer[..len];
            while let Some(frame) = frame(rest, reader) {
                let (frame, after) = rest.split_at_mut(frame);
                rest = after;
                look.text(payload(frame, reader));
                messages += 1;
            }
            // The beginning of the next frame moves to the front.
            kept = rest.len();
            buffer.copy_within(len - kept..len, 0);
        }
        look.found()
    })
}

/// The length of the frame at the front of `bytes`, if it is complete.
fn frame(bytes: &[u8], reader: Reader) -> Option<usize> {
    let (len, header) = header(bytes, reader)?;
    (bytes.len() >= header + len).then_some(header + len)
}

/// The length of a frame's payload, and of its header.
fn header(bytes: &[u8], reader: Reader) -> Option<(usize, usize)> {
    let (len, header) = match bytes.get(1)? & 0x7F {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
        len => (usize::from(len), 2),
    };
    Some((len, header + if reader == Reader::Server { 4 } else { 0 }))
}

fn payload(frame: &mut [u8], reader: Reader) -> &str {
    let (_, header) = header(frame, reader).expect("the frame is whole");
    let (head, payload) = frame.split_at_mut(header);
    if reader == Reader::Server {
        apply_mask(payload, *head.last_chunk().expect("the key ends the header"), 0);
    }
    simdutf8::basic::from_utf8(payload).expect("it is text")
}

/// Writes header and payload next to each other into one buffer, masked for a client.
pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let text = text.to_owned();
    let sink = Sink::default();
    let mut buffer = Vec::with_capacity(batch * (text.len() + 14));
    let mut random = Random::new(1);
    Box::new(move || {
        for _ in 0..batch {
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
            apply_mask(&mut buffer[start..], key, 0);
        }
        sink.write(&buffer);
        buffer.clear();
        sink.taken()
    })
}
