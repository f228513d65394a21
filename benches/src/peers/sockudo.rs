//! `sockudo-ws`: its stream, and the protocol below it over a buffer of the caller.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::protocol::Protocol;
use sockudo_ws::{CompressedProtocol, Config, DeflateConfig, DeflateWindowBits, Message, Role, WebSocketStream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{LIMIT, Messages, Payload, ready};
use crate::corpus::{Reader, Wire};
use crate::memory::{Memory, READ, Sink, Source};
use crate::ours::{BATCH, Look, Run};
use crate::terms::Terms;

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

/// The configuration without timers.
pub fn config() -> Config {
    let config = Config::builder().max_message_size(LIMIT).max_frame_size(LIMIT);
    config.auto_ping(false).idle_timeout(0).build()
}

pub fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S, reader: Reader) -> WebSocketStream<S> {
    WebSocketStream::from_raw(stream, role(reader), config())
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for WebSocketStream<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            if let Some(Ok(Message::Text(text))) = self.next().await {
                look.bytes(&text);
            }
        }
    }
}

pub fn stream_decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    super::decode(socket(Memory::new(wire), reader), wire.messages, look)
}

pub fn protocol_decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    let mut protocol = Protocol::new(role(reader), LIMIT, LIMIT);
    decode(wire, READ, look, move |buffer, messages| protocol.process_into(buffer, messages))
}

/// Decodes with a protocol whose `process` takes messages out of the buffer. Each read adds up to `read` bytes.
fn decode(
    wire: &Wire,
    read: usize,
    mut look: impl Look,
    mut process: impl FnMut(&mut BytesMut, &mut Vec<Message>) -> sockudo_ws::Result<()> + 'static,
) -> Run {
    let mut source = Source::new(wire);
    let mut buffer = BytesMut::with_capacity(read);
    let mut messages = Vec::new();
    Box::new(move || {
        let mut seen = 0;
        while seen < source.messages() {
            buffer.extend_from_slice(source.take(read));
            process(&mut buffer, &mut messages).expect("the wire keeps the rules");
            for message in messages.drain(..) {
                if let Message::Text(text) = message {
                    look.bytes(&text);
                    seen += 1;
                }
            }
        }
        look.found()
    })
}

pub fn stream_encoder(writer: Reader, payload: Payload, text: &str, batch: usize) -> Run {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    Box::new(move || {
        for _ in 0..batch {
            ready(socket.feed(Message::Text(payload.bytes(black_box(&text))))).expect("the memory takes it");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}

pub fn protocol_encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let mut protocol = Protocol::new(role(writer), LIMIT, LIMIT);
    let mut buffer = BytesMut::new();
    let sink = Sink::default();
    Box::new(move || {
        for _ in 0..batch {
            let message = Message::Text(black_box(&text).clone());
            protocol.encode_message(&message, &mut buffer).expect("it is open");
        }
        sink.write(&buffer);
        buffer.clear();
        sink.taken()
    })
}

/// The settings of both sides of a connection. The terms apply to the server's direction.
fn deflate(terms: Terms) -> DeflateConfig {
    DeflateConfig {
        server_max_window_bits: DeflateWindowBits::try_from(terms.window_bits).expect("a window it knows"),
        server_no_context_takeover: !terms.takeover,
        compression_level: terms.level.into(),
        ..DeflateConfig::default()
    }
}

pub fn inflating_decoder(wire: &Wire, terms: Terms, read: usize, look: impl Look) -> Run {
    let mut protocol = CompressedProtocol::client(LIMIT, LIMIT, deflate(terms));
    decode(wire, read, look, move |buffer, messages| protocol.process_into(buffer, messages))
}

pub fn compressing_encoder(texts: &[String], terms: Terms) -> Run {
    let texts: Vec<_> = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    let mut protocol = CompressedProtocol::server(LIMIT, LIMIT, deflate(terms));
    let mut buffer = BytesMut::new();
    let sink = Sink::default();
    Box::new(move || {
        for batch in texts.chunks(BATCH) {
            for text in batch {
                let message = Message::Text(black_box(text).clone());
                protocol.encode_message(&message, &mut buffer).expect("it is open");
            }
            sink.write(&buffer);
            buffer.clear();
        }
        sink.taken()
    })
}
