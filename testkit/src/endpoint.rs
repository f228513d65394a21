//! One connection in virtual time, with its events and the bytes that it sent.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Cause, Closed, Config, Event, Negotiated, ProtocolError, Role, State, WebSocket};

use crate::wire::{Frame, frames_from};

/// An [`Event`] that outlives the bytes it borrows from, or the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(ProtocolError),
}

impl Heard {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some((code, reason.into())))
    }

    fn from_event(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(payload) => Self::Binary(payload.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close(frame) => Self::Close(frame.map(|frame| (frame.code.get(), frame.reason.into()))),
            Event::Closed(closed) => panic!("{closed:?} came from bytes"),
        }
    }
}

/// A configuration without timers, for tests that do not test timers.
pub(crate) fn untimed() -> Config {
    Config::new().keep_alive(KeepAlive::OFF).message_timeout(None)
}

pub(crate) struct Endpoint {
    pub(crate) ws: WebSocket,
    pub(crate) role: Role,
    pub(crate) now: Instant,
    /// Every byte sent so far.
    pub(crate) wire: Vec<u8>,
    /// The number of frames on the wire that [`Endpoint::sent`] has already returned.
    told: usize,
    closed: Option<Closed>,
}

impl Endpoint {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, &untimed())
    }

    pub(crate) fn with(role: Role, config: &Config) -> Self {
        Self::negotiated(role, config, &Negotiated::default())
    }

    pub(crate) fn negotiated(role: Role, config: &Config, negotiated: &Negotiated) -> Self {
        // It is not zero, so that time can also go backwards.
        let now = Instant::default() + Duration::from_secs(1000);
        let ws = WebSocket::new(now, role, config, negotiated, [7; 32]);
        Self { ws, role, now, wire: Vec::new(), told: 0, closed: None }
    }

    /// Passes `bytes` in as one chunk and returns the events. An error ends the list.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut chunk = bytes.to_vec();
        let mut input = &mut chunk[..];
        let mut heard = Vec::new();
        loop {
            match self.ws.handle_input(self.now, &mut input) {
                Ok(Some(received)) => heard.push(Heard::from_event(received.event)),
                Ok(None) => break,
                Err(error) => {
                    heard.push(Heard::Failed(error));
                    break;
                }
            }
        }
        assert!(input.is_empty(), "all input is taken");
        heard
    }

    /// Takes at most `max` bytes of the queue, over a few slices like a driver.
    pub(crate) fn transmit(&mut self, max: usize) -> usize {
        let mut slices = [&[][..]; 3];
        let filled = self.ws.poll_transmit(&mut slices);
        let lent = slices[..filled].concat();
        let len = lent.len().min(max);
        self.wire.extend_from_slice(&lent[..len]);
        self.ws.transmitted(self.now, len);
        len
    }

    pub(crate) fn flush(&mut self) {
        while self.transmit(usize::MAX) > 0 {}
    }

    /// Writes everything and returns the frames that were sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<Frame> {
        self.flush();
        let mut frames = frames_from(self.role, &self.wire);
        let new = frames.split_off(self.told);
        self.told += new.len();
        new
    }

    /// Like [`sent`](Self::sent), as pairs of first byte and payload.
    pub(crate) fn told(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.sent().into_iter().map(|frame| (frame.first, frame.payload)).collect()
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.ws.handle_timeout(self.now);
    }

    pub(crate) fn close(&mut self, code: u16) {
        self.ws.close(self.now, CloseCode::new(code), "").unwrap();
    }

    pub(crate) fn eof(&mut self) {
        self.ws.handle_eof(self.now);
    }

    /// The end of the connection. `None` before the end. Asserts that it is reported once.
    pub(crate) fn closed(&mut self) -> Option<Closed> {
        while let Some(event) = self.ws.poll_event() {
            let Event::Closed(closed) = event else { panic!("{event:?} without bytes") };
            assert_eq!(self.closed.replace(closed), None, "Closed is reported once");
            assert_eq!(self.ws.state(), State::Closed);
        }
        self.closed
    }

    /// Asserts how the connection has ended, and that no later call has an effect.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self, cause: Cause, code: u16, clean: bool) {
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
pub(crate) fn heard_in_any_split(new: impl Fn() -> Endpoint, bytes: &[u8]) -> (Vec<Heard>, Vec<(u8, Vec<u8>)>) {
    let run = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut endpoint = new();
        let mut heard = Vec::new();
        for chunk in chunks {
            heard.extend(endpoint.feed(chunk));
            // Further input would return the same error again.
            if matches!(heard.last(), Some(Heard::Failed(_))) {
                break;
            }
        }
        (heard, endpoint.told())
    };
    let whole = run(&mut [bytes].into_iter());
    assert_eq!(run(&mut bytes.chunks(1)), whole, "byte by byte");
    // Long vectors are split around their headers and at some other positions.
    for cut in (0..=bytes.len()).filter(|cut| *cut < 300 || bytes.len() - cut < 20 || cut % 4099 == 0) {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(run(&mut [head, tail].into_iter()), whole, "cut at {cut}");
    }
    let ended = matches!(whole.0.last(), Some(Heard::Failed(_) | Heard::Close(_)));
    let role = new().role;
    let tail = crate::wire::frame_to(role, crate::wire::FIN | crate::wire::PING, b"tail");
    let (heard, sent) = run(&mut [&[bytes, &tail].concat()[..]].into_iter());
    let mut expected = whole.clone();
    if !ended {
        expected.0.push(Heard::Ping(b"tail".into()));
        expected.1.push((crate::wire::FIN | crate::wire::PONG, b"tail".into()));
    }
    assert_eq!((heard, sent), expected, "with a tail");
    whole
}
