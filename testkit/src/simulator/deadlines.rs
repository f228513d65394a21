//! Checks the guarantees of keep-alive at random: it reports no live peer as dead, and it detects a dead peer in time.
//!
//! The lines are slow, the operating systems at their ends hold bytes, minutes of backlog wait behind them, and
//! processes are stopped. A peer that is stopped for longer than the wait for its pong may be reported as dead. So most
//! stops are short. Only an end whose peer sends no pings is stopped for longer.

use multiwa_ws_core::session::{ClientConfig, ClientState, EventNames, LifecycleEvent};
use multiwa_ws_core::websocket::{Config, Negotiated, Role};
use multiwa_ws_core::{Instant, KeepAlive, client, server};

use super::{OwnedClientEvent, Pair, World};
use crate::contract::{ContractViolation, ensure};
use crate::event::OwnedEvent;
use crate::link::{FailureKind, Faults};
use crate::random::Random;

const SECOND: u64 = 1_000_000_000;

/// The sum of two limits (`docs/architecture.md`, Deadlines): 30 s to the next ping, and at most 60 s for its pong.
const FOUND_AFTER: u64 = 90 * SECOND;

/// Shorter than the wait for a pong.
const SHORT_STOP: u64 = 4 * SECOND;
/// Longer than the wait for a pong.
const LONG_STOP: u64 = 15 * SECOND;

/// The maximum number of bytes that wait at one end.
const BACKLOG: usize = 3 << 20;

/// Checks one guarantee with random values from a seed.
///
/// # Errors
/// The guarantee does not hold.
pub type Check = fn(u64) -> Result<(), ContractViolation>;

/// Each check of a seed, with its name.
pub const CHECKS: [(&str, Check); 4] =
    [("live_socket", live_socket), ("dead_socket", dead_socket), ("live_peer", live_peer), ("dead_peer", dead_peer)];

/// Bare connections: no end is reported as dead, and every message arrives.
///
/// # Errors
/// A broken guarantee.
pub fn live_socket(seed: u64) -> Result<(), ContractViolation> {
    let mut run = SocketRun::new(seed, &LIVE_LINES);
    for _ in 0..12 {
        run.act()?;
        run.check_alive()?;
    }
    for _ in 0..500 {
        if run.pair.up.waiting() + run.pair.down.waiting() > 0 || run.pair.client.socket.queued() > 0 {
            run.sleep(10 * SECOND)?;
        }
    }
    run.sleep(100 * SECOND)?;
    run.check_alive()?;
    let messages = |role| {
        let (_, end, ..) = run.pair.side(role);
        end.events.iter().filter(|event| matches!(event, OwnedEvent::Binary(_))).count()
    };
    let arrived = [Role::Server, Role::Client].map(messages);
    ensure(arrived == run.sent, || format!("of {:?} messages {arrived:?} arrived", run.sent))
}

/// Bare connections: a peer that no longer takes or sends anything is detected in time.
///
/// # Errors
/// A broken guarantee.
pub fn dead_socket(seed: u64) -> Result<(), ContractViolation> {
    let mut run = SocketRun::new(seed, &DEAD_LINES);
    let survivor = run.pinger.unwrap_or(Role::Client);
    for _ in 0..run.random.up_to(6) {
        run.act()?;
        if run.check_alive().is_err() {
            // The line is too slow for the guarantee to live peers.
            return Ok(());
        }
    }
    let now = run.pair.now;
    if run.random.happens(500_000) {
        run.pair.up.cut(now, FailureKind::Stall);
        run.pair.down.cut(now, FailureKind::Stall);
    } else {
        run.pair.side(other(survivor)).1.stopped_until = u64::MAX;
    }
    let chats = run.random.happens(300_000);
    let mut watch = Watch::new(&mut run.random, now);
    let mut moved = (0, 0);
    loop {
        if let Some(until) = watch.stop(run.pair.now) {
            run.pair.side(survivor).1.stopped_until = until;
        }
        run.sleep(SECOND)?;
        let (now, end, writes, reads) = run.pair.side(survivor);
        if end.closed.is_some() {
            return Ok(());
        }
        // Bytes that leave at once prove that the operating system is alive, and not the peer.
        let backlog = if end.socket.queued() > 0 { writes.written().len() } else { moved.0 };
        let before = core::mem::replace(&mut moved, (backlog, reads.read().len()));
        watch.check(now, before != moved)?;
        if chats && (now / SECOND).is_multiple_of(5) {
            // The queue may be full.
            _ = end.socket.send_text("still there?");
        }
    }
}

/// Whole clients and a server: no end is reported as dead, and every event arrives.
///
/// # Errors
/// A broken guarantee.
pub fn live_peer(seed: u64) -> Result<(), ContractViolation> {
    let mut run = PeerRun::new(seed, &LIVE_LINES)?;
    for _ in 0..12 {
        run.act()?;
        run.check_alive()?;
    }
    for _ in 0..500 {
        if run.world.transport(run.id)?.down.waiting() > 0 {
            run.world.sleep(seconds(10))?;
        }
    }
    run.world.sleep(seconds(100))?;
    run.check_alive()?;
    let events = &run.world.node(0)?.events;
    let arrived = events.iter().filter(|event| matches!(event, OwnedClientEvent::Event { .. })).count();
    ensure(arrived == run.published, || format!("of {} events {arrived} arrived", run.published))
}

/// Whole clients and a server: an end that no longer takes or sends anything is detected in time.
///
/// # Errors
/// A broken guarantee.
pub fn dead_peer(seed: u64) -> Result<(), ContractViolation> {
    let mut run = PeerRun::new(seed, &DEAD_LINES)?;
    let survivor = run.pinger.unwrap_or(Role::Client);
    for _ in 0..run.random.up_to(6) {
        run.act()?;
        if run.check_alive().is_err() {
            // The line is too slow for the guarantee to live peers.
            return Ok(());
        }
    }
    let now = run.world.now().as_nanos();
    if run.random.happens(500_000) {
        run.world.cut(0, FailureKind::Stall);
    } else {
        *run.stopped_until(other(survivor))? = u64::MAX;
    }
    let mut watch = Watch::new(&mut run.random, now);
    let mut moved = (0, 0);
    loop {
        if let Some(until) = watch.stop(run.world.now().as_nanos()) {
            *run.stopped_until(survivor)? = until;
        }
        run.world.sleep(seconds(1))?;
        let found = match survivor {
            Role::Client => run.is_lost()?,
            Role::Server => run.world.ending(run.id).is_some(),
        };
        if found {
            return Ok(());
        }
        let client_waits = run.world.node(0)?.client.poll_transmit(&mut [&[]]) > 0;
        let transport = run.world.transport(run.id)?;
        let (waits, writes, reads) = match survivor {
            Role::Client => (client_waits, &transport.up, &transport.down),
            Role::Server => (transport.connection.queued() > 0, &transport.down, &transport.up),
        };
        // Bytes that leave at once prove that the operating system is alive, and not the peer.
        let backlog = if waits { writes.written().len() } else { moved.0 };
        let before = core::mem::replace(&mut moved, (backlog, reads.read().len()));
        watch.check(run.world.now().as_nanos(), before != moved)?;
    }
}

/// Measures how long a dead peer is taken for a live one.
struct Watch {
    /// The time at which the survivor's process is stopped, once.
    stop_at: Option<u64>,
    stopped: u64,
    last_sign: u64,
}

impl Watch {
    fn new(random: &mut Random, now: u64) -> Self {
        let stop_at = random.happens(500_000).then(|| now + random.up_to(60 * SECOND));
        Self { stop_at, stopped: 0, last_sign: now }
    }

    fn stop(&mut self, now: u64) -> Option<u64> {
        self.stop_at.take_if(|at| *at <= now)?;
        self.stopped = LONG_STOP;
        Some(now + LONG_STOP)
    }

    fn check(&mut self, now: u64, is_sign: bool) -> Result<(), ContractViolation> {
        if is_sign {
            self.last_sign = now;
        }
        // The check runs every second.
        let late = now > self.last_sign + FOUND_AFTER + self.stopped + SECOND;
        ensure(!late, || format!("dead since {} and not found at {now}", self.last_sign))
    }
}

struct SocketRun {
    random: Random,
    pair: Pair,
    /// The only end that sends pings. `None`: both ends do.
    pinger: Option<Role>,
    capacity: usize,
    sent: [usize; 2],
}

impl SocketRun {
    fn new(seed: u64, lines: &[(u32, usize); 5]) -> Self {
        let mut random = Random::new(seed);
        let pinger = random.pick([None, Some(Role::Client), Some(Role::Server)]);
        let config = |role| {
            let keep_alive = keep_alive(pinger, role);
            Config::new().keep_alive(keep_alive).max_message_len(BACKLOG).max_queued(BACKLOG + 1_000)
        };
        let configs = [&config(Role::Client), &config(Role::Server)];
        let line = line(&mut random, lines);
        let pair = Pair::between(random.up_to(u64::MAX), configs, &Negotiated::default(), &line);
        Self { random, pair, pinger, capacity: line.capacity, sent: [0; 2] }
    }

    fn act(&mut self) -> Result<(), ContractViolation> {
        let role = self.random.pick([Role::Client, Role::Server]);
        match self.random.up_to(3) {
            0 => {
                let time = stop_time(&mut self.random, self.pinger, role);
                if self.random.happens(500_000) {
                    // The critical time: the next deadline is for a ping or its answer.
                    let due = self.pair.side(role).1.socket.poll_timeout().map_or(0, Instant::as_nanos);
                    self.pair.sleep_until(due)?;
                }
                self.pair.side(role).1.stopped_until = self.pair.now + time;
                // Two stops in a row would count as one long stop.
                self.sleep(time + LONG_STOP)?;
            }
            1 => {}
            _ => {
                let len = length(&mut self.random, self.capacity);
                // A message that does not fit behind the backlog is not sent.
                if self.pair.side(role).1.socket.send_binary(&vec![0; len]).is_ok() {
                    let [client, server] = &mut self.sent;
                    *(if role == Role::Client { client } else { server }) += 1;
                }
            }
        }
        let time = self.random.up_to(40 * SECOND);
        self.sleep(time)
    }

    fn sleep(&mut self, time: u64) -> Result<(), ContractViolation> {
        self.pair.sleep_until(self.pair.now + time)
    }

    fn check_alive(&self) -> Result<(), ContractViolation> {
        let Pair { now, client, server, .. } = &self.pair;
        let closed = (client.closed, server.closed);
        ensure(closed == (None, None), || format!("{closed:?} by {now}, {:?} pings", self.pinger))
    }
}

struct PeerRun {
    random: Random,
    world: World,
    /// The only end that sends pings. `None`: both ends do.
    pinger: Option<Role>,
    capacity: usize,
    /// The only transport.
    id: u64,
    published: usize,
}

impl PeerRun {
    fn new(seed: u64, lines: &[(u32, usize); 5]) -> Result<Self, ContractViolation> {
        let mut random = Random::new(seed);
        let pinger = random.pick([None, Some(Role::Client), Some(Role::Server)]);
        let mut world = World::new(random.up_to(u64::MAX));
        world.faults = line(&mut random, lines);
        let capacity = world.faults.capacity;
        let websocket = Config::new().keep_alive(keep_alive(pinger, Role::Server));
        world.config = server::Config::new().websocket(websocket);
        let session = ClientConfig::new().keep_alive(keep_alive(pinger, Role::Client));
        let websocket = Config::new().keep_alive(KeepAlive::OFF).max_message_len(BACKLOG * 2);
        let client = world.add_client(client::Config::new().session(session).websocket(websocket));
        let now = world.now();
        let node = world.node(client)?;
        let asked = node.client.commands().subscribe(now, "a", &EventNames::every());
        asked
            .map(|_| ())
            .and_then(|()| node.client.connect(now))
            .map_err(|error| ContractViolation(error.to_string()))?;
        let is_ready = |world: &mut World| {
            world.node(client).is_ok_and(|node| node.client.session().state() == ClientState::Ready)
        };
        world.sleep_until(is_ready)?;
        let id = world.transport_of(client).ok_or_else(|| ContractViolation("ready without a transport".into()))?;
        Ok(Self { random, world, pinger, capacity, id, published: 0 })
    }

    fn act(&mut self) -> Result<(), ContractViolation> {
        match self.random.up_to(5) {
            0 => {
                let role = self.random.pick([Role::Client, Role::Server]);
                let time = stop_time(&mut self.random, self.pinger, role);
                if self.random.happens(500_000) {
                    // The critical time: the next deadline is for a ping or its answer.
                    let due = match role {
                        Role::Client => self.world.node(0)?.client.poll_timeout(),
                        Role::Server => self.world.transport(self.id)?.connection.poll_timeout(),
                    };
                    self.world.sleep(due.unwrap_or_default().saturating_duration_since(self.world.now()))?;
                }
                *self.stopped_until(role)? = self.world.now().as_nanos() + time;
                // Two stops in a row would count as one long stop.
                self.sleep(time + LONG_STOP)?;
            }
            1 => {}
            2 => {
                let now = self.world.now();
                // The request may fail, because it may wait for the answer to another one.
                _ = self.world.node(0)?.client.commands().ping(now);
            }
            3 => {
                let now = self.world.now();
                let name = |number| format!("{number:0250}");
                let count = self.random.pick([100, 1_000]);
                let names: EventNames = (0..count).map(name).collect();
                let profile = self.random.pick(["b", "c"]);
                // The request may fail, because others may wait for their answers.
                _ = self.world.node(0)?.client.commands().subscribe(now, profile, &names);
            }
            _ => {
                let len = length(&mut self.random, self.capacity);
                if self.world.transport(self.id)?.connection.queued() + len <= BACKLOG {
                    self.world.publish(Some("a"), "x", &format!("\"{}\"", "x".repeat(len)))?;
                    self.published += 1;
                }
            }
        }
        let time = self.random.up_to(40 * SECOND);
        self.sleep(time)
    }

    fn stopped_until(&mut self, role: Role) -> Result<&mut u64, ContractViolation> {
        match role {
            Role::Client => Ok(&mut self.world.node(0)?.stopped_until),
            Role::Server => Ok(&mut self.world.stopped_until),
        }
    }

    fn sleep(&mut self, nanos: u64) -> Result<(), ContractViolation> {
        self.world.sleep(core::time::Duration::from_nanos(nanos))
    }

    /// Whether the client has lost its connection.
    fn is_lost(&mut self) -> Result<bool, ContractViolation> {
        let events = &self.world.node(0)?.events;
        Ok(events.iter().any(|event| {
            matches!(event, OwnedClientEvent::Lifecycle(LifecycleEvent::Backoff { .. } | LifecycleEvent::Closed(_)))
        }))
    }

    fn check_alive(&mut self) -> Result<(), ContractViolation> {
        let ended = (self.is_lost()?, self.world.ending(self.id));
        let reason = self.world.node(0)?.client.session().last_disconnect();
        ensure(ended == (false, None), || {
            format!("client lost: {reason:?}, server: {:?} by {:?}, {:?} pings", ended.1, self.world.now(), self.pinger)
        })
    }
}

/// Bytes per second of a line, and the bytes that the operating systems hold. Keep-alive allows for at most this much.
const LIVE_LINES: [(u32, usize); 5] =
    [(5_000, 64 << 10), (16_000, 256 << 10), (24_000, 256 << 10), (100_000, 256 << 10), (256_000, 256 << 10)];

/// One line is so slow that the longest wait for a pong is shorter than the wait that keep-alive would allow for it.
const DEAD_LINES: [(u32, usize); 5] =
    [(2_000, 256 << 10), (5_000, 64 << 10), (16_000, 256 << 10), (24_000, 256 << 10), (256_000, 256 << 10)];

fn line(random: &mut Random, lines: &[(u32, usize); 5]) -> Faults {
    let (bytes_per_second, capacity) = random.pick(*lines);
    Faults {
        delay: 0..=random.pick([0, 50_000_000, 300_000_000]),
        longest_piece: Some(16 << 10),
        capacity,
        bytes_per_second: Some(bytes_per_second),
        ..Faults::default()
    }
}

/// A few bytes, a length that the operating system takes at once, or a backlog of up to minutes.
fn length(random: &mut Random, capacity: usize) -> usize {
    random.pick([10, 2_000, capacity / 8, capacity * 3 / 4, capacity * 2, capacity * 4, BACKLOG.min(capacity * 12)])
}

fn stop_time(random: &mut Random, pinger: Option<Role>, role: Role) -> u64 {
    random.up_to(if pinger == Some(role) { LONG_STOP } else { SHORT_STOP })
}

fn keep_alive(pinger: Option<Role>, role: Role) -> KeepAlive {
    if pinger.is_none_or(|pinger| pinger == role) { KeepAlive::default() } else { KeepAlive::OFF }
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

fn seconds(seconds: u64) -> core::time::Duration {
    core::time::Duration::from_secs(seconds)
}
