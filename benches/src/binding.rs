//! multiwa-ws-tokio as a contestant, over the memory transport. The caller has entered the context of a runtime.

use std::hint::black_box;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::websocket::{Event, Negotiated, SharedMessage};
use multiwa_ws_tokio::WebSocket;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::corpus::{Reader, Wire};
use crate::memory::Memory;
use crate::ours::{Look, Run, config, role};
use crate::peers::{Messages, decode, ready};

fn socket(memory: Memory, reader: Reader) -> WebSocket<Memory> {
    // Without keep-alive pings, like all other contestants.
    let config = config().keep_alive(KeepAlive::OFF);
    let socket = WebSocket::from_upgraded(memory, role(reader), &config, &Negotiated::default(), &[]);
    socket.expect("the system has entropy")
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Messages for WebSocket<S> {
    async fn read(&mut self, messages: usize, look: &mut impl Look) {
        for _ in 0..messages {
            let received = self.next().await.expect("the wire keeps the rules").expect("it has no end");
            if let Event::Text(text) = received.event {
                look.text(text);
            }
        }
    }
}

pub fn decoder(wire: &Wire, reader: Reader, look: impl Look) -> Run {
    decode(socket(Memory::new(wire), reader), wire.messages, look)
}

/// Queues `text` in batches, and flushes each.
pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    let text = text.to_owned();
    Box::new(move || {
        for _ in 0..batch {
            socket.sender().send_text(black_box(&text)).expect("there is room");
        }
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}

/// Sends and flushes `text`.
pub fn sender(writer: Reader, text: &str) -> Run {
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, writer);
    let text = text.to_owned();
    Box::new(move || {
        ready(socket.send_text(black_box(&text))).expect("the memory takes it");
        sink.taken()
    })
}

/// Sends and flushes `text` by reference, as a server: a client masks its own copy of every message.
pub fn shared_sender(text: &str) -> Run {
    let memory = Memory::default();
    let sink = memory.sink.clone();
    let mut socket = socket(memory, Reader::Server);
    let message = SharedMessage::text(text);
    Box::new(move || {
        socket.sender().send_shared(black_box(&message)).expect("there is room");
        ready(socket.flush()).expect("the memory takes it");
        sink.taken()
    })
}
