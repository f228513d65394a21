//! The cost of sockets: a minimal echo of WebSocket messages, on bare `epoll`, tokio and async-std.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use async_std::io::{ReadExt, WriteExt};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The size of a read.
const READ: usize = 64 << 10;

/// Turns masked frames into unmasked ones with the same payload, and checks only the UTF-8.
#[derive(Debug, Default)]
struct Answers {
    /// The beginning of an incomplete frame.
    rest: Vec<u8>,
}

impl Answers {
    fn take(&mut self, input: &mut [u8], out: &mut Vec<u8>) {
        if self.rest.is_empty() {
            let taken = answer(input, out);
            self.rest.extend_from_slice(&input[taken..]);
        } else {
            self.rest.extend_from_slice(input);
            let taken = answer(&mut self.rest, out);
            self.rest.drain(..taken);
        }
    }
}

/// Answers the complete frames at the front of `input` and returns their length.
fn answer(input: &mut [u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some([_, short, ..]) = input.get(at..at + 6) {
        let (len, header) = match short & 0x7F {
            126 => (usize::from(u16::from_be_bytes([input[at + 2], input[at + 3]])), 4),
            127 => match input.get(at + 2..at + 10) {
                Some(field) => (u64::from_be_bytes(field.try_into().expect("eight bytes")) as usize, 10),
                None => break,
            },
            len => (usize::from(len), 2),
        };
        let Some(frame) = input.get_mut(at..at + header + 4 + len) else { break };
        let (head, payload) = frame.split_at_mut(header + 4);
        let key: [u8; 4] = head[header..].try_into().expect("four bytes");
        multiwa_ws_core::frame::apply_mask(payload, key, 0);
        simdutf8::basic::from_utf8(payload).expect("it is text");
        out.push(head[0]);
        out.push(head[1] & 0x7F);
        out.extend_from_slice(&head[2..header]);
        out.extend_from_slice(payload);
        at += header + 4 + len;
    }
    at
}

pub(super) fn epoll(listener: TcpListener) -> io::Result<()> {
    const LISTENER: u64 = u64::MAX;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = BTreeMap::new();
    let mut next = 0;
    let mut buffer = vec![0; READ];
    let mut events = Vec::with_capacity(1024);
    loop {
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let id = event.data.u64();
            if id == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                    epoll::add(&epoll, &stream, EventData::new_u64(next), flags)?;
                    connections.insert(next, Raw { stream, answers: Answers::default(), out: Vec::new(), written: 0 });
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&id)
                && !connection.progress(&mut buffer)
            {
                connections.remove(&id);
            }
        }
    }
}

struct Raw {
    stream: TcpStream,
    answers: Answers,
    out: Vec<u8>,
    written: usize,
}

impl Raw {
    /// Reads and answers until a call would block. Returns whether the connection continues.
    fn progress(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            while self.written < self.out.len() {
                match self.stream.write(&self.out[self.written..]) {
                    Ok(written) => self.written += written,
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
            self.out.clear();
            self.written = 0;
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.answers.take(&mut buffer[..read], &mut self.out);
                    // After a short read there is no more input for now, and a new edge will come.
                    if read < buffer.len() && self.out.is_empty() {
                        return true;
                    }
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

pub(super) fn tokio(listener: TcpListener) -> io::Result<()> {
    super::thread::serve(listener, |mut stream| async move {
        let mut answers = Answers::default();
        let mut buffer = vec![0; READ];
        let mut out = Vec::new();
        while let Ok(read @ 1..) = AsyncReadExt::read(&mut stream, &mut buffer).await {
            answers.take(&mut buffer[..read], &mut out);
            if AsyncWriteExt::write_all(&mut stream, &out).await.is_err() {
                return;
            }
            out.clear();
        }
    })
}

/// One buffer for all connections, because no connection holds bytes between two messages.
pub(super) fn tokio_shared(listener: TcpListener) -> io::Result<()> {
    thread_local! {
        static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; READ], Vec::new()));
    }
    super::thread::serve(listener, |stream| async move {
        let mut answers = Answers::default();
        while stream.readable().await.is_ok() {
            let progress = BUFFERS.with_borrow_mut(|(buffer, out)| {
                let read = stream.try_read(buffer)?;
                answers.take(&mut buffer[..read], out);
                // Such a short answer fits into the buffer of the socket.
                let written = if out.is_empty() { 0 } else { stream.try_write(out)? };
                let all = read > 0 && written == out.len();
                out.clear();
                Ok(all)
            });
            match progress {
                Ok(true) => {}
                Err(error) if io::Error::kind(&error) == ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    })
}

pub(super) fn async_std(listener: TcpListener) -> io::Result<()> {
    async_std::task::block_on(async {
        let listener = async_std::net::TcpListener::from(listener);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            async_std::task::spawn(async move {
                let mut answers = Answers::default();
                let mut buffer = vec![0; READ];
                let mut out = Vec::new();
                while let Ok(read @ 1..) = ReadExt::read(&mut stream, &mut buffer).await {
                    answers.take(&mut buffer[..read], &mut out);
                    if WriteExt::write_all(&mut stream, &out).await.is_err() {
                        return;
                    }
                    out.clear();
                }
            });
        }
    })
}
