//! Whole clients, a whole server, and every transport between them.

mod clients;
mod connections;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{self, Client};
use multiwa_ws_core::handshake::{ClientRequest, DeflateConfig, Rejection};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::server::{self, Connection, Ended};
use multiwa_ws_core::session::ServerEvent;

use super::lane::instant;
use super::{Lane, OwnedClientEvent};
use crate::contract::ContractViolation;
use crate::link::Faults;
use crate::random::Random;
use crate::transcript::Transcript;

/// Clients that come and go, and one server with its hub.
///
/// Its public fields are settings. A changed setting applies to connections and transports that begin later.
///
/// - A suite gives commands to [`Node::client`] and to the server ([`publish`](Self::publish),
///   [`close_all`](Self::close_all), [`restart`](Self::restart)), lets time pass ([`settle`](Self::settle),
///   [`sleep`](Self::sleep), [`sleep_until`](Self::sleep_until)), and checks [`Node::events`] and [`Transport`].
/// - A suite that needs another order than the fair one does each thing by itself. For a client: [`act`](Self::act),
///   [`dial`](Self::dial), [`client_write`](Self::client_write), [`client_read`](Self::client_read),
///   [`client_events`](Self::client_events) and [`client_tick`](Self::client_tick). For a transport:
///   [`server_write`](Self::server_write), [`server_read`](Self::server_read), [`server_events`](Self::server_events)
///   and [`server_tick`](Self::server_tick).
#[derive(Debug)]
pub struct World {
    /// How the server treats new transports.
    pub admission: Admission,
    /// How each connection of the server is configured.
    pub config: server::Config,
    /// How the server accepts `permessage-deflate`, if it does.
    pub deflate: Option<DeflateConfig>,
    /// Nanoseconds that it takes to open a transport.
    pub dial_time: u64,
    /// The faults of the transports.
    pub faults: Faults,
    /// How the next transports are opened, in order. Behind them, [`admission`](Self::admission) and
    /// [`faults`](Self::faults) apply.
    pub plans: VecDeque<Plan>,
    /// The server's process is stopped until then: bytes still arrive and leave, and nothing calls its state machines.
    pub stopped_until: u64,
    /// The trace.
    pub transcript: Transcript,
    now: u64,
    nodes: Vec<Node>,
    transports: BTreeMap<u64, Transport>,
    /// The client of each transport. The first transport has number 1.
    owners: Vec<usize>,
    endings: BTreeMap<u64, Ended>,
    hub: Hub<u64>,
    random: Random,
}

/// How the server treats new transports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It accepts every upgrade.
    Accept,
    /// It answers the upgrade with this rejection.
    Reject(Rejection),
    /// The server does not listen: a transport cannot be opened.
    ConnectionRefused,
    /// The server sends nothing back, and no transport is opened.
    BlackHole,
}

/// How one transport is opened.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the server treats it.
    pub admission: Admission,
    /// The faults from the client to the server.
    pub up: Faults,
    /// The faults from the server to the client.
    pub down: Faults,
}

/// A client and its state.
#[derive(Debug)]
pub struct Node {
    /// The state machine.
    pub client: Client,
    /// Its events, in order.
    pub events: Vec<OwnedClientEvent>,
    /// The request that it sends to the server at each upgrade.
    pub request: ClientRequest,
    /// Whether bytes to it or from it were damaged on the way, on any transport.
    pub tainted: bool,
    /// Its process is stopped until then: bytes still arrive and leave, and nothing calls the state machine.
    pub stopped_until: u64,
    paused: bool,
    /// When the transport that it requested is open.
    dialing: Option<u64>,
    transport: Option<u64>,
    closed: bool,
}

/// A transport and the server's connection at its end.
#[derive(Debug)]
pub struct Transport {
    /// From the client to the server.
    pub up: Lane,
    /// From the server to the client.
    pub down: Lane,
    /// The state machine of the server.
    pub connection: Connection,
    /// Its events, in order, except for the end.
    pub events: Vec<ServerEvent>,
    /// How it was opened.
    pub plan: Plan,
    /// The published events that the connection took and the client has not reported yet, in order.
    pub undelivered: VecDeque<OwnedClientEvent>,
    /// The client at the other end, while it holds the transport.
    client: Option<usize>,
}

/// The maximum number of turns in a virtual hour: far more than any suite needs, so more turns mean an endless loop.
const MAX_TURNS: usize = 100_000;

impl World {
    /// A server without clients, on links with a delay of one millisecond. `seed` is the seed of every state machine
    /// and every fault.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            admission: Admission::Accept,
            config: server::Config::default(),
            deflate: None,
            dial_time: 1_000_000,
            faults: Faults { delay: 1_000_000..=1_000_000, ..Faults::default() },
            plans: VecDeque::new(),
            stopped_until: 0,
            transcript: Transcript::new(200),
            now: 0,
            nodes: Vec::new(),
            transports: BTreeMap::new(),
            owners: Vec::new(),
            endings: BTreeMap::new(),
            hub: Hub::new(),
            random: Random::new(seed),
        }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Instant {
        instant(self.now)
    }

    /// Adds a client that does nothing yet, and returns its number.
    pub fn add_client(&mut self, config: client::Config) -> usize {
        self.nodes.push(Node {
            client: Client::new(config, self.random.bytes()),
            events: Vec::new(),
            request: ClientRequest::new("gateway:3001", "/ws?apiKey=key"),
            tainted: false,
            stopped_until: 0,
            paused: false,
            dialing: None,
            transport: None,
            closed: false,
        });
        self.nodes.len() - 1
    }

    /// The client with this number.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&mut self, client: usize) -> Result<&mut Node, ContractViolation> {
        self.nodes.get_mut(client).ok_or_else(|| ContractViolation(format!("there is no client {client}")))
    }

    /// The number of the client's current transport.
    #[must_use]
    pub fn transport_of(&self, client: usize) -> Option<u64> {
        self.nodes.get(client)?.transport
    }

    /// The transport with this number.
    ///
    /// # Errors
    /// There is none, or both ends have closed it.
    pub fn transport(&mut self, id: u64) -> Result<&mut Transport, ContractViolation> {
        self.transports.get_mut(&id).ok_or_else(|| ContractViolation(format!("there is no transport {id}")))
    }

    /// The numbers of the transports that are not closed at both ends.
    #[must_use]
    pub fn transports(&self) -> Vec<u64> {
        self.transports.keys().copied().collect()
    }

    /// How the connection of this transport ended. `None` before the end.
    #[must_use]
    pub fn ending(&self, id: u64) -> Option<Ended> {
        self.endings.get(&id).copied()
    }

    /// The number of transports that were opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.owners.len()
    }

    /// The client that the transport with this number was opened for.
    #[must_use]
    pub fn owner(&self, id: u64) -> Option<usize> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.owners.get(index).copied()
    }

    /// Applies no more faults to any transport, except for those that have already failed.
    pub fn heal(&mut self) {
        self.plans.clear();
        self.faults = Faults::default();
        for transport in self.transports.values_mut() {
            transport.up.heal();
            transport.down.heal();
        }
    }

    /// Records a step of the suite in the trace.
    pub fn note(&mut self, who: &str, what: impl Display) {
        self.transcript.record(self.now, who, what);
    }

    /// Jumps forward in time, without anything that would have happened in between.
    pub fn jump(&mut self, nanos: u64) {
        self.now = self.now.saturating_add(nanos);
    }

    /// Does everything that can be done at the present time.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn settle(&mut self) -> Result<(), ContractViolation> {
        for _ in 0..MAX_TURNS {
            if !self.turn()? {
                return Ok(());
            }
        }
        Err(ContractViolation(format!("still busy after {MAX_TURNS} turns at {}", self.now)))
    }

    /// Lets time pass, with everything that happens in between.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn sleep(&mut self, time: Duration) -> Result<(), ContractViolation> {
        let end = (self.now() + time).as_nanos();
        self.settle()?;
        for _ in 0..MAX_TURNS {
            match self.next_due().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => {
                    self.now = end;
                    return Ok(());
                }
            }
            self.settle()?;
        }
        Err(ContractViolation(format!("still busy after {MAX_TURNS} steps before {end}")))
    }

    /// Lets time pass until `done` returns true.
    ///
    /// # Errors
    /// A broken guarantee, or nothing will happen any more.
    pub fn sleep_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Result<(), ContractViolation> {
        self.settle()?;
        for _ in 0..MAX_TURNS {
            if done(self) {
                return Ok(());
            }
            let due = self.next_due().ok_or_else(|| ContractViolation("nothing will happen any more".into()))?;
            self.now = self.now.max(due);
            self.settle()?;
        }
        Err(ContractViolation(format!("still waiting after {MAX_TURNS} steps")))
    }

    /// When something will happen next.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let nodes = self.nodes.iter().flat_map(|node| {
            let down = node.transport.filter(|_| !node.paused).and_then(|id| Some(&self.transports.get(&id)?.down));
            if node.stopped_until > self.now {
                return [Some(node.stopped_until), down.and_then(Lane::next_unread_due), None];
            }
            let dialing = node.dialing.filter(|_| *self.next_admission() != Admission::BlackHole);
            [node.client.poll_timeout().map(Instant::as_nanos), dialing, down.and_then(Lane::next_due)]
        });
        let transports = self.transports.values().flat_map(|transport| {
            if self.stopped_until > self.now {
                return [Some(self.stopped_until), transport.up.next_unread_due()];
            }
            [transport.connection.poll_timeout().map(Instant::as_nanos), transport.up.next_due()]
        });
        // A process that is stopped until the end of time never continues.
        nodes.chain(transports).flatten().filter(|due| *due < u64::MAX).min()
    }

    /// Does each thing that can be done, once, in the order of a driver: first the bytes that have arrived, then the
    /// deadlines that are due.
    fn turn(&mut self) -> Result<bool, ContractViolation> {
        let mut busy = false;
        for client in 0..self.nodes.len() {
            busy |= self.client_turn(client)?;
        }
        for id in self.transports() {
            busy |= self.server_turn(id)?;
        }
        self.retire()?;
        Ok(busy)
    }

    fn client_turn(&mut self, client: usize) -> Result<bool, ContractViolation> {
        let Self { nodes, transports, now, .. } = self;
        if let Some(node) = nodes.get(client).filter(|node| node.stopped_until > *now) {
            let transport = node.transport.filter(|_| !node.paused).and_then(|id| transports.get_mut(&id));
            return Ok(transport.is_some_and(|transport| transport.down.arrive_unread(*now)));
        }
        let busy = self.act(client)? | self.dial(client)?;
        let busy = busy | self.client_write(client, 8, usize::MAX)? | self.client_read(client, usize::MAX)?;
        Ok(busy | self.client_tick(client)? | self.client_events(client)?)
    }

    fn server_turn(&mut self, id: u64) -> Result<bool, ContractViolation> {
        if self.stopped_until > self.now {
            let transport = self.transports.get_mut(&id);
            return Ok(transport.is_some_and(|transport| transport.up.arrive_unread(self.now)));
        }
        let busy = self.server_write(id, 8, usize::MAX)? | self.server_read(id, usize::MAX)?;
        Ok(busy | self.server_tick(id)? | self.server_events(id)?)
    }

    fn next_admission(&self) -> &Admission {
        self.plans.front().map_or(&self.admission, |plan| &plan.admission)
    }

    fn record(&mut self, who: &str, number: impl Display, what: impl Display) {
        self.transcript.record(self.now, &format!("{who} {number}"), what);
    }
}
