//! `fastwebsockets` with its fragment collector. It writes each frame at once.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};

use super::{LIMIT, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::{Collector, Memory, Sink};
use crate::ours::{Look, Run};

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

pub fn decoder(wire: &Wire, reader: Reader, mut look: impl Look) -> Run {
    let messages = wire.messages;
    let mut socket = WebSocket::after_handshake(Memory::new(wire), role(reader));
    socket.set_max_message_size(LIMIT);
    let mut socket = FragmentCollector::new(socket);
    Box::new(move || {
        for _ in 0..messages {
            let frame = ready(socket.read_frame()).expect("the wire keeps the rules");
            if frame.opcode == OpCode::Text {
                look.bytes(&frame.payload);
            }
        }
        look.found()
    })
}

pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let text = text.to_owned();
    let sink = Sink::default();
    let mut socket = WebSocket::after_handshake(Collector::new(batch, &sink), role(writer));
    Box::new(move || {
        for _ in 0..batch {
            let frame = Frame::text(Payload::Borrowed(black_box(text.as_bytes())));
            ready(socket.write_frame(frame)).expect("the memory takes it");
        }
        sink.taken()
    })
}
