//! Drives the server of the core over a custom transport: here a blocking `std::net::TcpStream`, and a thread for each client.
//!
//! Run `cargo run --package multiwa-ws-core --example own_server -- 127.0.0.1:3001 profile-123 secret` and `cargo run --
//! listen ws://127.0.0.1:3001/ws --api-key secret --profile profile-123`.
#![expect(clippy::disallowed_types, reason = "the core has no clock: its driver has one")]

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use multiwa_ws_core::handshake::{Acceptance, ApiKey, DecisionError, Rejection, UpgradeRequest};
use multiwa_ws_core::server::{Config, Connection, Ended, Event};
use multiwa_ws_core::session::{RawJson, encode_event};
use multiwa_ws_core::websocket::SharedMessage;
use multiwa_ws_core::{Instant, WallClock};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [address, profile, key] = args.as_slice() else {
        return Err("write: own_server HOST:PORT PROFILE KEY".into());
    };
    let clock = Clock::start();
    let unix_millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let wall_clock = WallClock::new(clock.now(), i64::try_from(unix_millis)?);
    let server = Arc::new(Server { clock, wall_clock, profile: profile.clone(), key: ApiKey::new(key.as_str()) });

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for (number, stream) in listener.incoming().enumerate() {
        let (stream, server) = (stream?, server.clone());
        std::thread::spawn(move || {
            let ended = server.serve(stream, &number.to_string());
            println!("client {number}: {ended:?}");
        });
    }
    Ok(())
}

/// What the threads of all clients share.
struct Server {
    clock: Clock,
    wall_clock: WallClock,
    profile: String,
    key: ApiKey,
}

impl Server {
    /// Serves one client, and publishes an event to it every second.
    fn serve(&self, mut stream: TcpStream, client_id: &str) -> Result<Ended, Box<dyn Error>> {
        stream.set_write_timeout(Some(LONGEST_WRITE))?;
        let mut connection = Connection::new(self.now(), &Config::default());
        let mut buffer = vec![0; 16 << 10];
        let mut next_event = self.now();
        loop {
            // The same four steps as in every driver: see the module `guide`.
            if self.write(&mut connection, &mut stream).is_err() {
                connection.handle_lost(self.now());
            }
            if let Some(Event::Ended(ended)) = connection.poll_event() {
                return Ok(ended);
            }

            let due = connection.poll_timeout().map_or(next_event, |due| due.min(next_event));
            let wait = due.saturating_duration_since(self.now());
            stream.set_read_timeout(Some(wait.max(SHORTEST_SLEEP)))?;
            match stream.read(&mut buffer) {
                Ok(0) => connection.handle_eof(self.now()),
                Ok(len) => {
                    let mut input = buffer.get_mut(..len).unwrap_or_default();
                    // An error is a rule that the client broke. `Ended` reports it after the answer is written.
                    while let Ok(Some(event)) = connection.handle_input(self.now(), &mut input) {
                        match event {
                            Event::Requested => self.decide(&mut connection, client_id)?,
                            event => println!("client {client_id}: {event:?}"),
                        }
                    }
                }
                Err(error) if is_timeout(&error) => {}
                Err(_) => connection.handle_lost(self.now()),
            }
            connection.handle_timeout(self.now());

            if next_event <= self.now() {
                next_event += Duration::from_secs(1);
                self.publish(&mut connection)?;
            }
        }
    }

    /// Accepts a client that has the key.
    fn decide(&self, connection: &mut Connection, client_id: &str) -> Result<(), DecisionError> {
        let request = connection.request();
        let path = request.map(UpgradeRequest::path);
        let key = request.and_then(UpgradeRequest::api_key);
        if path != Some("/ws") {
            connection.reject(self.now(), &Rejection::not_found())
        } else if key.as_ref() != Some(&self.key) {
            connection.reject(self.now(), &Rejection::unauthorized())
        } else {
            connection.accept(self.now(), Acceptance::default(), client_id, self.wall_clock)
        }
    }

    /// Publishes an event, if the client has subscribed to it. A server with many clients finds the subscribers of an event
    /// with a `Hub`, and encodes the event once for all of them.
    fn publish(&self, connection: &mut Connection) -> Result<(), Box<dyn Error>> {
        const NAME: &str = "session.status";
        let profile = Some(self.profile.as_str());
        if connection.subscriptions().is_some_and(|subscriptions| subscriptions.matches(profile, NAME)) {
            let data = RawJson::parse(r#"{"status":"connected"}"#)?;
            let text = encode_event(NAME, profile, &data, &self.wall_clock.rfc3339(self.now()));
            // A client that does not read its events misses this one.
            let _ = connection.publish(&SharedMessage::text(&text));
        }
        Ok(())
    }

    /// Writes all pending bytes of the connection, one vectored write at a time.
    fn write(&self, connection: &mut Connection, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            let mut lent = [&[][..]; 8];
            let filled = connection.poll_transmit(&mut lent);
            if filled == 0 {
                break;
            }
            let lent = lent.map(IoSlice::new);
            let written = stream.write_vectored(lent.get(..filled).unwrap_or_default())?;
            connection.transmitted(self.now(), written);
        }
        if connection.poll_shutdown() {
            // It fails if the client has disconnected: nothing to do.
            let _ = stream.shutdown(Shutdown::Write);
            connection.shutdown_done();
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// A client that takes no bytes for this time is lost.
const LONGEST_WRITE: Duration = Duration::from_secs(10);
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
