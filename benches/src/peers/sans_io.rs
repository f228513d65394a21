//! `websocket-sans-io` handles frames only. This module adds the code that a caller needs for messages, with
//! `simdutf8`.

use std::hint::black_box;

use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent};

use crate::corpus::{Reader, Wire};
use crate::memory::{Sink, Source};
use crate::ours::{Look, Run};

pub fn decoder(wire: &Wire, buffer_len: usize, mut look: impl Look) -> Run {
    let mut source = Source::new(wire);
    let mut decoder = WebsocketFrameDecoder::new();
    let mut buffer = vec![0; buffer_len];
    let mut frame_len = 0;
    let mut kept = Vec::new();
    Box::new(move || {
        let mut messages = 0;
        while messages < source.messages() {
            let mut len = source.read(&mut buffer);
            let mut rest = &mut buffer[..];
            loop {
                let Ok(result) = decoder.add_data(&mut rest[..len]);
                let (taken, after) = rest.split_at_mut(result.consumed_bytes);
                rest = after;
                len -= taken.len();
                match result.event {
                    Some(WebsocketFrameEvent::Start { frame_info, original_opcode: Opcode::Text }) => {
                        frame_len = frame_info.payload_length as usize;
                    }
                    // The payload is complete in the buffer, or it is kept until it is complete.
                    Some(WebsocketFrameEvent::PayloadChunk { .. }) if taken.len() == frame_len => {
                        look.text(simdutf8::basic::from_utf8(taken).expect("it is text"));
                        messages += 1;
                    }
                    Some(WebsocketFrameEvent::PayloadChunk { .. }) => kept.extend_from_slice(taken),
                    Some(WebsocketFrameEvent::End { .. }) if !kept.is_empty() => {
                        look.text(simdutf8::basic::from_utf8(&kept).expect("it is text"));
                        messages += 1;
                        kept.clear();
                    }
                    Some(_) => {}
                    None if taken.is_empty() => break,
                    None => {}
                }
            }
        }
        look.found()
    })
}

pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let text = text.to_owned();
    let mut encoder = WebsocketFrameEncoder::new();
    let mut buffer = Vec::new();
    let sink = Sink::default();
    Box::new(move || {
        for _ in 0..batch {
            let text = black_box(&text).as_bytes();
            let header = encoder.start_frame(&FrameInfo {
                opcode: Opcode::Text,
                payload_length: text.len() as u64,
                mask: (writer == Reader::Client).then(|| fastrand::u32(..).to_le_bytes()),
                fin: true,
                reserved: 0,
            });
            buffer.extend_from_slice(&header);
            let start = buffer.len();
            buffer.extend_from_slice(text);
            encoder.transform_frame_payload(&mut buffer[start..]);
        }
        sink.write(&buffer);
        buffer.clear();
        sink.taken()
    })
}
