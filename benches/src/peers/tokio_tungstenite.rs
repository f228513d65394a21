//! `tokio-tungstenite`, with its default buffers of 128 KiB and with 8 KiB.

use std::hint::black_box;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes};

use super::tungstenite::{config, role};
use super::{Messages, Payload, decode, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{Look, Run};

/// Sizes of its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    Default,
    Small,
}

impl Buffers {
    pub fn config(self) -> WebSocketConfig {
        match self {
            Self::Default => config(),
            Self::Small => config().read_buffer_size(8 << 10).write_buffer_size(8 << 10),
        }
    }
}

pub fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S, reader: Reader, buffers: Buffers) -> WebSocketStream<S> {
    ready(WebSocketStream::from_raw_socket(stream, role(reader), Some(buffers.config())))
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for WebSocketStream<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            if let Some(Ok(Message::Text(text))) = self.next().await {
                look.text(text.as_str());
            }
        }
    }
}

pub fn decoder(wire: &Wire, reader: Reader, buffers: Buffers, look: impl Look) -> Run {
    decode(socket(Memory::new(wire), reader, buffers), wire.messages, look)
}

pub fn encoder(writer: Reader, buffers: Buffers, payload: Payload, text: &str, batch: usize) -> Run {
    let text = Utf8Bytes::from(text);
    let message = move |text: &Utf8Bytes| match payload {
        Payload::Copied => Message::text(text.as_str()),
        Payload::Shared => Message::Text(text.clone()),
    };
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer, buffers);
    Box::new(move || {
        for _ in 0..batch {
            ready(socket.feed(message(black_box(&text)))).expect("the memory takes it");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}
