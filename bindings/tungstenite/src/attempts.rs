//! Sockets that are being opened at the same time, and the wait for them.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use multiwa_ws_core::Instant;
use multiwa_ws_driver::dial::Address;
use multiwa_ws_driver::{Clock, limit_unsent};

use crate::clock::Std;
use crate::stream::Stream;

/// The sockets of one dial.
pub(crate) struct Attempts {
    poll: Poll,
    events: Events,
    /// Attempts that are not yet known to be connected.
    running: Vec<TcpStream>,
    /// The errors of attempts that have failed, as long as they are not returned.
    failed: Vec<io::Error>,
}

impl Attempts {
    /// # Errors
    /// Errors of the operating system.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(8), running: Vec::new(), failed: Vec::new() })
    }

    /// Starts to connect to `address`, next to the other attempts. Returns a socket that is connected at once.
    ///
    /// # Errors
    /// It failed at once.
    pub(crate) fn start(&mut self, address: Address) -> io::Result<Option<Box<dyn Stream>>> {
        match address {
            Address::Tcp(address) => {
                let mut stream = TcpStream::connect(address)?;
                self.register(&mut stream)?;
                self.running.push(stream);
                Ok(None)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                // If the queue of the server is full, this fails at once, and the client tries again.
                let mut stream = UnixStream::connect(path)?;
                self.register(&mut stream)?;
                Ok(Some(Box::new(stream)))
            }
        }
    }

    fn register(&self, stream: &mut impl Stream) -> io::Result<()> {
        // One token for all: each wake-up checks every attempt, since there are only a few.
        self.poll.registry().register(stream, Token(0), Interest::READABLE | Interest::WRITABLE)
    }

    /// Waits for the result of an attempt, at most until this time. A success drops all other attempts.
    pub(crate) fn wait(&mut self, until: Instant) -> Option<io::Result<TcpStream>> {
        if let Some(ended) = self.take_ended() {
            return Some(ended);
        }
        match self.sleep(until) {
            Err(error) => Some(Err(error)),
            Ok(()) => self.take_ended(),
        }
    }

    /// Looks at all attempts. A success is returned before a failure, because after a failure another address is tried.
    fn take_ended(&mut self) -> Option<io::Result<TcpStream>> {
        let mut index = 0;
        while let Some(stream) = self.running.get(index) {
            let ended = match is_connected(stream) {
                Ok(false) => {
                    index += 1;
                    continue;
                }
                ended => ended,
            };
            let stream = self.running.swap_remove(index);
            // Messages are small and must not be delayed.
            match ended.and_then(|_| stream.set_nodelay(true)) {
                Ok(()) => {
                    self.running.clear();
                    self.failed.clear();
                    limit_unsent(&stream);
                    return Some(Ok(stream));
                }
                // The socket returns its error once.
                Err(error) => self.failed.push(error),
            }
        }
        self.failed.pop().map(Err)
    }

    /// Sleeps until a socket is ready, or until this time.
    fn sleep(&mut self, until: Instant) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(until.saturating_duration_since(Std::now()))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads and writes a connected socket, and sleeps where it would block.
    pub(crate) fn waiting<'a>(&'a mut self, stream: &'a mut Box<dyn Stream>, deadline: Instant) -> Waiting<'a> {
        Waiting { attempts: self, stream, deadline }
    }

    /// Hands over a connected socket, to be polled elsewhere.
    pub(crate) fn release(&self, stream: &mut Box<dyn Stream>) {
        // If it fails, so does registering it elsewhere.
        let _ = self.poll.registry().deregister(stream);
    }
}

/// A socket that blocks at most until a deadline, even if only a few bytes arrive at a time.
pub(crate) struct Waiting<'a> {
    attempts: &'a mut Attempts,
    stream: &'a mut Box<dyn Stream>,
    deadline: Instant,
}

impl Waiting<'_> {
    fn call<T>(&mut self, mut call: impl FnMut(&mut dyn Stream) -> io::Result<T>) -> io::Result<T> {
        loop {
            if self.deadline <= Std::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match call(&mut **self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.attempts.sleep(self.deadline)?,
                result => return result,
            }
        }
    }
}

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(|stream| stream.read(buffer))
    }
}

impl Write for Waiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(|stream| stream.flush())
    }
}

/// Follows the documentation of [`TcpStream::connect`], where an attempt that fails leaves an error in its socket. While it
/// has left none and has no peer, whatever the system calls that (`ENOTCONN`, `EINPROGRESS`), it is not yet connected.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream.peer_addr().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Std::now() + Duration::from_secs(20)
    }

    fn wait(attempts: &mut Attempts) -> io::Result<TcpStream> {
        let until = soon();
        loop {
            if let Some(result) = attempts.wait(until) {
                return result;
            }
            assert!(Std::now() < until, "an attempt ends");
        }
    }

    #[test]
    fn an_address_that_refuses_fails_its_attempt_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut attempts = Attempts::new().unwrap();
        let failed = match attempts.start(Address::Tcp(refusing)) {
            Ok(_) => wait(&mut attempts).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(failed.kind(), io::ErrorKind::ConnectionRefused);
        attempts.start(Address::Tcp(address)).unwrap();
        assert_eq!(wait(&mut attempts).unwrap().peer_addr().unwrap(), address);
    }

    #[test]
    fn a_connected_socket_is_returned_before_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut attempts = Attempts::new().unwrap();
        // On some systems this fails at once.
        let _ = attempts.start(Address::Tcp(refusing));
        attempts.start(Address::Tcp(address)).unwrap();
        listener.accept().unwrap();
        assert_eq!(wait(&mut attempts).unwrap().peer_addr().unwrap(), address);
    }

    #[test]
    fn each_failure_is_returned() {
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut attempts = Attempts::new().unwrap();
        let started = (0..3).filter(|_| attempts.start(Address::Tcp(refusing)).is_ok()).count();
        for _ in 0..started {
            assert_eq!(wait(&mut attempts).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn an_address_that_does_not_answer_holds_up_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, _full) = silent();
        let mut attempts = Attempts::new().unwrap();
        attempts.start(Address::Tcp(silent)).unwrap();
        assert!(attempts.wait(Std::now() + Duration::from_millis(20)).is_none());
        attempts.start(Address::Tcp(address)).unwrap();
        assert_eq!(wait(&mut attempts).unwrap().peer_addr().unwrap(), address);
        assert!(attempts.running.is_empty());
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn little_of_a_socket_waits_unsent_in_the_system() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut attempts = Attempts::new().unwrap();
        attempts.start(Address::Tcp(listener.local_addr().unwrap())).unwrap();
        let stream = wait(&mut attempts).unwrap();
        assert_eq!(socket2::SockRef::from(&stream).tcp_notsent_lowat().unwrap(), 128 << 10);
    }

    /// An address whose accept queue is full, so that another connection gets no answer, and the streams that fill it.
    fn silent() -> (SocketAddr, impl Sized) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut fill = Vec::new();
        loop {
            match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => fill.push(stream),
                Err(_) => return (address, (listener, fill)),
            }
        }
    }
}
