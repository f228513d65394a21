//! Drives the client of the core over a custom transport: here a blocking `std::net::TcpStream` on one thread.
//!
//! Run `cargo run --package multiwa-ws-core --example own_transport -- 127.0.0.1:3001 profile-123 secret` while `cargo
//! run -- serve --api-key secret --demo 1` is running.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the core has no clock and never waits: its driver does both"
)]

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, Config, TransportAction};
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientEvent, DisconnectReason, EventNames, LifecycleEvent};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [address, profile, key] = args.as_slice() else {
        return Err("write: own_transport HOST:PORT PROFILE KEY".into());
    };
    let mut request = ClientRequest::new(address.as_str(), "/ws");
    request.append_query("apiKey", key);
    let clock = Clock::start();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut client = Client::new(Config::default(), seed);
    client.commands().subscribe(clock.now(), profile, &EventNames::every())?;
    client.connect(clock.now())?;

    let mut transport = None;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // First process the output of the client, in this order: actions, bytes, events.
        while let Some(action) = client.poll_action() {
            transport = None;
            match action {
                TransportAction::Connect { .. } => match TcpStream::connect(address) {
                    Ok(stream) => {
                        client.connected(clock.now(), request.clone())?;
                        transport = Some(stream);
                    }
                    Err(_) => client.connect_failed(clock.now(), DisconnectReason::Io),
                },
                // This program connects to one server only, so it follows no redirect.
                TransportAction::Redirect(refusal) => {
                    let reason =
                        DisconnectReason::Refused { status: refusal.status, retry_after: refusal.retry_after() };
                    client.connect_failed(clock.now(), reason);
                }
                TransportAction::Disconnect => {}
            }
        }
        if let Some(stream) = &mut transport
            && write(&clock, &mut client, stream).is_err()
        {
            client.handle_lost(clock.now(), DisconnectReason::Io);
        }
        while let Some(event) = client.poll_event() {
            show(&event)?;
        }

        // Then sleep until bytes arrive or the deadline passes.
        let wait = client.poll_timeout().map_or(LONGEST_SLEEP, |at| at.saturating_duration_since(clock.now()));
        let Some(stream) = &mut transport else {
            std::thread::sleep(wait);
            client.handle_timeout(clock.now());
            continue;
        };
        // Bytes that have arrived are processed before a deadline, so there is always a read before `handle_timeout`.
        stream.set_read_timeout(Some(wait.max(SHORTEST_SLEEP)))?;
        match stream.read(&mut buffer) {
            Ok(0) => client.handle_eof(clock.now()),
            Ok(len) => {
                let mut input = buffer.get_mut(..len).unwrap_or_default();
                // Each event borrows from `buffer`.
                while let Some(received) = client.handle_input(clock.now(), &mut input) {
                    show(&received.event)?;
                }
                // There was nothing more to read.
                if len < buffer.len() {
                    client.handle_timeout(clock.now());
                }
            }
            Err(error) if is_timeout(&error) => client.handle_timeout(clock.now()),
            Err(_) => client.handle_lost(clock.now(), DisconnectReason::Io),
        }
    }
}

fn show(event: &ClientEvent<'_>) -> Result<(), Box<dyn Error>> {
    match event {
        ClientEvent::Event(event) => println!("{} {}", event.name(), event.data().unwrap_or("null")),
        ClientEvent::Lifecycle(LifecycleEvent::Closed(cause)) => return Err(format!("{cause:?}").into()),
        _ => {}
    }
    Ok(())
}

/// Writes all pending bytes of the client, one vectored write at a time.
fn write(clock: &Clock, client: &mut Client, stream: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut lent = [&[][..]; 8];
        let filled = client.poll_transmit(&mut lent);
        if filled == 0 {
            break;
        }
        let lent = lent.map(IoSlice::new);
        let written = stream.write_vectored(lent.get(..filled).unwrap_or_default())?;
        client.transmitted(clock.now(), written);
    }
    if client.poll_shutdown() {
        stream.shutdown(Shutdown::Write)?;
        client.shutdown_done();
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The wait of a client without a deadline.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// `set_read_timeout` does not accept a timeout of zero.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// The monotonic clock of the system, in the time unit of the core.
struct Clock(std::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
