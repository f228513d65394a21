//! The guarantees of clients and server to each other.

use multiwa_ws_core::client::Client;
use multiwa_ws_core::session::{ClientState, LifecycleEvent, ServerEvent, SubscribeMode, SubscriptionSet};

use super::Peers;
use crate::contract::{ContractViolation, ensure};
use crate::simulator::{Outcome, OwnedClientEvent};

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

impl Peers {
    /// Runs after each step. Checks the new events and the deadlines.
    pub(super) fn check(&mut self) -> Result<(), ContractViolation> {
        for client in self.known.keys().copied().collect::<Vec<_>>() {
            self.check_client(client)?;
        }
        for id in self.world.transports() {
            self.check_connection(id)?;
        }
        Ok(())
    }

    fn check_client(&mut self, client: usize) -> Result<(), ContractViolation> {
        let Self { world, known, .. } = self;
        let Some(known) = known.get_mut(&client) else { return Ok(()) };
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
    fn check_connection(&mut self, id: u64) -> Result<(), ContractViolation> {
        let Self { world, sets, tickets, .. } = self;
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

    /// Waits until everything on its way has arrived, and compares the subscriptions of both sides.
    pub(super) fn calm(&mut self) -> Result<(), ContractViolation> {
        self.world.sleep(std::time::Duration::from_millis(500))?;
        self.check()?;
        for client in self.clients() {
            self.check_agreement(client)?;
        }
        Ok(())
    }

    fn check_agreement(&mut self, client: usize) -> Result<(), ContractViolation> {
        let Self { world, known, published, .. } = self;
        let Some(known) = known.get(&client) else { return Ok(()) };
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
        let taken = published.iter().enumerate().filter(|(_, took)| took.contains(&id));
        let missed = taken.filter(|(number, _)| !known.received.contains(number)).count() as u64;
        ensure(missed <= counters.filtered, || {
            format!("client {client} missed {missed} events of connection {id} and filtered {}", counters.filtered)
        })
    }

    /// Once all faults have stopped, every client that has not given up is ready.
    pub(super) fn check_recovery(&mut self) -> Result<(), ContractViolation> {
        for client in self.clients() {
            let state = self.world.node(client)?.client.session().state();
            ensure(state == ClientState::Ready, || format!("client {client} is {state} although all is well"))?;
            self.check_agreement(client)?;
        }
        Ok(())
    }

    /// Everything that began has ended, and has reported its end once.
    pub(super) fn check_endings(&mut self) -> Result<(), ContractViolation> {
        for (client, known) in &self.known {
            ensure(known.closed, || format!("client {client} never reported its end"))?;
            let timeout = self.world.node(*client)?.client.poll_timeout();
            ensure(timeout.is_none(), || format!("client {client} is closed and waits for {timeout:?}"))?;
        }
        let opened = self.world.opened() as u64;
        let unended = (1..=opened).find(|id| self.world.ending(*id).is_none());
        ensure(unended.is_none(), || format!("connection {unended:?} never reported its end"))
    }
}
