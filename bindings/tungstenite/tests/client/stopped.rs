//! A process that was stopped, as by a debugger or a machine that sleeps.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientConfig, ClientState};
use multiwa_ws_tungstenite::mio::event::Source;
use multiwa_ws_tungstenite::mio::net::TcpStream;
use multiwa_ws_tungstenite::mio::{Interest, Registry, Token};
use multiwa_ws_tungstenite::{Client, Connector, ConnectorError};

use crate::peer::{call, listen, never, wait_until};

/// When a stream stops its thread.
#[derive(Default)]
struct Stop {
    /// After the next write, as soon as there is nothing to read.
    armed: AtomicBool,
    written: AtomicBool,
    stopped: AtomicUsize,
}

/// Stops its thread for longer than the server may take to answer.
struct Stopping {
    stream: TcpStream,
    stop: Arc<Stop>,
}

const STOPPED: Duration = Duration::from_millis(900);

impl Read for Stopping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer);
        if read.is_err() && self.stop.written.swap(false, SeqCst) {
            thread::sleep(STOPPED);
            self.stop.stopped.fetch_add(1, SeqCst);
        }
        read
    }
}

impl Write for Stopping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.armed.swap(false, SeqCst) {
            self.stop.written.store(true, SeqCst);
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Source for Stopping {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.deregister(registry)
    }
}

struct OneStream(Option<Stopping>);

impl Connector for OneStream {
    type Stream = Stopping;

    fn connect(&mut self, _attempt: u32) -> Result<(Stopping, ClientRequest), ConnectorError> {
        let stream = self.0.take().ok_or_else(|| ConnectorError::stop("there was one stream"))?;
        Ok((stream, ClientRequest::new("h", "/ws")))
    }
}

#[test]
fn f_06_a_pong_that_came_while_the_process_was_stopped_counts() {
    let listener = listen();
    let stream = std::net::TcpStream::connect(listener.address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let stop = Arc::new(Stop::default());
    let stream = Stopping { stream: TcpStream::from_std(stream), stop: stop.clone() };
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(200)).timeout(Duration::from_millis(400));
    let session = ClientConfig::new().keep_alive(keep_alive);
    let builder = Client::builder("").session(session).reconnect(never());
    let (client, _updates) = builder.start_with(OneStream(Some(stream))).unwrap();
    let mut peer = listener.accept();
    let ready = client.clone();
    call(move || ready.ready()).returned().unwrap();

    stop.armed.store(true, SeqCst);
    let serving = call(move || {
        for _ in 0..3 {
            let (kind, id) = peer.request();
            assert_eq!(kind, "ping");
            // By now the client has found nothing to read.
            thread::sleep(Duration::from_millis(100));
            peer.send(&format!(r#"{{"type":"pong","requestId":"{id}"}}"#));
        }
        peer
    });
    wait_until(|| stop.stopped.load(SeqCst) == 1);
    let _peer = serving.returned();
    assert_eq!((client.state(), client.status().last_disconnect.is_none()), (ClientState::Ready, true));
}
