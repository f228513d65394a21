//! A client with all of its connections, and the server's side of each, over links with arbitrary faults.
//!
//! Input: a `Workload`, decoded with `arbitrary`. After its steps all faults stop. Then the client must become ready
//! again, have the same subscriptions as the server, and receive exactly the events that are published for them. The
//! simulator checks the rest: the order of events, and the bytes on the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{DeflateConfig, DeflateOffer, Rejection};
use multiwa_ws_core::session::{
    ClientConfig, ClientSession, ClientState, DisconnectReason, EventNames, LifecycleEvent, RequestId, SecondProfile,
    ServerConfig,
};
use multiwa_ws_core::{client, server};

use crate::contract::ContractViolation;
use crate::link::{Failure, FailureKind, Faults};
use crate::simulator::{Admission, Node, OwnedClientEvent, Plan, Transport, World};

#[derive(Arbitrary, Debug)]
struct Workload {
    seed: u8,
    displace: bool,
    deflate: bool,
    server: ServerPlan,
    /// The links of the first connections. Later connections have no faults.
    links: Vec<LinkPlan>,
    steps: Vec<Step>,
}

/// The settings of every connection of the server.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct ServerPlan {
    without_sets: bool,
    deflate: bool,
    server_no_context_takeover: bool,
}

/// The faults of both links of one connection.
#[derive(Arbitrary, Debug)]
struct LinkPlan {
    /// The transport cannot be opened.
    unreachable: bool,
    /// The server refuses the upgrade.
    refused: bool,
    corrupts: bool,
    longest_delay_millis: u16,
    longest_piece: u8,
    small: bool,
    up_fails: Option<(u16, Fate)>,
    down_fails: Option<(u16, Fate)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Fate {
    Eof,
    Reset,
    Silence,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Subscribe { profile: u8, names: u8 },
    Unsubscribe { profile: Option<u8> },
    Ping,
    Publish { profile: Option<u8>, name: u8 },
    Pass { millis: u16 },
    Connect,
    Pause,
    Resume,
    ServerClose { code: u16 },
    ServerAbort,
    ClientClose,
}

const PROFILES: [&str; 3] = ["p", "q", "r"];
const NAMES: [&str; 4] = ["*", "qr.updated", "message.received", "x"];

/// More steps take longer and find nothing new.
const MAX_STEPS: usize = 60;

/// Longer than a client needs to become ready over links without faults, and longer than a server waits for a client
/// that has left.
const LONG: Duration = Duration::from_secs(400);

/// The number of the only client.
const CLIENT: usize = 0;

/// Runs the steps of one workload, then stops the faults and compares both peers.
pub fn run(data: &[u8]) {
    let Ok(workload) = Workload::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut peers = Peers::new(&workload);
    if let Err(violation) = peers.run(&workload) {
        panic!("{violation}\n{}", peers.world.transcript);
    }
}

struct Peers {
    world: World,
    pending: BTreeSet<RequestId>,
    /// The number of the client's events that were checked.
    checked: usize,
    published: u64,
    closed: bool,
}

impl Peers {
    fn new(workload: &Workload) -> Self {
        let mut world = World::new(workload.seed.into());
        world.dial_time = 0;
        world.faults = Faults::default();
        world.plans = workload.links.iter().map(LinkPlan::plan).collect();
        world.config =
            server::Config::new().session(ServerConfig::new().subscription_sets(!workload.server.without_sets));
        world.deflate = workload
            .server
            .deflate
            .then(|| DeflateConfig::new().server_no_context_takeover(workload.server.server_no_context_takeover));
        let rule = if workload.displace { SecondProfile::Displace } else { SecondProfile::Refuse };
        let config = client::Config::new().session(ClientConfig::new().second_profile(rule));
        world.add_client(config);
        Self { world, pending: BTreeSet::new(), checked: 0, published: 0, closed: false }
    }

    fn run(&mut self, workload: &Workload) -> Result<(), ContractViolation> {
        self.node()?.request.deflate = workload.deflate.then(DeflateOffer::default);
        for step in workload.steps.iter().take(MAX_STEPS) {
            self.step(step)?;
        }
        self.heal()?;
        self.compare(!workload.server.without_sets)?;
        self.end()
    }

    fn step(&mut self, step: &Step) -> Result<(), ContractViolation> {
        let now = self.world.now();
        let mut commands = self.world.node(CLIENT)?.client.commands();
        let requested = match step {
            Step::Subscribe { profile, names } => {
                let chosen = NAMES.iter().enumerate().filter(|(index, _)| names >> index & 1 == 1);
                let names: EventNames = chosen.map(|(_, name)| *name).collect();
                commands.subscribe(now, pick(&PROFILES, *profile), &names).ok()
            }
            Step::Unsubscribe { profile } => {
                commands.unsubscribe(now, profile.map(|profile| pick(&PROFILES, profile))).ok()
            }
            Step::Ping => commands.ping(now).ok(),
            _ => None,
        };
        if let Some(id) = requested {
            assert!(self.pending.insert(id), "{id} was given twice");
        }
        match step {
            Step::Publish { profile, name } => {
                self.publish(profile.map(|profile| pick(&PROFILES, profile)), pick(&NAMES, *name))?;
            }
            Step::Pass { millis } => self.world.sleep(Duration::from_millis((*millis).into()))?,
            // A client that is connected, or has closed, refuses.
            Step::Connect => _ = self.node()?.client.connect(now),
            Step::Pause => self.world.pause(CLIENT)?,
            Step::Resume => self.world.resume(CLIENT)?,
            Step::ServerClose { code } => {
                if let Some(transport) = self.transport()? {
                    // A code that must not be sent is refused.
                    _ = transport.connection.close(now, CloseCode::new(*code), "");
                }
            }
            Step::ServerAbort => {
                if let Some(transport) = self.transport()? {
                    transport.connection.abort(now);
                }
            }
            Step::ClientClose => self.node()?.client.commands().close(now),
            Step::Subscribe { .. } | Step::Unsubscribe { .. } | Step::Ping => {}
        }
        self.world.settle()?;
        self.check()
    }

    /// Publishes one event. Returns whether the client's current connection took it.
    fn publish(&mut self, profile: Option<&str>, name: &str) -> Result<bool, ContractViolation> {
        self.published += 1;
        let took = self.world.publish(profile, name, &self.published.to_string())?;
        Ok(self.world.transport_of(CLIENT).is_some_and(|id| took.contains(&id)))
    }

    /// Removes the faults and waits until everything has settled.
    fn heal(&mut self) -> Result<(), ContractViolation> {
        let now = self.world.now();
        self.world.plans.clear();
        self.world.resume(CLIENT)?;
        if self.session()?.state() == ClientState::Idle {
            assert_eq!(self.node()?.client.connect(now), Ok(()));
        }
        let clean = |faults: &Faults| faults.corrupted_pieces_per_million == 0 && faults.failure.is_none();
        if self.transport()?.is_some_and(|transport| !clean(&transport.plan.up) || !clean(&transport.plan.down)) {
            self.node()?.client.handle_lost(now, DisconnectReason::Io);
        }
        self.pass()?;
        let current: Vec<u64> = self.world.transport_of(CLIENT).into_iter().collect();
        assert_eq!(self.world.transports(), current, "a server never noticed that its client left");
        Ok(())
    }

    /// Both peers must agree, and published events must arrive.
    fn compare(&mut self, sets: bool) -> Result<(), ContractViolation> {
        let closed = self.closed;
        assert_eq!(closed, self.session()?.state() == ClientState::Closed);
        if closed {
            return Ok(());
        }
        assert!(self.pending.is_empty(), "{:?} never ended", self.pending);
        let session = self.session()?;
        assert_eq!(session.state(), ClientState::Ready);
        assert_eq!(session.features().subscription_sets, sets);
        let (desired, active) = (session.desired(), session.active().clone());
        assert!(active.iter().all(|(profile, names)| desired.get(profile) == Some(names)), "{active:?} of {desired:?}");
        // Without sets, the server holds one profile at a time. The others wait until it is unsubscribed.
        let held = if sets { desired.len() } else { desired.len().min(1) };
        assert_eq!(active.len(), held, "{active:?} of {desired:?}");
        let Some(transport) = self.transport()? else { panic!("ready without a transport") };
        assert_eq!(Some(&active), transport.connection.subscriptions());
        let filtered = transport.undelivered.len();
        for profile in PROFILES.into_iter().map(Some).chain([None]) {
            for name in NAMES {
                assert_eq!(self.publish(profile, name)?, active.matches(profile, name));
            }
        }
        // On a narrow link, every few bytes take the full delay.
        self.pass()?;
        let Some(transport) = self.transport()? else { panic!("the connection was lost") };
        // If the subscription of an event ends while the event is on its way, the client filters the event. It stays on
        // the list until a later one arrives.
        let undelivered = &transport.undelivered;
        assert!(undelivered.is_empty() || undelivered.len() <= filtered, "{undelivered:?} never arrived");
        Ok(())
    }

    /// Closes the client permanently. Everything must end, once.
    fn end(&mut self) -> Result<(), ContractViolation> {
        let now = self.world.now();
        self.node()?.client.commands().close(now);
        self.pass()?;
        assert!(self.closed, "never closed");
        assert!(self.pending.is_empty(), "{:?} never ended", self.pending);
        assert_eq!(self.node()?.client.poll_timeout(), None);
        assert!(self.world.transport_of(CLIENT).is_none() && self.world.transports().is_empty());
        Ok(())
    }

    fn pass(&mut self) -> Result<(), ContractViolation> {
        self.world.sleep(LONG)?;
        self.check()
    }

    /// Every request ends once, and the client reports its end.
    fn check(&mut self) -> Result<(), ContractViolation> {
        let events = &self.world.node(CLIENT)?.events;
        for event in &events[self.checked..] {
            match event {
                OwnedClientEvent::Ended { id, .. } => assert!(self.pending.remove(id), "{id} ended twice"),
                OwnedClientEvent::Lifecycle(LifecycleEvent::Closed(_)) => self.closed = true,
                _ => {}
            }
        }
        self.checked = events.len();
        Ok(())
    }

    fn node(&mut self) -> Result<&mut Node, ContractViolation> {
        self.world.node(CLIENT)
    }

    fn session(&mut self) -> Result<&ClientSession, ContractViolation> {
        Ok(self.node()?.client.session())
    }

    /// The client's current transport.
    fn transport(&mut self) -> Result<Option<&mut Transport>, ContractViolation> {
        self.world.transport_of(CLIENT).map(|id| self.world.transport(id)).transpose()
    }
}

impl LinkPlan {
    fn plan(&self) -> Plan {
        let admission = match self {
            Self { unreachable: true, .. } => Admission::ConnectionRefused,
            Self { refused: true, .. } => Admission::Reject(Rejection::unavailable(Duration::from_secs(1))),
            _ => Admission::Accept,
        };
        Plan { admission, up: self.faults(self.up_fails), down: self.faults(self.down_fails) }
    }

    fn faults(&self, failure: Option<(u16, Fate)>) -> Faults {
        Faults {
            delay: 0..=u64::from(self.longest_delay_millis % 5_000) * 1_000_000,
            longest_piece: (self.longest_piece > 0).then_some(self.longest_piece.into()),
            capacity: if self.small { 64 } else { usize::MAX },
            corrupted_pieces_per_million: if self.corrupts { 20_000 } else { 0 },
            failure: failure.map(|(after_bytes, fate)| Failure {
                after_bytes: u64::from(after_bytes % 4_096),
                kind: match fate {
                    Fate::Eof => FailureKind::Eof,
                    Fate::Reset => FailureKind::Reset,
                    Fate::Silence => FailureKind::Silence,
                },
            }),
            ..Faults::default()
        }
    }
}

fn pick<const N: usize>(names: &[&'static str; N], index: u8) -> &'static str {
    names[usize::from(index) % N]
}
