//! The clients: one thread that reads all connections.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::event::{AT, DIGITS, NUMBER, monotonic};

/// How long the clients wait for an event.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Receivers {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    ready: Vec<epoll::Event>,
    counts: Counts,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// The beginning of an incomplete frame.
    rest: Vec<u8>,
    /// The number of the next event.
    next: u64,
}

#[derive(Debug)]
struct Counts {
    deliveries: usize,
    latency: Histogram<u64>,
}

fn histogram() -> Histogram<u64> {
    // Up to a minute, in nanoseconds.
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are valid")
}

impl Receivers {
    pub(super) fn connect(
        port: u16,
        count: usize,
        subscribe: fn(&mut BufReader<TcpStream>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut stream = BufReader::new(stream);
            subscribe(&mut stream)?;
            let stream = stream.into_inner();
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            connections.push(Connection { stream, rest: Vec::new(), next: 0 });
        }
        let counts = Counts { deliveries: 0, latency: histogram() };
        Ok(Self { epoll, connections, buffer: vec![0; 64 << 10], ready: Vec::with_capacity(1024), counts })
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn deliveries(&self) -> usize {
        self.counts.deliveries
    }

    /// The number of events that all connections would have if each had as many as the others.
    pub(super) fn events(&self) -> usize {
        self.counts.deliveries / self.connections.len()
    }

    pub(super) fn reset(&mut self) {
        self.counts = Counts { deliveries: 0, latency: histogram() };
    }

    pub(super) fn take_latency(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.counts.latency, histogram())
    }

    /// Waits for this time, and reads what arrives. Returns whether anything did.
    pub(super) fn poll(&mut self, time: Duration) -> io::Result<bool> {
        let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), Some(&time))?;
        let any = !self.ready.is_empty();
        for event in self.ready.drain(..) {
            let connection = &mut self.connections[event.data.u64() as usize];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            connection.receive(&self.buffer[..read], &mut self.counts)?;
        }
        Ok(any)
    }
}

impl Connection {
    fn receive(&mut self, bytes: &[u8], counts: &mut Counts) -> io::Result<()> {
        let joined;
        let mut bytes = bytes;
        if !self.rest.is_empty() {
            joined = [&self.rest[..], bytes].concat();
            bytes = &joined;
        }
        while let Some((opcode, payload, after)) = frame(bytes) {
            match opcode {
                0x1 => self.event(payload, counts)?,
                // The server's keep-alive.
                0x9 => {
                    let head = [0x8A, 0x80 | payload.len() as u8, 0, 0, 0, 0];
                    self.stream.write_all(&[&head, payload].concat())?;
                }
                opcode => return Err(io::Error::other(format!("a frame with the opcode {opcode}"))),
            }
            bytes = after;
        }
        self.rest = bytes.to_vec();
        Ok(())
    }

    fn event(&mut self, text: &[u8], counts: &mut Counts) -> io::Result<()> {
        let start = text.windows(NUMBER.len()).position(|window| window == NUMBER.as_bytes());
        let start = start.ok_or(ErrorKind::InvalidData)? + NUMBER.len();
        let at = start + DIGITS + AT.len();
        let (number, at) = (digits(text, start)?, digits(text, at)?);
        if number != self.next {
            return Err(io::Error::other(format!("event {number} arrived where {} is the next", self.next)));
        }
        self.next += 1;
        counts.deliveries += 1;
        counts.latency.saturating_record(monotonic().saturating_sub(at));
        Ok(())
    }
}

fn digits(text: &[u8], at: usize) -> io::Result<u64> {
    let digits = text.get(at..at + DIGITS).and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// The first frame: its opcode, its payload, and the bytes after it. `None` if it is incomplete.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, head) = match *bytes.get(1)? {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        len => (usize::from(len), 2),
    };
    Some((bytes[0] & 0xF, bytes.get(head..head + len)?, &bytes[head + len..]))
}
