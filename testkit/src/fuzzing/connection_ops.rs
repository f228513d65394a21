//! Any operations on a connection in either role. The opposite role and the reference parser read its output.
//!
//! Input: a `Workload`, decoded with `arbitrary`.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{
    Closed, Compression, Config, DeflateParameters, Event, Message, Negotiated, ProtocolError, Role, SendError,
    SharedMessage, State, WebSocket,
};

use super::websocket::{opposite, without_limits};
use crate::event::{OwnedEvent, receive, receive_in_place};
use crate::reference::{Kind, Outcome, ParseOptions, RawFrame};
use crate::wire::{check_output, transmit};

#[derive(Arbitrary, Debug)]
struct Workload {
    client: bool,
    deflate: Option<Deflate>,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Deflate {
    no_context_takeover: bool,
    bits: u8,
    threshold: u8,
    level: u8,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Receive(Vec<u8>),
    ReceiveFrame { opcode: u8, fin: bool, rsv1: bool, payload: Vec<u8> },
    Send { text: bool, payload: Payload, way: Way },
    Fragment { text: bool, payload: Payload, end: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Transmit(u8),
    TransmitAll,
    Pass(u16),
    Sleep,
    Pause,
    Resume,
    ReleaseMemory,
    ShutDown,
    Eof,
    Lost,
    Abort,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Way {
    Plain,
    Uncompressed,
    Shared,
    SharedCompressed,
}

/// Text that repeats, so that long payloads need few input bytes and can be compressed.
#[derive(Arbitrary, Clone, Debug)]
struct Payload {
    text: String,
    times: u8,
}

impl Payload {
    fn text(&self) -> String {
        self.text.repeat(usize::from(self.times % 32))
    }
}

/// Runs the workload, then closes the connection, and checks the contract of the connection.
pub fn run(data: &[u8]) {
    let Ok(workload) = Workload::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut run = Run::new(&workload);
    for operation in &workload.operations {
        run.apply(operation);
    }
    run.end();
}

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_QUEUED: usize = 5_000;

/// The bytes that the queue may hold beyond its limit: 64 pongs and one held back, a keep-alive ping, a Close frame.
const PAST_THE_LIMIT: usize = 67 * (125 + 6);

struct Run {
    role: Role,
    negotiated: Negotiated,
    ws: WebSocket,
    now: Instant,
    wire: Vec<u8>,
    /// The complete messages that were accepted for sending.
    sent: Vec<OwnedEvent>,
    fragmented: Option<(Kind, Vec<u8>)>,
    received_close: bool,
    failed: Option<ProtocolError>,
    /// Whether the transport was dropped with bytes still in the queue.
    cut_off: bool,
    closed: Option<Closed>,
}

impl Run {
    fn new(workload: &Workload) -> Self {
        let role = if workload.client { Role::Client } else { Role::Server };
        let deflate = workload.deflate.map(|deflate| DeflateParameters {
            server_no_context_takeover: deflate.no_context_takeover,
            client_no_context_takeover: deflate.no_context_takeover,
            server_max_window_bits: 8 + deflate.bits % 8,
            client_max_window_bits: 8 + deflate.bits % 8,
        });
        let compression = workload.deflate.map_or(Compression::default(), |deflate| {
            Compression::new().threshold(deflate.threshold.into()).level(deflate.level % 10)
        });
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let config = Config::new()
            .max_message_len(3_000)
            .max_frame_len(2_000)
            .max_fragments(4)
            .max_queued(MAX_QUEUED)
            .message_timeout(seconds(20))
            .close_timeout(CLOSE_TIMEOUT)
            .keep_alive(KeepAlive::new().interval(seconds(8)).timeout(seconds(3)))
            .compression(compression);
        let negotiated = Negotiated { deflate, ..Negotiated::default() };
        let now = Instant::from_nanos(1_000_000_000);
        Self {
            role,
            negotiated,
            ws: WebSocket::new(now, role, &config, &negotiated, [11; 32]),
            now,
            wire: Vec::new(),
            sent: Vec::new(),
            fragmented: None,
            received_close: false,
            failed: None,
            cut_off: false,
            closed: None,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        let (state, queued) = (self.ws.state(), self.ws.queued());
        let result = self.perform(operation);
        let (state_after, queued_after) = (self.ws.state(), self.ws.queued());
        if let Err(error) = result {
            assert_eq!((state_after, queued_after), (state, queued), "{operation:?} was refused with {error}");
            assert!(state == State::Open || error == SendError::Closed, "{error} while {state:?}");
        }
        assert!(state <= state_after, "{state:?} to {state_after:?} by {operation:?}");
        assert!(queued_after <= MAX_QUEUED + PAST_THE_LIMIT, "{queued_after} bytes wait after {operation:?}");
        assert!(!self.ws.poll_shutdown() || queued_after == 0, "all is written before a shutdown");
        self.poll_closed();
        assert_eq!(self.closed.is_some(), state_after == State::Closed);
    }

    fn perform(&mut self, operation: &Operation) -> Result<(), SendError> {
        let mut out = self.ws.sender();
        match operation {
            Operation::Receive(bytes) => self.receive(bytes),
            Operation::ReceiveFrame { opcode, fin, rsv1, payload } => {
                let mut frame = RawFrame::new(opcode % 16, payload.clone()).rsv(if *rsv1 { 4 } else { 0 });
                if !fin {
                    frame = frame.not_final();
                }
                if self.role == Role::Server {
                    frame = frame.masked([1, 2, 3, 4]);
                }
                self.receive(&frame.encode());
            }
            Operation::Send { text, payload, way } => {
                let payload = payload.text();
                let shared =
                    || if *text { SharedMessage::text(&payload) } else { SharedMessage::binary(payload.as_bytes()) };
                match (way, *text) {
                    (Way::Plain, true) => out.send_text(&payload)?,
                    (Way::Plain, false) => out.send_binary(payload.as_bytes())?,
                    (Way::Uncompressed, true) => out.send_uncompressed(Message::Text(&payload))?,
                    (Way::Uncompressed, false) => out.send_uncompressed(Message::Binary(payload.as_bytes()))?,
                    (Way::Shared, _) => out.send_shared(&shared())?,
                    (Way::SharedCompressed, _) => out.send_shared(&shared().compressed(1))?,
                }
                assert!(self.fragmented.is_none(), "a message inside a fragmented one");
                self.sent.push(OwnedEvent::message(kind(*text), payload.into_bytes()));
            }
            Operation::Fragment { text, payload, end } => {
                let payload = payload.text();
                let fragment = if *text { Message::Text(&payload) } else { Message::Binary(payload.as_bytes()) };
                out.send_fragment(fragment, *end)?;
                let (under_way, data) = self.fragmented.get_or_insert_with(|| (kind(*text), Vec::new()));
                assert_eq!(*under_way, kind(*text), "text and bytes in one message");
                data.extend(payload.into_bytes());
                if *end && let Some((kind, data)) = self.fragmented.take() {
                    self.sent.push(OwnedEvent::message(kind, data));
                }
            }
            Operation::Ping(payload) => out.ping(payload)?,
            Operation::Pong(payload) => out.pong(payload)?,
            Operation::Close(code, reason) => self.ws.close(self.now, CloseCode::new(*code), reason)?,
            Operation::Transmit(max) => self.wire.extend(transmit(&mut self.ws, self.now, (*max).into())),
            Operation::TransmitAll => self.flush(),
            Operation::Pass(millis) => {
                self.now += Duration::from_millis((*millis).into());
                self.ws.handle_timeout(self.now);
            }
            Operation::Sleep => self.sleep(),
            Operation::Pause => self.ws.reading_paused(self.now),
            Operation::Resume => self.ws.reading_resumed(self.now),
            Operation::ReleaseMemory => self.ws.release_memory(),
            Operation::ShutDown => self.ws.shutdown_done(),
            Operation::Eof => self.ws.handle_eof(self.now),
            Operation::Lost => self.ws.handle_lost(self.now),
            Operation::Abort => self.ws.abort(self.now),
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &[u8]) {
        let reads = matches!(self.ws.state(), State::Open | State::Closing);
        // The length decides, so that inputs keep their form.
        let events = if bytes.len().is_multiple_of(2) {
            receive_in_place(&mut self.ws, self.now, bytes)
        } else {
            receive(&mut self.ws, self.now, bytes)
        };
        // After a Close frame there are no more events. After an error, or a timeout, there is only that error.
        match events.as_slice() {
            [] => assert!(self.failed.is_none()),
            [OwnedEvent::Failed(error)] if !reads => assert_eq!(*self.failed.get_or_insert(*error), *error),
            _ => assert!(reads && self.failed.is_none(), "{events:?} in {:?}", self.ws.state()),
        }
        let closes = events.iter().filter(|event| matches!(event, OwnedEvent::Close(_))).count();
        assert!(closes <= 1 && !(self.received_close && closes > 0));
        self.received_close |= closes > 0;
        if let Some(OwnedEvent::Failed(error)) = events.last() {
            self.failed = Some(*error);
        }
    }

    fn flush(&mut self) {
        loop {
            let bytes = transmit(&mut self.ws, self.now, usize::MAX);
            if bytes.is_empty() {
                return;
            }
            self.wire.extend(bytes);
        }
    }

    /// Sleeps until the next deadline, which must have an effect.
    fn sleep(&mut self) {
        let Some(deadline) = self.ws.poll_timeout() else { return };
        self.now = self.now.max(deadline);
        let (state, queued) = (self.ws.state(), self.ws.queued());
        self.ws.handle_timeout(self.now);
        let moved = self.ws.poll_timeout().is_none_or(|next| next > deadline);
        let acted = self.ws.state() != state || self.ws.queued() > queued;
        assert!(moved || acted, "woken at {deadline:?} for nothing");
    }

    fn poll_closed(&mut self) {
        while let Some(event) = self.ws.poll_event() {
            let Event::Closed(closed) = event else { panic!("{event:?} without a byte") };
            assert!(self.closed.is_none(), "closed twice");
            self.closed = Some(closed);
        }
    }

    /// Closes the connection, which must end in time, and checks the bytes that were sent.
    fn end(&mut self) {
        let _ = self.ws.close(self.now, CloseCode::NORMAL, "");
        self.cut_off = self.ws.state() == State::Closed;
        let latest = self.now + CLOSE_TIMEOUT;
        self.flush();
        while self.ws.state() != State::Closed {
            assert!(self.ws.poll_timeout().is_some_and(|deadline| deadline <= latest), "a close without a deadline");
            self.sleep();
        }
        self.poll_closed();
        let Some(closed) = self.closed else { panic!("never closed") };
        assert_eq!(self.ws.poll_timeout(), None);

        let options = ParseOptions { rsv1_allowed: self.negotiated.deflate.is_some() };
        let parsed = check_output(self.role, &self.wire, options);
        let close_sent = matches!(parsed.outcome, Outcome::Closed { .. });
        assert_eq!(closed.clean, close_sent && self.received_close, "{closed:?}");
        self.read_back();
    }

    /// The opposite role must receive the sent messages, in order.
    fn read_back(&self) {
        let role = opposite(self.role);
        let mut peer = WebSocket::new(self.now, role, &without_limits(), &self.negotiated, [12; 32]);
        let events = receive(&mut peer, self.now, &self.wire);
        assert!(!matches!(events.last(), Some(OwnedEvent::Failed(_))), "{:?}", events.last());
        let messages: Vec<&OwnedEvent> = events.iter().filter(|event| event.is_message()).collect();
        assert!(messages.len() <= self.sent.len() && messages.iter().copied().eq(&self.sent[..messages.len()]));
        assert!(self.cut_off || messages.len() == self.sent.len(), "a message was lost");
    }
}

fn kind(text: bool) -> Kind {
    if text { Kind::Text } else { Kind::Binary }
}
