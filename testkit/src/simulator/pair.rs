//! Both ends of one connection after the upgrade.

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Closed, Config, Event, Negotiated, ProtocolError, Role, State, WebSocket};

use super::lane::instant;
use super::{Chunk, Lane, tick};
use crate::contract::{ContractViolation, ensure};
use crate::event::OwnedEvent;
use crate::link::Faults;
use crate::random::Random;
use crate::reference;
use crate::wire::check_frames;

/// Two [`WebSocket`]s and the transport between them.
///
/// The client writes to [`up`](Self::up) and the server to [`down`](Self::down). Tests drive it with
/// [`settle`](Self::settle), [`sleep_until`](Self::sleep_until) and [`wind_down`](Self::wind_down), or step by step.
#[derive(Debug)]
pub struct Pair {
    /// The virtual time.
    pub now: u64,
    /// The end that masks its frames.
    pub client: End,
    /// The other end.
    pub server: End,
    /// From the client to the server.
    pub up: Lane,
    /// From the server to the client.
    pub down: Lane,
    compresses: bool,
}

/// One end of a [`Pair`].
#[derive(Debug)]
pub struct End {
    /// The state machine.
    pub socket: WebSocket,
    /// Its events, in order, except for the end.
    pub events: Vec<OwnedEvent>,
    /// The first violation that it reported.
    pub violation: Option<ProtocolError>,
    /// How it ended. `None` before the end.
    pub closed: Option<Closed>,
    /// The number of input bytes that it read and did not ignore.
    pub attended: usize,
    /// Its process is stopped until then: bytes still arrive and leave, and nothing calls the state machine.
    pub stopped_until: u64,
}

/// The maximum number of turns in a virtual minute: far more than any suite needs, so more turns mean an endless loop.
const MAX_TURNS: usize = 100_000;

impl Pair {
    /// Both ends with the same configuration. `seed` is the seed of both ends and of the faults of the transport.
    #[must_use]
    pub fn new(seed: u64, config: &Config, negotiated: &Negotiated, faults: &Faults) -> Self {
        Self::between(seed, [config; 2], negotiated, faults)
    }

    /// A client and a server, each with its own configuration.
    #[must_use]
    pub fn between(seed: u64, configs: [&Config; 2], negotiated: &Negotiated, faults: &Faults) -> Self {
        let mut random = Random::new(seed);
        let mut end = |role, config| End {
            socket: WebSocket::new(instant(0), role, config, negotiated, random.bytes()),
            events: Vec::new(),
            violation: None,
            closed: None,
            attended: 0,
            stopped_until: 0,
        };
        let [client, server] = configs;
        let (client, server) = (end(Role::Client, client), end(Role::Server, server));
        Self {
            now: 0,
            client,
            server,
            up: Lane::new(random.up_to(u64::MAX), faults.clone()),
            down: Lane::new(random.up_to(u64::MAX), faults.clone()),
            compresses: negotiated.deflate.is_some(),
        }
    }

    /// The time, the end with this role, the lane that it writes to and the lane that it reads from.
    pub fn side(&mut self, role: Role) -> (u64, &mut End, &mut Lane, &mut Lane) {
        let Self { now, client, server, up, down, .. } = self;
        match role {
            Role::Client => (*now, client, up, down),
            Role::Server => (*now, server, down, up),
        }
    }

    /// Does everything that can be done at the present time.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn settle(&mut self) -> Result<(), ContractViolation> {
        for _ in 0..MAX_TURNS {
            let busy = self.turn(Role::Client)? | self.turn(Role::Server)?;
            if !busy {
                return Ok(());
            }
        }
        Err(ContractViolation(format!("still busy after {MAX_TURNS} turns at {}", self.now)))
    }

    /// When something will happen next.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let client = self.client.next_due(self.now, &self.down);
        client.into_iter().chain(self.server.next_due(self.now, &self.up)).min()
    }

    /// Lets time pass until `end`, with everything that happens in between.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn sleep_until(&mut self, end: u64) -> Result<(), ContractViolation> {
        self.settle()?;
        for _ in 0..MAX_TURNS {
            match self.next_due().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => {
                    self.now = self.now.max(end);
                    return Ok(());
                }
            }
            self.settle()?;
        }
        Err(ContractViolation(format!("still busy after {MAX_TURNS} steps before {end}")))
    }

    /// Does each thing that this end can do, once, in the order of a driver: first the bytes that have arrived, then
    /// the deadlines that are due.
    fn turn(&mut self, role: Role) -> Result<bool, ContractViolation> {
        let (now, end, writes, reads) = self.side(role);
        if end.stopped_until > now {
            return Ok(reads.arrive_unread(now));
        }
        let busy = end.write(now, writes, 8, usize::MAX) | end.read(now, reads, usize::MAX)?;
        Ok(busy | tick(&mut end.socket, instant(now))? | end.take_event(now, writes, reads)?)
    }

    /// Checks the bytes that both ends wrote so far against the RFC, with the reference parser.
    ///
    /// # Errors
    /// A rule that one of them broke.
    pub fn check_wires(&self) -> Result<(), ContractViolation> {
        check_frames(reference::Role::Client, self.up.written(), self.compresses)?;
        check_frames(reference::Role::Server, self.down.written(), self.compresses)?;
        Ok(())
    }

    /// Lets time pass until both ends have reported their end, then checks the bytes that they wrote.
    ///
    /// # Errors
    /// A broken guarantee, for example a connection that does not end.
    pub fn wind_down(&mut self) -> Result<(), ContractViolation> {
        self.settle()?;
        for _ in 0..MAX_TURNS {
            if self.client.closed.is_some() && self.server.closed.is_some() {
                return self.check_wires();
            }
            let due =
                self.next_due().ok_or_else(|| ContractViolation("nothing will ever end the connection".into()))?;
            self.sleep_until(due)?;
        }
        Err(ContractViolation(format!("still open after {MAX_TURNS} steps")))
    }
}

impl End {
    /// When the next thing happens to this end, which reads from `reads`.
    fn next_due(&self, now: u64, reads: &Lane) -> Option<u64> {
        if self.stopped_until > now {
            let unread = reads.next_unread_due().unwrap_or(u64::MAX);
            return Some(self.stopped_until.min(unread)).filter(|due| *due < u64::MAX);
        }
        let timeout = self.socket.poll_timeout().map(Instant::as_nanos);
        timeout.into_iter().chain(reads.next_due()).min()
    }

    /// Writes once, and shuts down the write side if the state machine requests it. Returns whether anything happened.
    pub fn write(&mut self, now: u64, lane: &mut Lane, slices: usize, budget: usize) -> bool {
        let written = lane.write(now, &mut self.socket, slices, budget);
        let shut_down = self.socket.poll_shutdown();
        if shut_down {
            lane.shut_down(now);
            self.socket.shutdown_done();
        }
        written > 0 || shut_down
    }

    /// Takes the bytes that have arrived on `lane`, in chunks of at most `max` bytes. Returns whether there were any.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn read(&mut self, now: u64, lane: &mut Lane, max: usize) -> Result<bool, ContractViolation> {
        let mut busy = false;
        while lane.arrive(now) {
            busy = true;
        }
        while let Some(chunk) = lane.next_chunk(max) {
            busy = true;
            self.take(now, lane, chunk)?;
        }
        Ok(busy)
    }

    /// Passes one chunk of `lane` to the state machine.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn take(&mut self, now: u64, lane: &mut Lane, chunk: Chunk) -> Result<(), ContractViolation> {
        let bytes = match chunk {
            Chunk::Eof => {
                self.socket.handle_eof(instant(now));
                return Ok(());
            }
            Chunk::Reset => {
                self.socket.handle_lost(instant(now));
                return Ok(());
            }
            Chunk::Bytes(bytes) => bytes,
        };
        let mut buffer = bytes.clone();
        let mut input = &mut buffer[..];
        let read_on = matches!(self.socket.state(), State::Open | State::Closing);
        loop {
            match self.socket.handle_input(instant(now), &mut input) {
                Ok(None) => break,
                Ok(Some(received)) => self.events.push(received.event.into()),
                Err(error) => {
                    // A deadline can have ended the reading before, without an event.
                    let known = read_on || self.violation.is_some() || error == ProtocolError::MessageTimeout;
                    ensure(known, || format!("{error:?} although nothing was to be read"))?;
                    let first = *self.violation.get_or_insert(error);
                    ensure(first == error, || format!("{error:?} after {first:?}"))?;
                    break;
                }
            }
        }
        let left = input.len();
        ensure(left == 0, || format!("{left} of {} bytes were not taken", bytes.len()))?;
        lane.put_back(&bytes, 0);
        if read_on {
            self.attended = lane.read().len();
        }
        Ok(())
    }

    /// Takes the event that no input causes, and drops the transport if it is the end. Returns whether there was one.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn take_event(&mut self, now: u64, writes: &mut Lane, reads: &mut Lane) -> Result<bool, ContractViolation> {
        let Some(event) = self.socket.poll_event() else { return Ok(false) };
        let Event::Closed(closed) = event else { return Err(ContractViolation(format!("{event:?} from poll_event"))) };
        let before = self.closed.replace(closed);
        ensure(before.is_none(), || format!("{closed:?} after {before:?}"))?;
        writes.shut_down(now);
        reads.hang_up();
        Ok(true)
    }
}
