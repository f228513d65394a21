//! One connection in virtual time, with its events and the bytes that it sent.
#![expect(clippy::panic, clippy::unwrap_used, reason = "the verdict of a harness is a panic")]

use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Cause, Closed, Config, Event, Negotiated, Role, State, WebSocket};
use multiwa_ws_core::{Instant, KeepAlive};

use crate::event::{OwnedEvent, receive};
use crate::reference::Frame;
use crate::wire::{FIN, PING, PONG, frame_to, frames_from, transmit};

/// A configuration without timers, for tests that do not test timers.
#[must_use]
pub fn untimed() -> Config {
    Config::new().keep_alive(KeepAlive::OFF).message_timeout(None)
}

/// A [`WebSocket`] with its clock and its output. Its methods panic if it breaks the contract of a state machine.
#[derive(Debug)]
pub struct Endpoint {
    /// The state machine.
    pub ws: WebSocket,
    /// Its role.
    pub role: Role,
    /// The virtual time.
    pub now: Instant,
    /// Every byte sent so far.
    pub wire: Vec<u8>,
    /// The number of frames on the wire that [`Endpoint::sent`] has already returned.
    reported: usize,
    closed: Option<Closed>,
}

impl Endpoint {
    /// One with [`untimed`] settings.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self::with(role, &untimed())
    }

    /// One without extensions.
    #[must_use]
    pub fn with(role: Role, config: &Config) -> Self {
        Self::negotiated(role, config, &Negotiated::default())
    }

    /// One with extensions.
    #[must_use]
    pub fn negotiated(role: Role, config: &Config, negotiated: &Negotiated) -> Self {
        // It is not zero, so that time can also go backwards.
        let now = Instant::default() + Duration::from_secs(1000);
        let ws = WebSocket::new(now, role, config, negotiated, [7; 32]);
        Self { ws, role, now, wire: Vec::new(), reported: 0, closed: None }
    }

    /// Passes `bytes` in as one chunk and returns the events. An error ends the list.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<OwnedEvent> {
        receive(&mut self.ws, self.now, bytes)
    }

    /// Writes at most `max` bytes of the queue. Returns how many.
    pub fn transmit(&mut self, max: usize) -> usize {
        let bytes = transmit(&mut self.ws, self.now, max);
        self.wire.extend_from_slice(&bytes);
        bytes.len()
    }

    /// Writes the whole queue.
    pub fn flush(&mut self) {
        while self.transmit(usize::MAX) > 0 {}
    }

    /// Writes everything and returns the frames that were sent since the last call.
    pub fn sent(&mut self) -> Vec<Frame> {
        self.flush();
        let mut frames = frames_from(self.role, &self.wire);
        let new = frames.split_off(self.reported);
        self.reported += new.len();
        new
    }

    /// Like [`sent`](Self::sent), as pairs of first byte and payload.
    pub fn sent_parts(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.sent().into_iter().map(|frame| (frame.first(), frame.payload)).collect()
    }

    /// Lets time pass, without a call in between.
    pub fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.ws.handle_timeout(self.now);
    }

    /// Begins the closing handshake.
    pub fn close(&mut self, code: u16) {
        self.ws.close(self.now, CloseCode::new(code), "").unwrap();
    }

    /// The stream of the peer ends.
    pub fn eof(&mut self) {
        self.ws.handle_eof(self.now);
    }

    /// The end of the connection. `None` before the end. Asserts that it is reported once.
    pub fn closed(&mut self) -> Option<Closed> {
        while let Some(event) = self.ws.poll_event() {
            let Event::Closed(closed) = event else { panic!("{event:?} without bytes") };
            assert_eq!(self.closed.replace(closed), None, "Closed is reported once");
            assert_eq!(self.ws.state(), State::Closed);
        }
        self.closed
    }

    /// Asserts how the connection has ended, and that no later call has an effect.
    #[track_caller]
    pub fn assert_closed(&mut self, cause: Cause, code: u16, clean: bool) {
        assert_eq!(self.closed(), Some(Closed { cause, code: CloseCode::new(code), clean }));
        assert!(!self.ws.poll_shutdown());
        assert_eq!(self.ws.poll_timeout(), None);
        self.eof();
        self.ws.handle_lost(self.now);
        self.ws.abort(self.now);
        self.ws.shutdown_done();
        self.pass(1_000_000);
        assert_eq!(self.transmit(usize::MAX), 0);
        assert_eq!(self.closed(), Some(Closed { cause, code: CloseCode::new(code), clean }));
    }
}

/// The events for `bytes`, and the frames that are sent in answer. Asserts that both are the same for every split:
/// whole, byte by byte, at every position, and with more bytes behind `bytes`, unless they end the reading.
#[track_caller]
pub fn events_in_any_split(new: impl Fn() -> Endpoint, bytes: &[u8]) -> (Vec<OwnedEvent>, Vec<(u8, Vec<u8>)>) {
    let run = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut endpoint = new();
        let mut events = Vec::new();
        for chunk in chunks {
            events.extend(endpoint.feed(chunk));
            // Further input would return the same error again.
            if matches!(events.last(), Some(OwnedEvent::Failed(_))) {
                break;
            }
        }
        (events, endpoint.sent_parts())
    };
    let whole = run(&mut [bytes].into_iter());
    assert_eq!(run(&mut bytes.chunks(1)), whole, "byte by byte");
    // Long vectors are split around their headers and at some other positions.
    for cut in (0..=bytes.len()).filter(|cut| *cut < 300 || bytes.len() - cut < 20 || cut % 4099 == 0) {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(run(&mut [head, tail].into_iter()), whole, "cut at {cut}");
    }
    let ended = matches!(whole.0.last(), Some(OwnedEvent::Failed(_) | OwnedEvent::Close(_)));
    let role = new().role;
    let tail = frame_to(role, FIN | PING, b"tail");
    let (events, sent) = run(&mut [&[bytes, &tail].concat()[..]].into_iter());
    let mut expected = whole.clone();
    if !ended {
        expected.0.push(OwnedEvent::Ping(b"tail".into()));
        expected.1.push((FIN | PONG, b"tail".into()));
    }
    assert_eq!((events, sent), expected, "with a tail");
    whole
}
