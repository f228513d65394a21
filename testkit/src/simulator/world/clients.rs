//! The clients of a [`World`].

use multiwa_ws_core::client::TransportAction;
use multiwa_ws_core::session::{DisconnectReason, LifecycleEvent};

use super::super::{Chunk, tick};
use super::{Admission, OwnedClientEvent, Plan, World};
use crate::contract::{ContractViolation, ensure};
use crate::link::FailureKind;
use crate::transcript::Bytes;

impl World {
    /// Carries out the transport actions of the client. Returns whether there were any.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn act(&mut self, client: usize) -> Result<bool, ContractViolation> {
        let mut busy = false;
        while let Some(action) = self.node(client)?.client.poll_action() {
            busy = true;
            self.record("client", client, format_args!("{action:?}"));
            match action {
                TransportAction::Connect { .. } => {
                    let due = self.now.saturating_add(self.dial_time);
                    let node = self.node(client)?;
                    let free = node.transport.is_none() && node.dialing.is_none();
                    node.dialing = Some(due);
                    ensure(free, || format!("client {client} wants a second transport beside the first"))?;
                }
                // There is one server, at every address.
                TransportAction::Redirect(_) => {
                    self.disconnect(client)?;
                    self.node(client)?.dialing = Some(self.now.saturating_add(self.dial_time));
                }
                TransportAction::Disconnect => self.disconnect(client)?,
            }
        }
        Ok(busy)
    }

    /// Opens the transport that the client requested, once its time has come. Returns whether it had come.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn dial(&mut self, client: usize) -> Result<bool, ContractViolation> {
        let (now, at) = (self.now, self.now());
        let has_answer = *self.next_admission() != Admission::BlackHole;
        let node = self.node(client)?;
        if node.dialing.is_none_or(|due| due > now) || !has_answer {
            return Ok(false);
        }
        node.dialing = None;
        let Self { admission, faults, plans, .. } = self;
        let plan = plans.pop_front().unwrap_or_else(|| Plan {
            admission: admission.clone(),
            up: faults.clone(),
            down: faults.clone(),
        });
        if plan.admission == Admission::ConnectionRefused {
            self.node(client)?.client.connect_failed(at, DisconnectReason::Io);
            return Ok(true);
        }
        let id = self.open_transport(client, plan);
        let node = self.node(client)?;
        node.transport = Some(id);
        let request = node.request.clone();
        node.client.connected(at, request).map_err(|error| ContractViolation(format!("client {client}: {error}")))?;
        self.record("client", client, format_args!("has transport {id}"));
        Ok(true)
    }

    /// Writes once, at most `budget` bytes in at most `slices` slices. Returns whether anything was written.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn client_write(&mut self, client: usize, slices: usize, budget: usize) -> Result<bool, ContractViolation> {
        let Self { nodes, transports, transcript, now, .. } = self;
        let Some(node) = nodes.get_mut(client) else { return Ok(false) };
        let Some(transport) = node.transport.and_then(|id| transports.get_mut(&id)) else { return Ok(false) };
        let before = transport.up.written().len();
        let written = transport.up.write(*now, &mut node.client, slices, budget);
        if written > 0 {
            let bytes = transport.up.written().get(before..).unwrap_or_default();
            transcript.record(*now, &format!("client {client}"), Bytes::whole(bytes));
        }
        node.tainted |= transport.up.is_corrupted();
        let shut_down = node.client.poll_shutdown();
        if shut_down {
            transport.up.shut_down(*now);
            node.client.shutdown_done();
        }
        Ok(written > 0 || shut_down)
    }

    /// Passes on the bytes that have arrived, in chunks of at most `max` bytes. Returns whether there were any.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn client_read(&mut self, client: usize, max: usize) -> Result<bool, ContractViolation> {
        let (now, at) = (self.now, self.now());
        let mut busy = false;
        loop {
            let Self { nodes, transports, .. } = self;
            let Some(node) = nodes.get_mut(client).filter(|node| !node.paused) else { return Ok(busy) };
            let Some(transport) = node.transport.and_then(|id| transports.get_mut(&id)) else { return Ok(busy) };
            while transport.down.arrive(now) {
                busy = true;
            }
            let Some(chunk) = transport.down.next_chunk(max) else { return Ok(busy) };
            busy = true;
            match chunk {
                Chunk::Eof => node.client.handle_eof(at),
                Chunk::Reset => node.client.handle_lost(at, DisconnectReason::Io),
                Chunk::Bytes(bytes) => {
                    let mut buffer = bytes.clone();
                    let mut input = &mut buffer[..];
                    let mut events = Vec::new();
                    while let Some(received) = node.client.handle_input(at, &mut input) {
                        let event = OwnedClientEvent::from(received.event);
                        transport.check_delivery(&event)?;
                        events.push(event);
                    }
                    let left = input.len();
                    transport.down.put_back(&bytes, 0);
                    for event in events {
                        self.take_client_event(client, event)?;
                    }
                    ensure(left == 0, || format!("client {client} left {left} bytes of its input"))?;
                }
            }
            // The client may drop the transport. Then there is no more input from it.
            self.act(client)?;
        }
    }

    /// Passes the time to the client. Returns whether a deadline was due.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn client_tick(&mut self, client: usize) -> Result<bool, ContractViolation> {
        let now = self.now();
        tick(&mut self.node(client)?.client, now)
    }

    /// Takes the events that no message caused. Returns whether there were any.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn client_events(&mut self, client: usize) -> Result<bool, ContractViolation> {
        let mut busy = false;
        while let Some(event) = self.node(client)?.client.poll_event() {
            busy = true;
            self.take_client_event(client, event.into())?;
        }
        Ok(busy)
    }

    /// The application of the client stops reading.
    ///
    /// # Errors
    /// There is no such client.
    pub fn pause(&mut self, client: usize) -> Result<(), ContractViolation> {
        let now = self.now();
        let node = self.node(client)?;
        node.paused = true;
        node.client.reading_paused(now);
        Ok(())
    }

    /// The application of the client reads again.
    ///
    /// # Errors
    /// There is no such client.
    pub fn resume(&mut self, client: usize) -> Result<(), ContractViolation> {
        let now = self.now();
        let node = self.node(client)?;
        node.paused = false;
        node.client.reading_resumed(now);
        Ok(())
    }

    /// Fails both directions of the client's transport, if it has one.
    pub fn cut(&mut self, client: usize, kind: FailureKind) {
        let now = self.now;
        if let Some(transport) = self.transport_of(client).and_then(|id| self.transports.get_mut(&id)) {
            transport.up.cut(now, kind);
            transport.down.cut(now, kind);
        }
    }

    fn disconnect(&mut self, client: usize) -> Result<(), ContractViolation> {
        let now = self.now;
        let node = self.node(client)?;
        node.dialing = None;
        if let Some(id) = node.transport.take() {
            let transport = self.transport(id)?;
            transport.client = None;
            transport.up.shut_down(now);
            transport.down.hang_up();
        }
        Ok(())
    }

    fn take_client_event(&mut self, client: usize, event: OwnedClientEvent) -> Result<(), ContractViolation> {
        self.record("client", client, format_args!("{event:?}"));
        let node = self.node(client)?;
        let closes = matches!(event, OwnedClientEvent::Lifecycle(LifecycleEvent::Closed(_)));
        let closed = core::mem::replace(&mut node.closed, closes);
        ensure(!closed, || format!("client {client} reports {event:?} after its end"))?;
        node.events.push(event);
        Ok(())
    }
}
