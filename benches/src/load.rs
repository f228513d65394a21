//! The client of every socket benchmark: many connections, one thread, bare `epoll`, and minimal work.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// How long a client waits for a server before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Puts the name of a server before the message of an error.
pub fn of(server: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{server}: {error}"))
}

/// Replaces the error of a read that timed out with a clear message.
pub fn no_answer(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => io::Error::new(ErrorKind::TimedOut, "no answer"),
        _ => error,
    }
}

/// Connections to one server that send requests or wait for events.
pub struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The number of bytes of the request that were written.
    sent: usize,
    /// The number of bytes of the answer that are missing.
    missing: usize,
    /// The number of requests after the current one.
    rounds: usize,
    /// The received bytes, while they are recorded.
    received: Option<Vec<u8>>,
}

impl Load {
    /// Opens `count` connections. Each is in blocking mode while `prepare` runs.
    pub fn open(
        address: SocketAddr,
        count: usize,
        mut prepare: impl FnMut(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            prepare(&mut stream).map_err(no_answer)?;
            stream.set_nonblocking(true)?;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), flags)?;
            connections.push(Connection { stream, sent: 0, missing: 0, rounds: 0, received: None });
        }
        Ok(Self { epoll, connections, buffer: vec![0; 256 << 10] })
    }

    pub fn len(&self) -> usize {
        self.connections.len()
    }

    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Sends `request` on every connection `rounds` times. Each round waits for as many bytes as `answer` has.
    pub fn ask(&mut self, request: &[u8], answer: usize, rounds: usize) -> io::Result<()> {
        for connection in &mut self.connections {
            (connection.sent, connection.missing, connection.rounds) = (0, answer, rounds - 1);
        }
        self.drive(request, answer)
    }

    /// Like [`ask`](Self::ask), once. Returns whether each answer equals `answer`.
    pub fn check(&mut self, request: &[u8], answer: &[u8]) -> io::Result<bool> {
        self.record();
        self.ask(request, answer.len(), 1)?;
        Ok(self.recorded(answer))
    }

    /// Waits until `bytes` bytes have arrived on each connection.
    ///
    /// It polls with pauses. If a thread waited for the first byte, the server would have to wake it, which costs the
    /// server time. A faster thread would be woken more often.
    pub fn receive(&mut self, bytes: usize) -> io::Result<()> {
        let Self { connections, buffer, .. } = self;
        for connection in connections.iter_mut() {
            connection.missing = bytes;
        }
        let start = Instant::now();
        loop {
            let mut busy = false;
            for connection in connections.iter_mut().filter(|connection| connection.missing > 0) {
                busy |= !connection.progress(&[], bytes, buffer)?;
            }
            if !busy {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(no_answer(ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Like [`receive`](Self::receive). Returns whether the same `bytes` arrived on all connections.
    pub fn check_received(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.record();
        self.receive(bytes.len())?;
        Ok(self.recorded(bytes))
    }

    fn record(&mut self) {
        for connection in &mut self.connections {
            connection.received = Some(Vec::new());
        }
    }

    fn recorded(&mut self, bytes: &[u8]) -> bool {
        self.connections.iter_mut().all(|connection| connection.received.take().as_deref() == Some(bytes))
    }

    fn drive(&mut self, request: &[u8], answer: usize) -> io::Result<()> {
        let Self { epoll, connections, buffer } = self;
        let mut busy = 0;
        for connection in connections.iter_mut() {
            busy += usize::from(!connection.progress(request, answer, buffer)?);
        }
        let mut events = Vec::with_capacity(1024);
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        while busy > 0 {
            epoll::wait(&*epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience))?;
            if events.is_empty() {
                return Err(no_answer(ErrorKind::TimedOut.into()));
            }
            for event in events.drain(..) {
                let connection = &mut connections[event.data.u64() as usize];
                if connection.missing > 0 {
                    busy -= usize::from(connection.progress(request, answer, buffer)?);
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Writes and reads as much as it can. Returns whether it is done.
    fn progress(&mut self, request: &[u8], answer: usize, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            while self.sent < request.len() {
                match self.stream.write(&request[self.sent..]) {
                    Ok(written) => self.sent += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            let room = buffer.len().min(self.missing);
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.missing -= read;
                    if let Some(received) = &mut self.received {
                        received.extend_from_slice(&buffer[..read]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.missing == 0 {
                if self.rounds == 0 {
                    return Ok(true);
                }
                (self.sent, self.missing, self.rounds) = (0, answer, self.rounds - 1);
            }
        }
    }
}
