//! One connection of the client: two links, and the server at their other end.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{Acceptance, DeflateConfig, Rejection, RequestError};
use multiwa_ws_core::server::{Config, Connection, Event, PeerError};
use multiwa_ws_core::session::ServerConfig;
use multiwa_ws_core::websocket::ProtocolError;
use multiwa_ws_core::{Instant, WallClock};

use crate::link::{Arrival, Failure, FailureKind, Faults, Link};

/// The faults of both links of one connection.
#[derive(Arbitrary, Clone, Debug, Default)]
pub(super) struct LinkPlan {
    /// The transport cannot be opened.
    pub(super) unreachable: bool,
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

/// The settings of every server.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct ServerPlan {
    pub(super) without_sets: bool,
    deflate: bool,
    server_no_context_takeover: bool,
}

#[derive(Debug)]
pub(super) struct Transport {
    pub(super) up: Link,
    pub(super) down: Link,
    pub(super) server: Connection,
    pub(super) client_left: bool,
    /// Numbers of the events that were published and have not arrived yet.
    pub(super) on_their_way: VecDeque<u64>,
    plan: LinkPlan,
    server_plan: ServerPlan,
    ended: bool,
}

impl Transport {
    pub(super) fn new(now: Instant, seed: u64, plan: LinkPlan, server_plan: ServerPlan) -> Self {
        let config = Config::new().session(ServerConfig::new().subscription_sets(!server_plan.without_sets));
        Self {
            up: Link::new(seed, plan.faults(plan.up_fails)),
            down: Link::new(!seed, plan.faults(plan.down_fails)),
            server: Connection::new(now, &config),
            client_left: false,
            on_their_way: VecDeque::new(),
            plan,
            server_plan,
            ended: false,
        }
    }

    pub(super) fn close_server(&mut self, now: Instant, code: u16) {
        let _ = self.server.close(now, CloseCode::new(code), "");
    }

    /// The event with this number arrived. Events arrive in order, but some before it may have been filtered.
    pub(super) fn arrived(&mut self, number: u64) {
        while let Some(next) = self.on_their_way.pop_front() {
            if next == number {
                return;
            }
        }
        panic!("event {number} came twice, out of order or unpublished");
    }

    pub(super) fn is_corrupted(&self) -> bool {
        self.up.corrupted() > 0 || self.down.corrupted() > 0
    }

    /// Whether no fault can affect the bytes on it.
    pub(super) fn is_clean(&self) -> bool {
        !self.plan.corrupts && self.plan.up_fails.is_none() && self.plan.down_fails.is_none()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.ended
    }

    pub(super) fn next_wake(&self, client_paused: bool) -> Option<Instant> {
        let down = self.down.next_due().filter(|_| !client_paused && !self.client_left);
        let up = self.up.next_due().filter(|_| !self.ended);
        let links = up.into_iter().chain(down).map(Instant::from_nanos);
        links.chain(self.server.poll_timeout().filter(|_| !self.ended)).min()
    }

    /// Lets the server read, write and handle deadlines. Returns whether anything happened.
    pub(super) fn drive(&mut self, now: Instant) -> bool {
        if self.ended {
            return false;
        }
        let nanos = now.as_nanos();
        let arrival = self.up.receive(nanos);
        let read = arrival.is_some();
        match arrival {
            Some(Arrival::Bytes(bytes)) => self.read(now, bytes),
            Some(Arrival::Eof) => self.server.handle_eof(now),
            Some(Arrival::Reset) => self.server.handle_lost(now),
            None => {}
        }
        // Input that has arrived comes before a deadline.
        if self.server.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.server.handle_timeout(now);
        }
        let written = self.write(now);
        let shutdown = self.server.poll_shutdown();
        if shutdown {
            self.down.shut_down(nanos);
            self.server.shutdown_done();
        }
        while let Some(event) = self.server.poll_event() {
            assert!(!self.ended && matches!(event, Event::Ended(_)), "{event:?} after the end");
            self.ended = true;
            self.down.shut_down(nanos);
        }
        read || written || shutdown || self.ended
    }

    fn read(&mut self, now: Instant, mut bytes: Vec<u8>) {
        let mut input = bytes.as_mut_slice();
        loop {
            match self.server.handle_input(now, &mut input) {
                Ok(Some(Event::Requested)) => self.decide(now),
                Ok(Some(Event::Session(_))) => {}
                Ok(Some(other)) => panic!("{other:?} came from bytes"),
                Ok(None) => return assert!(input.is_empty()),
                // On a slow link, a deadline can pass before the rest of a request or a message arrives.
                Err(
                    PeerError::Request(RequestError::TimedOut) | PeerError::Protocol(ProtocolError::MessageTimeout),
                ) => return,
                Err(error) => return assert!(self.is_corrupted(), "{error}"),
            }
        }
    }

    fn decide(&mut self, now: Instant) {
        if self.plan.refused {
            let rejection = Rejection::unavailable(Duration::from_secs(1));
            return assert_eq!(self.server.reject(now, &rejection), Ok(()));
        }
        let deflate = DeflateConfig::new().server_no_context_takeover(self.server_plan.server_no_context_takeover);
        let acceptance = Acceptance::new().deflate(self.server_plan.deflate.then_some(deflate));
        assert_eq!(self.server.accept(now, acceptance, "c", WallClock::new(now, 0)), Ok(()));
    }

    fn write(&mut self, now: Instant) -> bool {
        let mut slices = [&[][..]; 3];
        let filled = self.server.poll_transmit(&mut slices);
        let bytes = slices[..filled].concat();
        // Nobody reads any more: the system takes written bytes and drops them.
        let taken = if self.client_left { bytes.len() } else { self.down.send(now.as_nanos(), &bytes) };
        self.server.transmitted(now, taken);
        taken > 0
    }
}

impl LinkPlan {
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
