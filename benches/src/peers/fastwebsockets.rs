//! `fastwebsockets` with its fragment collector. It writes each frame at once.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{LIMIT, Messages, decode, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::{Collector, Memory, Sink};
use crate::ours::{Look, Run};

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

pub fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S, reader: Reader) -> FragmentCollector<S> {
    let mut socket = WebSocket::after_handshake(stream, role(reader));
    socket.set_max_message_size(LIMIT);
    FragmentCollector::new(socket)
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for FragmentCollector<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            let frame = self.read_frame().await.expect("the wire keeps the rules");
            if frame.opcode == OpCode::Text {
                look.bytes(&frame.payload);
            }
        }
    }
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    decode(socket(Memory::new(wire), reader), wire.messages, look)
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
