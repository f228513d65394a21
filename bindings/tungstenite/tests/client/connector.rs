//! Connectors and streams of the application's own.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientConfig, ClientState, CloseCause, DisconnectReason};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tungstenite::mio::net::TcpStream;
use multiwa_ws_tungstenite::{Client, ConnectorError, QueueConfig, RequestError};

use tokio::io::AsyncReadExt as _;

use crate::peer::{Peer, at_once, call, listen, never, number, soon, wait_until};
use crate::stream::{ConnectWith, Hook, Hooked, dial};

#[test]
fn a_connector_that_hangs_holds_up_neither_the_client_nor_more_than_one_thread() {
    let (entered, entering) = channel();
    let (_let_go, wait): (Sender<()>, Receiver<()>) = channel();
    let config = ClientConfig::new().connect_timeout(Duration::from_millis(20)).reconnect(at_once());
    let connector = ConnectWith(move |attempt| -> Result<(TcpStream, ClientRequest), ConnectorError> {
        entered.send(attempt).unwrap();
        let _ = wait.recv();
        Err(ConnectorError::stop("the test is over"))
    });
    let (client, _updates) = Client::builder("").session(config).start_with(connector).unwrap();
    wait_until(|| client.status().attempt >= 3);
    assert_eq!(client.status().last_disconnect.map(|last| last.reason()), Some(DisconnectReason::ConnectTimeout));
    call(move || client.close()).returned();
    // It is in its first attempt still.
    assert_eq!(entering.try_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn what_a_connector_brings_too_late_is_dropped_and_the_attempt_of_the_time_is_made() {
    let listener = listen();
    let dial = dial(&listener);
    let (let_go, wait): (Sender<()>, Receiver<()>) = channel();
    let config = ClientConfig::new().connect_timeout(Duration::from_millis(20)).reconnect(at_once());
    let connector = ConnectWith(move |attempt| {
        if attempt == 1 {
            let _ = wait.recv();
        }
        Ok(dial())
    });
    let (client, _updates) = Client::builder("").session(config).start_with(connector).unwrap();
    wait_until(|| client.status().attempt >= 3);
    let_go.send(()).unwrap();
    let mut late = listener.accept_tcp();
    assert_eq!(soon(late.read(&mut [0])).unwrap_or(0), 0, "it was used after all");
    // The next attempts may have come and gone too, so only the last one is served.
    let accepted = call(move || {
        loop {
            let stream = listener.accept_tcp();
            if let Some(peer) = listener.try_send_ack(stream) {
                return (listener, peer);
            }
        }
    });
    wait_until(|| client.state() == ClientState::Ready);
    drop(accepted.returned());
}

#[test]
fn a_connector_says_what_becomes_of_the_client() {
    let connector = ConnectWith(|attempt| -> Result<(TcpStream, ClientRequest), ConnectorError> {
        if attempt < 3 { Err(ConnectorError::retry("not yet")) } else { Err(ConnectorError::stop("enough")) }
    });
    let (client, _updates) = Client::builder("").reconnect(at_once()).start_with(connector).unwrap();
    let ended = client.clone();
    assert_eq!(call(move || ended.closed()).returned(), CloseCause::Lost(DisconnectReason::Stopped));
    let status = client.status();
    assert_eq!((status.attempt, format!("{:#}", status.last_disconnect.unwrap()).contains("enough")), (3, true));
}

#[test]
fn a_connector_that_panics_ends_the_client() {
    let connector =
        ConnectWith(|_| -> Result<(TcpStream, ClientRequest), ConnectorError> { panic!("as the test wants") });
    let (client, _updates) = Client::builder("").reconnect(at_once()).start_with(connector).unwrap();
    let ended = client.clone();
    assert_eq!(call(move || ended.closed()).returned(), CloseCause::Lost(DisconnectReason::Stopped));
    assert!(format!("{:#}", client.status().last_disconnect.unwrap()).contains("panicked"));
}

/// Counts how often a stream is asked, and lets it write only while it is open.
#[derive(Default)]
struct Gate {
    shut: AtomicBool,
    reads: AtomicUsize,
    held_up: AtomicUsize,
    broken: AtomicBool,
}

impl Hook for Arc<Gate> {
    fn read(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.broken.load(SeqCst), "as the test wants");
        self.reads.fetch_add(1, SeqCst);
        // In small pieces, as they may come.
        let length = buffer.len().min(7);
        stream.read(&mut buffer[..length])
    }

    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        if self.shut.load(SeqCst) {
            self.held_up.fetch_add(1, SeqCst);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        stream.write(&bytes[..bytes.len().min(5)])
    }
}

fn gated() -> (Client, multiwa_ws_tungstenite::Updates, Peer, Arc<Gate>) {
    let listener = listen();
    let gate = Arc::new(Gate::default());
    let (dial, at) = (dial(&listener), gate.clone());
    let connector = ConnectWith(move |_| {
        let (stream, request) = dial();
        Ok((Hooked { stream, hook: at.clone() }, request))
    });
    let queue = QueueConfig::new().events(1);
    let builder = Client::builder("").reconnect(never()).queue(queue).subscribe("p", ["e"]);
    let (client, updates) = builder.start_with(connector).unwrap();
    let mut peer = listener.accept();
    peer.acknowledge();
    let ready = client.clone();
    call(move || ready.ready()).returned().unwrap();
    (client, updates, peer, gate)
}

#[test]
fn a_stream_that_moves_a_few_bytes_at_a_time_is_as_good_as_another() {
    let (client, mut updates, mut peer, _) = gated();
    for sent in 0..20 {
        peer.publish(sent);
        assert_eq!(number(&mut updates), sent);
    }
    let pinging = call(move || client.ping());
    assert_eq!(peer.acknowledge(), "ping");
    pinging.returned().unwrap();
}

#[test]
fn a_pong_is_not_lost_when_the_stream_would_block() {
    let (client, mut updates, mut peer, gate) = gated();
    gate.shut.store(true, SeqCst);
    peer.write_raw(b"\x89\x05first");
    wait_until(|| gate.held_up.load(SeqCst) > 0);
    // What cannot be written does not keep it from reading, up to the one event for which there is room.
    peer.publish(7);
    wait_until(|| client.status().counters.events == 1);

    gate.shut.store(false, SeqCst);
    // The stream being the test's own, nothing tells that it would take more; this wakes whoever asks.
    let _pinging = call(move || client.ping());
    let answered = soon(async {
        loop {
            if let Event::Pong(payload) = peer.socket.next().await.unwrap().unwrap().event {
                return payload.to_vec();
            }
        }
    });
    assert_eq!(answered, b"first");
    assert_eq!(number(&mut updates), 7);
}

#[test]
fn a_stream_that_panics_ends_the_client_and_leaves_nobody_waiting() {
    let (client, _updates, mut peer, gate) = gated();
    let pinging = client.clone();
    let pinging = call(move || pinging.ping());
    assert_eq!(peer.request().0, "ping");
    gate.broken.store(true, SeqCst);
    peer.publish(7);
    assert_eq!(pinging.returned(), Err(RequestError::ConnectionLost));
    assert_eq!(call(move || client.closed()).returned(), CloseCause::Lost(DisconnectReason::Stopped));
}

#[test]
fn an_idle_client_is_asleep() {
    let (client, mut updates, mut peer, gate) = gated();
    peer.publish(1);
    assert_eq!(number(&mut updates), 1);
    let waiting = call(move || updates.next().is_some());
    // What was on its way has come when this request is answered.
    let pinging = client.clone();
    let pinging = call(move || pinging.ping());
    peer.acknowledge();
    pinging.returned().unwrap();

    let before = gate.reads.load(SeqCst);
    std::thread::sleep(Duration::from_millis(200));
    let turns = gate.reads.load(SeqCst) - before;
    assert!(turns <= 4, "it was asked {turns} times while nothing happened");
    call(move || drop(client)).returned();
    drop(peer);
    assert!(waiting.returned());
}
