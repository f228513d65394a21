//! The connections of the server of a [`World`].

use std::collections::{BTreeSet, VecDeque};

use multiwa_ws_core::WallClock;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{Acceptance, RequestError};
use multiwa_ws_core::server::{Connection, Event, PeerError};
use multiwa_ws_core::session::{RawJson, ServerEvent, Ticket, encode_event};
use multiwa_ws_core::websocket::{ProtocolError, SharedMessage};

use super::super::lane::instant;
use super::super::{Chunk, Lane, tick};
use super::{Admission, OwnedClientEvent, Plan, Transport, World};
use crate::contract::{ContractViolation, ensure};
use crate::link::{FailureKind, Faults};
use crate::reference::Role;
use crate::transcript::Bytes;
use crate::wire::check_transport;

/// The wall-clock time of the server at the start: 2026-02-05T10:00:00Z.
const START_MILLIS: i64 = 1_770_285_600_000;

impl World {
    /// Publishes an event, and returns the numbers of the transports whose connections took it.
    ///
    /// A connection that is too far behind is closed with 1013.
    ///
    /// # Errors
    /// `data` is not JSON, or the hub chose connections other than the subscribed ones.
    pub fn publish(&mut self, profile: Option<&str>, name: &str, data: &str) -> Result<Vec<u64>, ContractViolation> {
        let data = RawJson::parse(data).map_err(|error| ContractViolation(error.to_string()))?;
        let timestamp = WallClock::new(instant(0), START_MILLIS).rfc3339(self.now());
        let text = encode_event(name, profile, &data, &timestamp);
        let owned =
            OwnedClientEvent::Event { profile: profile.map(Into::into), name: name.into(), data: data.as_str().into() };
        let now = self.now();
        let mut message = SharedMessage::text(&text);
        if self.deflate.is_some() {
            message = message.compressed(1);
        }
        let (mut took, mut chosen) = (Vec::new(), BTreeSet::new());
        for id in self.hub.receivers(profile, name) {
            let Some(transport) = self.transports.get_mut(&id) else { continue };
            chosen.insert(id);
            match transport.connection.publish(&message) {
                Ok(()) => {
                    transport.undelivered.push_back(owned.clone());
                    took.push(id);
                }
                // A connection that is already closing needs no other action.
                Err(_) => _ = transport.connection.close(now, CloseCode::TRY_AGAIN_LATER, "events are not read"),
            }
        }
        for (id, transport) in &self.transports {
            let subscribes = transport.connection.subscriptions().is_some_and(|set| set.matches(profile, name));
            // A closed connection may keep or forget its subscriptions until the hub removes it.
            let right = chosen.contains(id) == subscribes || !transport.connection.is_open();
            ensure(right, || format!("connection {id} subscribes: {subscribes}; the hub chose {chosen:?}"))?;
        }
        self.record("server", "", format_args!("publishes {profile:?} {name} to {took:?}"));
        Ok(took)
    }

    /// Begins the closing handshake on every connection.
    pub fn close_all(&mut self, code: CloseCode) {
        let now = self.now();
        for transport in self.transports.values_mut() {
            // A connection that is not open, or is already closing, ends in its own way.
            _ = transport.connection.close(now, code, "");
        }
    }

    /// Ends every connection at once, like a crash of the server's process.
    pub fn restart(&mut self, kind: FailureKind) {
        let (now, at) = (self.now, self.now());
        for transport in self.transports.values_mut() {
            transport.down.cut(now, kind);
            transport.connection.abort(at);
        }
    }

    /// Decides about a requested subscription. Returns whether the request was still open.
    ///
    /// # Errors
    /// There is no such transport.
    pub fn decide(&mut self, id: u64, ticket: Ticket, allow: bool) -> Result<bool, ContractViolation> {
        let now = self.now();
        let connection = &mut self.transport(id)?.connection;
        if !allow {
            return Ok(connection.refuse(now, ticket, "not for you").is_ok());
        }
        match connection.allow(now, ticket) {
            Ok(event) => self.take_server_event(id, event).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Writes once, at most `budget` bytes in at most `slices` slices. Returns whether anything was written.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn server_write(&mut self, id: u64, slices: usize, budget: usize) -> Result<bool, ContractViolation> {
        let Self { nodes, transports, transcript, now, .. } = self;
        let Some(transport) = transports.get_mut(&id) else { return Ok(false) };
        let before = transport.down.written().len();
        let written = transport.down.write(*now, &mut transport.connection, slices, budget);
        if written > 0 {
            let bytes = transport.down.written().get(before..).unwrap_or_default();
            transcript.record(*now, &format!("server {id}"), Bytes::whole(bytes));
        }
        if let Some(node) = transport.client.and_then(|client| nodes.get_mut(client)) {
            node.tainted |= transport.down.is_corrupted();
        }
        let shut_down = transport.connection.poll_shutdown();
        if shut_down {
            transport.down.shut_down(*now);
            transport.connection.shutdown_done();
        }
        Ok(written > 0 || shut_down)
    }

    /// Passes on the bytes that have arrived, in chunks of at most `max` bytes. Returns whether there were any.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn server_read(&mut self, id: u64, max: usize) -> Result<bool, ContractViolation> {
        let (now, at) = (self.now, self.now());
        let mut busy = false;
        loop {
            let Some(transport) = self.transports.get_mut(&id) else { return Ok(busy) };
            while transport.up.arrive(now) {
                busy = true;
            }
            let Some(chunk) = transport.up.next_chunk(max) else { return Ok(busy) };
            busy = true;
            match chunk {
                Chunk::Eof => transport.connection.handle_eof(at),
                Chunk::Reset => transport.connection.handle_lost(at),
                Chunk::Bytes(bytes) => self.server_input(id, &bytes)?,
            }
        }
    }

    fn server_input(&mut self, id: u64, bytes: &[u8]) -> Result<(), ContractViolation> {
        let now = self.now();
        let mut buffer = bytes.to_vec();
        let mut input = &mut buffer[..];
        loop {
            match self.transport(id)?.connection.handle_input(now, &mut input) {
                Ok(None) => break,
                Ok(Some(Event::Requested)) => self.answer_request(id)?,
                Ok(Some(Event::Session(event))) => self.take_server_event(id, event)?,
                Ok(Some(other)) => return Err(ContractViolation(format!("{other:?} came from handle_input"))),
                Err(error) => {
                    self.record("server", id, format_args!("refuses: {error}"));
                    // On a slow line, a deadline can pass before the rest of a request or of a message arrives. An aborted
                    // connection has no request.
                    let expected = matches!(
                        error,
                        PeerError::Request(RequestError::TimedOut | RequestError::NoRequest | RequestError::Truncated)
                            | PeerError::Protocol(ProtocolError::MessageTimeout)
                    );
                    let corrupted = self.transport(id)?.is_corrupted();
                    ensure(expected || corrupted, || format!("connection {id} refuses what a client sent: {error}"))?;
                    break;
                }
            }
        }
        let left = input.len();
        self.transport(id)?.up.put_back(bytes, left);
        ensure(left == 0, || format!("connection {id} left {left} bytes of its input"))
    }

    /// Passes the time to the connection. Returns whether a deadline was due.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn server_tick(&mut self, id: u64) -> Result<bool, ContractViolation> {
        let now = self.now();
        self.transports.get_mut(&id).map_or(Ok(false), |transport| tick(&mut transport.connection, now))
    }

    /// Takes the end of the connection. Returns whether it has ended.
    ///
    /// # Errors
    /// A broken guarantee.
    pub fn server_events(&mut self, id: u64) -> Result<bool, ContractViolation> {
        let now = self.now;
        let Some(transport) = self.transports.get_mut(&id) else { return Ok(false) };
        let Some(event) = transport.connection.poll_event() else { return Ok(false) };
        let Event::Ended(ended) = event else {
            return Err(ContractViolation(format!("{event:?} came from poll_event")));
        };
        transport.down.shut_down(now);
        transport.up.hang_up();
        self.hub.remove(id);
        let before = self.endings.insert(id, ended);
        self.record("server", id, format_args!("{ended:?}"));
        ensure(before.is_none(), || format!("connection {id} ended twice: {before:?} and {ended:?}"))?;
        Ok(true)
    }

    pub(super) fn open_transport(&mut self, client: usize, plan: Plan) -> u64 {
        self.owners.push(client);
        let id = self.owners.len() as u64;
        let mut lane = |faults: &Faults| Lane::new(self.random.up_to(u64::MAX), faults.clone());
        let (up, down) = (lane(&plan.up), lane(&plan.down));
        let connection = Connection::new(instant(self.now), &self.config);
        let (events, undelivered) = (Vec::new(), VecDeque::new());
        let transport = Transport { up, down, connection, events, plan, undelivered, client: Some(client) };
        self.transports.insert(id, transport);
        id
    }

    /// Removes the transports that both ends have closed, after a check of the bytes that they carried.
    pub(super) fn retire(&mut self) -> Result<(), ContractViolation> {
        let over = |(id, transport): &(&u64, &Transport)| self.endings.contains_key(id) && transport.client.is_none();
        let ids: Vec<u64> = self.transports.iter().filter(over).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(Transport { up, down, connection, .. }) = self.transports.remove(&id) {
                let compresses = connection.upgraded().is_some_and(|upgraded| upgraded.negotiated.deflate.is_some());
                check_transport(Role::Client, up.written(), compresses)?;
                check_transport(Role::Server, down.written(), compresses)?;
            }
        }
        Ok(())
    }

    fn answer_request(&mut self, id: u64) -> Result<(), ContractViolation> {
        let (now, acceptance) = (self.now(), Acceptance::new().deflate(self.deflate));
        let Transport { connection, plan, .. } = self.transport(id)?;
        let answered = match &plan.admission {
            Admission::Reject(rejection) => connection.reject(now, rejection),
            _ => connection.accept(now, acceptance, &format!("client-{id}"), WallClock::new(instant(0), START_MILLIS)),
        };
        answered.map_err(|error| ContractViolation(format!("connection {id}: {error}")))
    }

    fn take_server_event(&mut self, id: u64, event: ServerEvent) -> Result<(), ContractViolation> {
        self.record("server", id, format_args!("{event:?}"));
        let Self { transports, hub, .. } = self;
        let Some(transport) = transports.get_mut(&id) else { return Ok(()) };
        if let ServerEvent::Subscribed { .. } | ServerEvent::Unsubscribed { .. } = &event {
            hub.update(id, transport.connection.subscriptions().cloned().unwrap_or_default());
        }
        transport.events.push(event);
        Ok(())
    }
}

impl Transport {
    /// Whether bytes were damaged on the way, in either direction.
    #[must_use]
    pub fn is_corrupted(&self) -> bool {
        self.up.is_corrupted() || self.down.is_corrupted()
    }

    /// Whether bytes were damaged or withheld on the way, in either direction.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.up.is_faulty() || self.down.is_faulty()
    }

    /// Checks what the client reports of this transport: events as they were published, in order and once, and nothing
    /// that this server does not send. Some events before an event may have been filtered.
    pub(super) fn check_delivery(&mut self, event: &OwnedClientEvent) -> Result<(), ContractViolation> {
        if self.is_corrupted() {
            return Ok(());
        }
        match event {
            OwnedClientEvent::Event { .. } => {
                let position = self.undelivered.iter().position(|published| published == event);
                self.undelivered.drain(..position.map_or(0, |position| position + 1));
                ensure(position.is_some(), || format!("{event:?} came twice, out of order or unpublished"))
            }
            // The answer to a request that timed out and was forgotten long ago is an error without a request.
            OwnedClientEvent::Invalid(text) => {
                ensure(text.starts_with("Error"), || format!("the client reports {text}"))
            }
            _ => Ok(()),
        }
    }
}
