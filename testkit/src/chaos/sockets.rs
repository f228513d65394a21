//! Both ends of one connection after another.

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Role, State};
use multiwa_ws_core::{Instant, KeepAlive};

use super::command::Command;
use super::draw;
use super::ledger::{Ledger, Limits};
use super::verdict::Case;
use super::{Scenario, Snapshot};
use crate::contract::{ContractViolation, ensure};
use crate::event::OwnedEvent;
use crate::link::FailureKind;
use crate::random::Random;
use crate::reference;
use crate::simulator::{Chunk, Pair, tick};
use crate::transcript::{Bytes, Transcript};

/// Two `WebSocket`s with their own limits on a faulty transport. When both have closed, the next two follow.
#[derive(Debug)]
pub struct Sockets {
    pair: Pair,
    client: Side,
    server: Side,
    transcript: Transcript,
    /// The clock of this step is earlier than a time that the state machines already know.
    behind: bool,
    /// The number of connections so far.
    begun: u64,
}

/// The model of one end.
#[derive(Debug)]
struct Side {
    limits: Limits,
    ledger: Ledger,
    paused: bool,
    /// The number of checked items of [`End::events`](crate::simulator::End).
    checked: usize,
    error_checked: bool,
    state: State,
}

/// The bytes that a queue may hold beyond its limit: a Close frame, 65 Pongs and a few pings of keep-alive.
const SLACK: usize = 67 * (14 + 125);

impl Scenario for Sockets {
    fn begin(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (pair, client, server) = connect(&mut random);
        Self { pair, client, server, transcript: Transcript::new(0), behind: false, begun: 1 }
    }

    fn step(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        let role = if random.happens(500_000) { Role::Client } else { Role::Server };
        let now = self.pair.now;
        // Sometimes the caller's clock is behind. This must do no harm.
        self.behind = random.happens(20_000);
        if self.behind {
            self.pair.now = now.saturating_sub(random.up_to(20_000_000_000));
        }
        self.operate(role, random)?;
        self.pair.now = self.pair.now.max(now);
        self.check(Role::Client)?;
        self.check(Role::Server)?;
        if self.is_spent(random) {
            self.pair.wind_down()?;
            self.check(Role::Client)?;
            self.check(Role::Server)?;
            self.conclude()?;
            (self.pair, self.client, self.server) = connect(random);
            self.begun += 1;
            self.transcript.record(0, "both", format_args!("connection {}", self.begun));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ContractViolation> {
        for role in [Role::Client, Role::Server] {
            let (now, end, ..) = self.pair.side(role);
            end.socket.reading_resumed(Instant::from_nanos(now));
            // A connection that is already closing is also brought to its end.
            _ = end.socket.close(Instant::from_nanos(now), CloseCode::NORMAL, "");
        }
        self.pair.wind_down()?;
        self.check(Role::Client)?;
        self.check(Role::Server)?;
        self.conclude()
    }

    fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }
}

impl Sockets {
    /// Whether the connection is finished: it has closed, or neither end can send any more.
    fn is_spent(&mut self, random: &mut Random) -> bool {
        let [client, server] = [&self.pair.client, &self.pair.server].map(|end| end.socket.state() == State::Open);
        let over = self.pair.client.closed.is_some() && self.pair.server.closed.is_some();
        over || !client && !server && random.happens(50_000)
    }

    fn operate(&mut self, role: Role, random: &mut Random) -> Result<(), ContractViolation> {
        match random.up_to(999) {
            0..=199 => self.send(role, random),
            200..=449 => self.write(role, random),
            450..=699 => self.read(role, random),
            700..=799 => {
                let due = self.pair.next_due().unwrap_or_default();
                self.pass(due.saturating_sub(self.pair.now));
                Ok(())
            }
            800..=889 => self.tick(role),
            890..=969 => self.take_event(role),
            970..=979 => self.pause_or_resume(role),
            980..=989 => {
                let longest = random.pick([1_000_000, 1_000_000, 1_000_000_000, 100_000_000_000]);
                self.pass(random.up_to(longest));
                Ok(())
            }
            990..=994 => {
                let (_, end, ..) = self.pair.side(role);
                end.socket.release_memory();
                Ok(())
            }
            _ => self.accident(role, random),
        }
    }

    fn pass(&mut self, nanos: u64) {
        self.pair.now = self.pair.now.saturating_add(nanos);
        self.transcript.record(self.pair.now, "time", format_args!("{nanos} passed"));
    }

    fn send(&mut self, role: Role, random: &mut Random) -> Result<(), ContractViolation> {
        let Self { pair, client, server, transcript, .. } = self;
        let side = match role {
            Role::Client => client,
            Role::Server => server,
        };
        let command = Command::draw(random, &side.ledger);
        let (now, end, ..) = pair.side(role);
        let before = Snapshot::of(&end.socket);
        let result = command.give(Instant::from_nanos(now), &mut end.socket.sender());
        let after = Snapshot::of(&end.socket);
        transcript.record(now, who(role), format_args!("{command}: {result:?}"));
        command.check(before, side.ledger.under_way(), &side.limits, result)?;
        match result {
            Ok(()) => command.enter(&mut side.ledger),
            Err(error) => ensure(before == after, || format!("{error:?} left {before:?} as {after:?}"))?,
        }
        Ok(())
    }

    fn write(&mut self, role: Role, random: &mut Random) -> Result<(), ContractViolation> {
        let (slices, budget) = (random.length_up_to(4), draw::length(random));
        let (now, end, lane, _) = self.pair.side(role);
        let before = lane.written().len();
        end.write(now, lane, slices, budget);
        let written = lane.written().get(before..).unwrap_or_default();
        if !written.is_empty() {
            self.transcript.record(now, who(role), Bytes::whole(written));
        }
        Ok(())
    }

    fn read(&mut self, role: Role, random: &mut Random) -> Result<(), ContractViolation> {
        if self.side_mut(role).paused {
            return if random.happens(200_000) { self.pause_or_resume(role) } else { Ok(()) };
        }
        let max = draw::length(random).max(1);
        let (now, end, _, lane) = self.pair.side(role);
        while lane.arrive(now) {}
        match lane.next_chunk(max) {
            None => Ok(()),
            Some(chunk) => {
                let text = match &chunk {
                    Chunk::Bytes(bytes) => format!("reads {}", bytes.len()),
                    end => format!("reads {end:?}"),
                };
                self.transcript.record(now, who(role), text);
                end.take(now, lane, chunk)
            }
        }
    }

    /// A due deadline takes effect. Before a deadline is due, a call changes nothing.
    fn tick(&mut self, role: Role) -> Result<(), ContractViolation> {
        let (now, end, ..) = self.pair.side(role);
        if tick(&mut end.socket, Instant::from_nanos(now))? {
            self.transcript.record(now, who(role), "was woken");
            return Ok(());
        }
        let before = Snapshot::of(&end.socket);
        end.socket.handle_timeout(Instant::from_nanos(now));
        let after = Snapshot::of(&end.socket);
        // A state machine that knows a later time treats this time as that later one.
        ensure(before == after || self.behind, || format!("an early handle_timeout left {before:?} as {after:?}"))
    }

    fn take_event(&mut self, role: Role) -> Result<(), ContractViolation> {
        let (now, end, writes, reads) = self.pair.side(role);
        if end.take_event(now, writes, reads)? {
            let text = format!("{:?}", end.closed);
            self.transcript.record(now, who(role), text);
        }
        Ok(())
    }

    fn pause_or_resume(&mut self, role: Role) -> Result<(), ContractViolation> {
        let side = self.side_mut(role);
        side.paused = !side.paused;
        let paused = side.paused;
        let (now, end, ..) = self.pair.side(role);
        let at = Instant::from_nanos(now);
        if paused {
            end.socket.reading_paused(at);
        } else {
            end.socket.reading_resumed(at);
        }
        self.transcript.record(now, who(role), if paused { "stops reading" } else { "reads again" });
        Ok(())
    }

    /// Rare faults and wrong calls.
    fn accident(&mut self, role: Role, random: &mut Random) -> Result<(), ContractViolation> {
        if !random.happens(300_000) {
            return Ok(());
        }
        let (now, end, writes, _) = self.pair.side(role);
        let text = match random.up_to(2) {
            0 => {
                end.socket.abort(Instant::from_nanos(now));
                "aborts".into()
            }
            1 => {
                // Nothing requested these calls.
                end.socket.shutdown_done();
                end.socket.transmitted(Instant::from_nanos(now), 0);
                "confirms what nobody asked for".into()
            }
            _ => {
                let kind = random.pick([FailureKind::Eof, FailureKind::Reset, FailureKind::Silence]);
                writes.cut(now, kind);
                format!("is cut off: {kind:?}")
            }
        };
        self.transcript.record(now, who(role), text);
        Ok(())
    }

    /// Checks the guarantees of an end after each step.
    fn check(&mut self, role: Role) -> Result<(), ContractViolation> {
        let Self { pair, client, server, transcript, .. } = self;
        let (side, other) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let (now, end, writes, reads) = pair.side(role);
        while let Some(event) = end.events.get(side.checked) {
            side.checked += 1;
            transcript.record(now, who(role), describe(event));
            if !reads.is_corrupted() {
                let pings = other.limits.config.get_keep_alive().get_interval().is_some();
                let answers = (!writes.is_corrupted()).then_some(&mut side.ledger);
                other.ledger.receive(event, &side.limits, answers, pings)?;
            }
        }
        if let Some(error) = end.violation.filter(|_| !side.error_checked) {
            side.error_checked = true;
            transcript.record(now, who(role), format_args!("{error:?}"));
            if !reads.is_corrupted() {
                other.ledger.check_error(error, &side.limits)?;
            }
        }
        let config = &side.limits.config;
        let queued = end.socket.queued();
        ensure(queued <= config.get_max_queued().saturating_add(SLACK), || format!("{queued} bytes are queued"))?;

        let state = end.socket.state();
        ensure(side.state <= state, || format!("{:?} became {state:?}", side.state))?;
        side.state = state;

        let timeout = end.socket.poll_timeout();
        let lends = end.socket.poll_transmit(&mut [&[][..]]) > 0;
        let consistent = match state {
            State::Open => side.paused || !watches(config.get_keep_alive()) || timeout.is_some(),
            State::Closed => timeout.is_none() && !lends && queued == 0,
            // An end that has begun always completes.
            _ => timeout.is_some(),
        };
        ensure(consistent, || format!("{state:?}, next deadline {timeout:?}, something to write: {lends}"))?;
        ensure(end.closed.is_none() || state == State::Closed, || format!("{state:?} after Closed"))
    }

    /// Checks a connection that both ends have closed.
    fn conclude(&mut self) -> Result<(), ContractViolation> {
        self.pair.check_wires()?;
        let Self { pair, client, server, .. } = self;
        let clean = [&pair.client, &pair.server].iter().all(|end| end.closed.is_some_and(|closed| closed.clean));
        let intact = !pair.up.is_faulty() && !pair.down.is_faulty();
        if clean && intact && pair.client.violation.is_none() && pair.server.violation.is_none() {
            ensure(client.ledger.is_settled() && server.ledger.is_settled(), || {
                format!("a clean end, and yet something was lost: {client:?} {server:?}")
            })?;
        }
        let Pair { client: client_end, server: server_end, up, down, .. } = pair;
        for (sender, end, lane, side) in
            [(reference::Role::Server, client_end, down, client), (reference::Role::Client, server_end, up, server)]
        {
            let case = Case {
                sender,
                read: lane.read().get(..end.attended).unwrap_or_default(),
                compresses: side.limits.compresses,
                events: &end.events,
                violation: end.violation,
                closed: end.closed,
            };
            case.verify()?;
        }
        Ok(())
    }

    fn side_mut(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

impl Side {
    fn new(limits: Limits) -> Self {
        let ledger = Ledger::default();
        Self { limits, ledger, paused: false, checked: 0, error_checked: false, state: State::Open }
    }
}

fn connect(random: &mut Random) -> (Pair, Side, Side) {
    let (negotiated, faults) = (draw::negotiated(random), draw::faults(random));
    let [client, server] = [draw::config(random), draw::config(random)];
    let pair = Pair::between(random.up_to(u64::MAX), [&client, &server], &negotiated, &faults);
    let compresses = negotiated.deflate.is_some();
    let side = |config| Side::new(Limits { config, compresses });
    (pair, side(client), side(server))
}

/// Whether an open connection always has a deadline.
fn watches(keep_alive: KeepAlive) -> bool {
    keep_alive.get_interval().is_some() && keep_alive.get_timeout().is_some()
}

fn who(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

/// A message as its length and its first bytes. The trace already has all of its bytes.
fn describe(event: &OwnedEvent) -> String {
    let (kind, payload) = match event {
        OwnedEvent::Text(text) => ("text", text.as_bytes()),
        OwnedEvent::Binary(payload) => ("binary", &payload[..]),
        OwnedEvent::Ping(payload) => ("Ping", &payload[..]),
        OwnedEvent::Pong(payload) => ("Pong", &payload[..]),
        OwnedEvent::Close(frame) => return format!("receives Close {frame:?}"),
        OwnedEvent::Failed(error) => return format!("{error:?}"),
    };
    format!("receives {kind} {}", Bytes::start(payload))
}
