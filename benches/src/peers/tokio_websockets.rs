//! `tokio-websockets`, which selects its SIMD at run time. It does not split frames by itself, and writes a batch of up
//! to 64 KiB at once.

use std::hint::black_box;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, Config, Limits, Message, ServerBuilder, WebSocketStream};

use super::ready;
use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{Look, Run};

pub fn config() -> Config {
    Config::default().frame_size(usize::MAX).flush_threshold(64 << 10)
}

fn socket(memory: Memory, reader: Reader) -> WebSocketStream<Memory> {
    match reader {
        Reader::Server => ServerBuilder::new().config(config()).limits(Limits::unlimited()).serve(memory),
        Reader::Client => ClientBuilder::new().config(config()).limits(Limits::unlimited()).take_over(memory),
    }
}

pub fn decoder(wire: &Wire, reader: Reader, mut look: impl Look) -> Run {
    let messages = wire.messages;
    let mut socket = socket(Memory::new(wire), reader);
    Box::new(move || {
        for _ in 0..messages {
            let message = ready(socket.next()).expect("the wire has no end").expect("it keeps the rules");
            if let Some(text) = message.as_text() {
                look.text(text);
            }
        }
        look.found()
    })
}

pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    Box::new(move || {
        for _ in 0..batch {
            ready(socket.feed(Message::text(black_box(&text).clone()))).expect("the memory takes it");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}
