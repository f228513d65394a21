//! A process that was stopped, as by a debugger or a machine that sleeps.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{ClientConfig, ClientState};
use multiwa_ws_tungstenite::Client;
use multiwa_ws_tungstenite::mio::net::TcpStream;

use crate::peer::{call, listen, never, wait_until};
use crate::stream::{ConnectWith, Hook, Hooked, dial};

/// When a stream stops its thread.
#[derive(Default)]
struct Stop {
    /// After the next write, as soon as there is nothing to read.
    armed: AtomicBool,
    written: AtomicBool,
    stopped: AtomicUsize,
}

/// Longer than the server may take to answer.
const STOPPED: Duration = Duration::from_millis(900);

impl Hook for Arc<Stop> {
    fn read(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let read = stream.read(buffer);
        if read.is_err() && self.written.swap(false, SeqCst) {
            thread::sleep(STOPPED);
            self.stopped.fetch_add(1, SeqCst);
        }
        read
    }

    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        if self.armed.swap(false, SeqCst) {
            self.written.store(true, SeqCst);
        }
        stream.write(bytes)
    }
}

#[test]
fn f_06_a_pong_that_came_while_the_process_was_stopped_counts() {
    let listener = listen();
    let stop = Arc::new(Stop::default());
    let (dial, hook) = (dial(&listener), stop.clone());
    let connector = ConnectWith(move |_| {
        let (stream, request) = dial();
        Ok((Hooked { stream, hook: hook.clone() }, request))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(200)).timeout(Duration::from_millis(400));
    let session = ClientConfig::new().keep_alive(keep_alive);
    let builder = Client::builder("").session(session).reconnect(never());
    let (client, _updates) = builder.start_with(connector).unwrap();
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
