//! `tungstenite` with its default buffers of 128 KiB.

use std::hint::black_box;
use std::io::{Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use super::{LIMIT, Payload};
use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{Look, Run};

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

pub fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_frame_size(Some(LIMIT)).max_message_size(Some(LIMIT))
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    decode(Memory::new(wire), reader, wire.messages, look)
}

/// Reads this number of messages from `stream` in each pass.
pub fn decode<S: Read + Write + 'static>(stream: S, reader: Reader, messages: usize, mut look: impl Look) -> Run {
    let mut socket = WebSocket::from_raw_socket(stream, role(reader), Some(config()));
    Box::new(move || {
        for _ in 0..messages {
            if let Message::Text(text) = socket.read().expect("the wire keeps the rules") {
                look.text(text.as_str());
            }
        }
        look.found()
    })
}

pub fn encoder(writer: Reader, payload: Payload, text: &str, batch: usize) -> Run {
    let text = Utf8Bytes::from(text);
    let message = move |text: &Utf8Bytes| match payload {
        Payload::Copied => Message::text(text.as_str()),
        Payload::Shared => Message::Text(text.clone()),
    };
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = WebSocket::from_raw_socket(memory, role(writer), Some(config()));
    Box::new(move || {
        for _ in 0..batch {
            socket.write(message(black_box(&text))).expect("the memory takes it");
        }
        socket.flush().expect("the memory takes it");
        sink.taken()
    })
}
