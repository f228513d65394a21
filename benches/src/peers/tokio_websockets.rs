//! `tokio-websockets`, which selects its SIMD at run time. It does not split frames by itself, and writes a batch of up
//! to 64 KiB at once.

use std::hint::black_box;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_websockets::{ClientBuilder, Config, Limits, Message, ServerBuilder, WebSocketStream};

use super::{Messages, Payload, decode, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{Look, Run};

pub fn config() -> Config {
    Config::default().frame_size(usize::MAX).flush_threshold(64 << 10)
}

pub fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S, reader: Reader) -> WebSocketStream<S> {
    match reader {
        Reader::Server => ServerBuilder::new().config(config()).limits(Limits::unlimited()).serve(stream),
        Reader::Client => ClientBuilder::new().config(config()).limits(Limits::unlimited()).take_over(stream),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for WebSocketStream<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            let message = self.next().await.expect("the wire has no end").expect("it keeps the rules");
            if let Some(text) = message.as_text() {
                look.text(text);
            }
        }
    }
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    decode(socket(Memory::new(wire), reader), wire.messages, look)
}

pub fn encoder(writer: Reader, payload: Payload, text: &str, batch: usize) -> Run {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    Box::new(move || {
        for _ in 0..batch {
            ready(socket.feed(Message::text(payload.bytes(black_box(&text))))).expect("the memory takes it");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}
