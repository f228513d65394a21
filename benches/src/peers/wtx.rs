//! `wtx` with `optimization` (SIMD checks of UTF-8). It writes each frame at once.

use std::hint::black_box;

use wtx::collection::Vector;
use wtx::rng::{Xorshift64, simple_seed};
use wtx::stream::{Stream, StreamReader, StreamWriter};
use wtx::web_socket::compression::{Flate2, NegotiatedCompression, NegotiatedFlate2, WindowBits};
use wtx::web_socket::{
    Compression, CompressionLevel, DeflateConfig, Frame, OpCode, WebSocket, WebSocketBuffer, WebSocketOwned,
    WebSocketPayloadOrigin,
};

use super::{LIMIT, Messages, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::{Collector, Memory, Sink};
use crate::ours::{BATCH, Look, Run};
use crate::terms::Terms;

/// Encoders only write, so there is nothing to read.
impl StreamReader for Collector {
    async fn read(&mut self, _: &mut [u8]) -> wtx::Result<usize> {
        Ok(0)
    }
}

impl StreamWriter for Collector {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.frame([bytes].into_iter());
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        self.frame(slices.iter());
        Ok(())
    }
}

impl StreamReader for Memory {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.source.read(bytes))
    }
}

impl StreamWriter for Memory {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.sink.write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        slices.iter().for_each(|slice| self.sink.write(slice));
        Ok(())
    }
}

fn socket<N: NegotiatedCompression, S: Stream, const IS_CLIENT: bool>(
    compression: N,
    stream: S,
) -> WebSocketOwned<N, Xorshift64, S, IS_CLIENT> {
    let buffer = WebSocketBuffer::with_capacity(128 << 10, 0, 0).expect("there is memory");
    let mut socket = WebSocket::new(compression, false, Xorshift64::from(simple_seed()), stream, buffer);
    socket.set_max_payload_len(LIMIT);
    socket
}

/// The settings of both sides of a connection. It always resets its window after every message.
fn negotiated<const IS_CLIENT: bool>(terms: Terms) -> Option<NegotiatedFlate2> {
    assert!(!terms.takeover, "it keeps no context");
    let window_bits = WindowBits::try_from(terms.window_bits).expect("a window it knows");
    let compression = Flate2::from(DeflateConfig {
        client_max_window_bits: window_bits,
        compression_level: CompressionLevel::try_from(terms.level).expect("a level it knows"),
        server_max_window_bits: window_bits,
    });
    let agreed = [&b"sec-websocket-extensions"[..], b"permessage-deflate"];
    Compression::<IS_CLIENT>::negotiate(compression, [agreed].into_iter()).expect("it is what it offers")
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    match reader {
        Reader::Server => decode::<_, false>((), wire, look),
        Reader::Client => decode::<_, true>((), wire, look),
    }
}

pub fn inflating_decoder(wire: &Wire, terms: Terms, look: impl Look) -> Run {
    decode::<_, true>(negotiated::<true>(terms), wire, look)
}

fn decode<N: NegotiatedCompression + 'static, const IS_CLIENT: bool>(
    compression: N,
    wire: &Wire,
    look: impl Look,
) -> Run {
    super::decode(Socket::<_, _, IS_CLIENT>::new(compression, Memory::new(wire)), wire.messages, look)
}

/// A connection with the buffer of its messages.
pub struct Socket<N, S, const IS_CLIENT: bool> {
    socket: WebSocketOwned<N, Xorshift64, S, IS_CLIENT>,
    buffer: Vector<u8>,
}

impl<N: NegotiatedCompression, S: Stream, const IS_CLIENT: bool> Socket<N, S, IS_CLIENT> {
    fn new(compression: N, stream: S) -> Self {
        Self { socket: socket(compression, stream), buffer: Vector::new() }
    }
}

/// A client without compression.
pub fn client<S: Stream>(stream: S) -> Socket<(), S, true> {
    Socket::new((), stream)
}

impl<N: NegotiatedCompression + 'static, S: Stream + 'static, const IS_CLIENT: bool> Messages
    for Socket<N, S, IS_CLIENT>
{
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            let frame = self.socket.read_frame(&mut self.buffer, WebSocketPayloadOrigin::Adaptive).await;
            if let Some(text) = frame.expect("the wire keeps the rules").text_payload() {
                look.text(text);
            }
        }
    }
}

pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    match writer {
        Reader::Server => encode::<false>(text, batch),
        Reader::Client => encode::<true>(text, batch),
    }
}

fn encode<const IS_CLIENT: bool>(text: &str, batch: usize) -> Run {
    let text = text.to_owned();
    let mut scratch = text.clone().into_bytes();
    let sink = Sink::default();
    let mut socket = socket::<_, _, IS_CLIENT>((), Collector::new(batch, &sink));
    Box::new(move || {
        for _ in 0..batch {
            // It may mask the payload in place, so the caller's text must be copied first.
            scratch.copy_from_slice(black_box(text.as_bytes()));
            let mut frame = Frame::new_fin(OpCode::Text, &mut scratch[..]);
            ready(socket.write_frame(&mut frame)).expect("the memory takes it");
        }
        sink.taken()
    })
}

pub fn compressing_encoder(texts: &[String], terms: Terms) -> Run {
    let mut texts: Vec<_> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    let sink = Sink::default();
    let mut socket = socket::<_, _, false>(negotiated::<false>(terms), Collector::new(BATCH, &sink));
    Box::new(move || {
        for text in &mut texts {
            let mut frame = Frame::new_fin(OpCode::Text, black_box(&mut text[..]));
            ready(socket.write_frame(&mut frame)).expect("the memory takes it");
        }
        sink.taken()
    })
}
