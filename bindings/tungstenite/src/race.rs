//! Connects by TCP to the first address of a name that answers (RFC 8305, "Happy Eyeballs").

use std::collections::VecDeque;
use std::io;
use std::net::{self, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use multiwa_ws_driver::{ATTEMPT_DELAY, interleave};

/// Connects to the first of `addresses` that answers before `deadline`. All other attempts are dropped.
///
/// # Errors
/// The latest failure if every address failed, or `TimedOut` if no address answered in time.
pub(crate) fn race(addresses: impl IntoIterator<Item = SocketAddr>, deadline: Instant) -> io::Result<net::TcpStream> {
    let mut waiting: VecDeque<_> = interleave(addresses).into();
    let mut race = Race {
        poll: Poll::new()?,
        running: Vec::new(),
        failure: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        has_failed: false,
    };
    let mut events = Events::with_capacity(8);
    // When the next attempt begins in parallel with the running ones.
    let mut next = Instant::now();
    loop {
        if let Some(stream) = race.winner() {
            return Ok(stream);
        }
        let now = Instant::now();
        if std::mem::take(&mut race.has_failed) {
            next = now;
        }
        if race.running.is_empty() || next <= now {
            match waiting.pop_front() {
                Some(address) => {
                    race.start(address);
                    next = now + ATTEMPT_DELAY;
                    continue;
                }
                None if race.running.is_empty() => return Err(race.failure),
                None => next = deadline,
            }
        }
        if deadline <= now {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match race.poll.poll(&mut events, Some(next.min(deadline).saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}

struct Race {
    poll: Poll,
    /// Attempts that are not yet known to be connected.
    running: Vec<TcpStream>,
    failure: io::Error,
    /// An attempt has failed, so the next one begins at once.
    has_failed: bool,
}

impl Race {
    fn start(&mut self, address: SocketAddr) {
        let started = TcpStream::connect(address).and_then(|mut stream| {
            // One token for all: each wake-up checks every attempt, since there are only a few.
            self.poll.registry().register(&mut stream, Token(0), Interest::WRITABLE)?;
            Ok(stream)
        });
        match started {
            Ok(stream) => self.running.push(stream),
            Err(error) => self.failed(error),
        }
    }

    /// The stream of the attempt that succeeded.
    fn winner(&mut self) -> Option<net::TcpStream> {
        let mut index = 0;
        while let Some(stream) = self.running.get(index) {
            match is_connected(stream) {
                Ok(false) => index += 1,
                Ok(true) => {
                    let mut stream = self.running.swap_remove(index);
                    // The caller uses the stream without this poll.
                    let _ = self.poll.registry().deregister(&mut stream);
                    return Some(stream.into());
                }
                Err(error) => {
                    drop(self.running.swap_remove(index));
                    self.failed(error);
                }
            }
        }
        None
    }

    fn failed(&mut self, error: io::Error) {
        self.failure = error;
        self.has_failed = true;
    }
}

/// Follows the documentation of [`TcpStream::connect`].
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = race([refusing, refusing, address], soon()).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!(race([refusing, refusing], soon()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_that_does_not_answer_is_overtaken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, _full) = silent();
        let stream = race([silent, address], soon()).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let error = race([silent], Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_without_an_address_says_so() {
        assert_eq!(race([], soon()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// An address whose accept queue is full, so that another connection gets no answer, and the streams that fill it.
    fn silent() -> (SocketAddr, impl Sized) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut fill = Vec::new();
        loop {
            match net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => fill.push(stream),
                Err(_) => return (address, (listener, fill)),
            }
        }
    }
}
