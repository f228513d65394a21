//! `yawc` with `simd`, UTF-8 checks enabled, and the buffers of the benchmarks in its README: 128 KiB to read, and a
//! boundary of 64 KiB to write. (The example there has a boundary of 128 KiB.)

use std::hint::black_box;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite};
use yawc::{CompressionLevel, Frame, OpCode, Options, Role, WebSocket};

use super::{LIMIT, Messages, Payload, decode, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{BATCH, Look, Run};
use crate::terms::Terms;

/// The size of its reads.
pub const READ: usize = 128 << 10;

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

pub fn options() -> Options {
    let options = Options::default().with_limits(LIMIT, 2 * LIMIT).without_compression().with_utf8();
    options.with_read_buffer_capacity(READ).with_backpressure_boundary(64 << 10)
}

pub fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S, reader: Reader) -> WebSocket<S> {
    WebSocket::from_stream(stream, role(reader), options()).expect("no extension is asked for")
}

/// One side of a connection with compression, which reads `read` bytes at once. The terms apply to the server's
/// direction.
fn compressing(memory: Memory, reader: Reader, terms: Terms, read: usize) -> WebSocket<Memory> {
    let takeover = if terms.takeover { "" } else { "; server_no_context_takeover" };
    let agreed = format!("permessage-deflate; server_max_window_bits={}{takeover}", terms.window_bits);
    let options = options().with_compression_level(CompressionLevel::new(terms.level.into()));
    let options = options.with_read_buffer_capacity(read);
    WebSocket::from_stream_with_extensions(memory, role(reader), Some(&agreed), options).expect("compression is on")
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    decode(socket(Memory::new(wire), reader), wire.messages, look)
}

pub fn inflating_decoder(wire: &Wire, terms: Terms, read: usize, look: impl Look) -> Run {
    decode(compressing(Memory::new(wire), Reader::Client, terms, read), wire.messages, look)
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for WebSocket<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            let frame = self.next_frame().await.expect("the wire keeps the rules");
            if frame.opcode() == OpCode::Text {
                look.bytes(frame.payload());
            }
        }
    }
}

pub fn encoder(writer: Reader, payload: Payload, text: &str, batch: usize) -> Run {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    Box::new(move || {
        for _ in 0..batch {
            ready(socket.feed(Frame::text(payload.bytes(black_box(&text))))).expect("the memory takes it");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}

pub fn compressing_encoder(texts: &[String], terms: Terms) -> Run {
    let texts: Vec<_> = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = compressing(memory, Reader::Server, terms, READ);
    Box::new(move || {
        for batch in texts.chunks(BATCH) {
            for text in batch {
                ready(socket.feed(Frame::text(black_box(text).clone()))).expect("the memory takes it");
            }
            ready(socket.flush()).expect("the memory takes it");
        }
        sink.taken()
    })
}
