//! The guarantees of clients and server to each other, and what must be known to check them.

use std::collections::{BTreeMap, BTreeSet};

use multiwa_ws_core::client::Client;
use multiwa_ws_core::session::{
    ClientState, LifecycleEvent, RequestId, RequestKind, ServerEvent, SubscribeMode, SubscriptionSet, Ticket,
};

use crate::contract::{ContractViolation, ensure};
use crate::simulator::{Outcome, OwnedClientEvent, World};

/// What the clients and the server of a world have done so far.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) known: BTreeMap<usize, Known>,
    /// The transports whose connections took each published event.
    pub(super) published: Vec<BTreeSet<u64>>,
    /// The subscriptions that each connection of the server has reported, and how many of its events were checked.
    sets: BTreeMap<u64, (SubscriptionSet, usize)>,
    /// The subscriptions that the server's application has not decided yet.
    pub(super) tickets: Vec<(u64, Ticket)>,
}

/// The model of one client.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Requests that have not ended.
    pub(super) open: BTreeMap<RequestId, RequestKind>,
    /// The number of its events that were checked.
    checked: usize,
    /// The numbers of the events that it received.
    received: BTreeSet<usize>,
    /// Whether a subscription may have failed since the client was last ready with all of them.
    lacking: bool,
    pub(super) paused: bool,
    closed: bool,
}

/// The state that a refused command must not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    state: ClientState,
    desired: SubscriptionSet,
    active: SubscriptionSet,
    timeout: Option<multiwa_ws_core::Instant>,
}

impl Snapshot {
    pub(super) fn of(client: &Client) -> Self {
        let session = client.session();
        let (desired, active) = (session.desired(), session.active().clone());
        Self { state: session.state(), desired, active, timeout: client.poll_timeout() }
    }
}

impl Model {
    /// The clients that are not permanently closed.
    pub(super) fn clients(&self) -> Vec<usize> {
        self.known.iter().filter(|(_, known)| !known.closed).map(|(client, _)| *client).collect()
    }

    /// Runs after each step. Checks the new events and the deadlines.
    pub(super) fn check(&mut self, world: &mut World) -> Result<(), ContractViolation> {
        for client in self.known.keys().copied().collect::<Vec<_>>() {
            self.check_client(world, client)?;
        }
        for id in world.transports() {
            self.check_connection(world, id)?;
        }
        Ok(())
    }

    fn check_client(&mut self, world: &mut World, client: usize) -> Result<(), ContractViolation> {
        let Some(known) = self.known.get_mut(&client) else { return Ok(()) };
        let node = world.node(client)?;
        for event in node.events.get(known.checked..).unwrap_or_default() {
            known.checked += 1;
            match event {
                OwnedClientEvent::Ended { id, kind, outcome } => {
                    known.lacking |= !matches!(outcome, Outcome::Acknowledged | Outcome::Refused);
                    let asked = known.open.remove(id);
                    ensure(asked == Some(*kind), || format!("{event:?} ends a request that is {asked:?}"))?;
                }
                OwnedClientEvent::Event { data, .. } if !node.tainted => known.received.extend(data.parse::<usize>()),
                OwnedClientEvent::Lifecycle(LifecycleEvent::Ready { failed, .. }) => known.lacking = !failed.is_empty(),
                OwnedClientEvent::Lifecycle(LifecycleEvent::Closed(_)) => {
                    known.closed = true;
                    let open = &known.open;
                    ensure(open.is_empty(), || format!("client {client} closed and left {open:?} without an end"))?;
                }
                _ => {}
            }
        }
        let (state, timeout) = (node.client.session().state(), node.client.poll_timeout());
        let waits = match state {
            ClientState::Idle | ClientState::Closed => timeout.is_none() || !known.open.is_empty(),
            // It waits until its application dials or reads.
            ClientState::Backoff | ClientState::AwaitingAck | ClientState::Ready => true,
            ClientState::Connecting | ClientState::Closing => timeout.is_some(),
        };
        ensure(waits, || format!("client {client} is {state} and waits for {timeout:?}"))
    }

    /// The subscriptions of a connection must match the events that it has reported, in order.
    fn check_connection(&mut self, world: &mut World, id: u64) -> Result<(), ContractViolation> {
        let Self { sets, tickets, .. } = self;
        let transport = world.transport(id)?;
        let (set, checked) = sets.entry(id).or_default();
        for event in transport.events.get(*checked..).unwrap_or_default() {
            *checked += 1;
            match event {
                ServerEvent::Subscribed { profile, events, mode: SubscribeMode::Add } => {
                    set.add(profile.clone(), events.clone());
                }
                ServerEvent::Subscribed { profile, events, mode: SubscribeMode::Replace } => {
                    set.replace(profile.clone(), events.clone());
                }
                ServerEvent::Unsubscribed { profile: Some(profile) } => _ = set.remove(profile),
                ServerEvent::Unsubscribed { profile: None } => set.clear(),
                ServerEvent::SubscribeRequested { ticket, .. } => tickets.push((id, *ticket)),
                _ => {}
            }
        }
        // A connection that its session closes has no subscriptions any more.
        let held = transport.connection.subscriptions().filter(|held| !held.is_empty());
        ensure(held.is_none_or(|held| held == set), || {
            format!("connection {id} subscribes to {held:?} after it reported {set:?}")
        })
    }

    /// Once everything on its way has arrived, both sides have the same subscriptions.
    pub(super) fn check_calm(&self, world: &mut World) -> Result<(), ContractViolation> {
        self.clients().into_iter().try_for_each(|client| self.check_agreement(world, client))
    }

    fn check_agreement(&self, world: &mut World, client: usize) -> Result<(), ContractViolation> {
        let Some(known) = self.known.get(&client) else { return Ok(()) };
        let Some(id) = world.transport_of(client) else { return Ok(()) };
        let node = world.node(client)?;
        let session = node.client.session();
        let (counters, active, desired) = (*session.counters(), session.active().clone(), session.desired());
        let settled = session.state() == ClientState::Ready && known.open.is_empty() && !known.paused && !node.tainted;
        let transport = world.transport(id)?;
        let arrived =
            transport.up.waiting() == 0 && transport.down.waiting() == 0 && transport.connection.queued() == 0;
        let intact = !transport.is_faulty() && transport.connection.is_open();
        // An answer to a forgotten request does not change the client.
        let complete = counters.unsolicited == 0;
        let Some(held) = transport.connection.subscriptions() else { return Ok(()) };
        if !settled || !arrived || !intact || !complete {
            return Ok(());
        }
        ensure(active == *held, || format!("client {client} believes in {active:?}, the server in {held:?}"))?;
        ensure(desired == active || known.lacking, || {
            format!("client {client} wants {desired:?}, was refused nothing, and has {active:?}")
        })?;
        let taken = self.published.iter().enumerate().filter(|(_, took)| took.contains(&id));
        let missed = taken.filter(|(number, _)| !known.received.contains(number)).count() as u64;
        ensure(missed <= counters.filtered, || {
            format!("client {client} missed {missed} events of connection {id} and filtered {}", counters.filtered)
        })
    }

    /// Once all faults have stopped, every client that has not given up is ready.
    pub(super) fn check_recovery(&self, world: &mut World) -> Result<(), ContractViolation> {
        for client in self.clients() {
            let state = world.node(client)?.client.session().state();
            ensure(state == ClientState::Ready, || format!("client {client} is {state} although all is well"))?;
            self.check_agreement(world, client)?;
        }
        Ok(())
    }

    /// Everything that began has ended, and has reported its end once.
    pub(super) fn check_endings(&self, world: &mut World) -> Result<(), ContractViolation> {
        for (client, known) in &self.known {
            ensure(known.closed, || format!("client {client} never reported its end"))?;
            let timeout = world.node(*client)?.client.poll_timeout();
            ensure(timeout.is_none(), || format!("client {client} is closed and waits for {timeout:?}"))?;
        }
        let opened = world.opened() as u64;
        let unended = (1..=opened).find(|id| world.ending(*id).is_none());
        ensure(unended.is_none(), || format!("connection {unended:?} never reported its end"))
    }
}
