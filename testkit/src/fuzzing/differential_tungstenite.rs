//! Our connection and that of `tungstenite`, an independent implementation, on the same bytes.
//!
//! Input that both accept must have the same meaning. If `tungstenite` refuses the input, we must refuse it too, except
//! for a Close frame with code 1014. If only we refuse the input, it breaks a rule of [`OURS_ALONE`] or is not a
//! complete frame yet.
//!
//! Input: flags (1: the bytes come from a server), the pattern of the pieces, the bytes.

use std::io;

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Negotiated, ProtocolError, Role, WebSocket};
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Error, Message};

use super::pieces::{configured, cut};
use super::websocket::{opposite, without_limits};
use crate::event::{OwnedEvent, receive};
use crate::reference::{Outcome, ParseOptions, Rule, parse};
use crate::wire::{begins_with_frame, sender};

/// The rules that `tungstenite` 0.30 does not enforce, each with its source.
pub const OURS_ALONE: [(Rule, &str); 3] = [
    (Rule::LengthNotMinimal, "RFC 6455 section 5.2: the minimal number of bytes MUST be used to encode the length"),
    (
        Rule::ControlTooLong,
        "RFC 6455 section 5.5: 125 bytes or less, so that a longer form of the length is never minimal",
    ),
    (Rule::CloseCode, "RFC 6455 section 7.4: codes that MUST NOT be set in a Close frame, and such as nobody defined"),
];

/// The longest frame and the longest message on both sides.
const LIMIT: usize = 1 << 20;

/// Passes the input to both and compares the results.
pub fn run(data: &[u8]) {
    if let Some(([flags, pattern], wire)) = configured(data) {
        let from = if flags & 1 == 0 { Role::Client } else { Role::Server };
        let _ = compare(from, &cut(wire, pattern));
    }
}

/// How the two results agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The input is valid, or its invalid part has not arrived yet.
    Accepted,
    /// Both refuse at the same message.
    Refused,
    /// Only we refuse, or we refuse earlier, because of this rule. `None` for a limit.
    OursAlone(Option<Rule>),
}

/// Passes the input from `from` to both, and panics unless they agree.
#[must_use]
pub fn compare(from: Role, pieces: &[&[u8]]) -> Agreement {
    let wire = pieces.concat();
    let ours = ours(opposite(from), pieces);
    let theirs = theirs(opposite(from), &wire);
    match (ours.refused, &theirs.refused) {
        (None, None) => {
            if !is_bad_gateway(&ours.events, &theirs.events) {
                assert_eq!(ours.events, theirs.events);
            }
            Agreement::Accepted
        }
        (None, Some(error)) => panic!("only tungstenite refuses: {error}; {:?}", ours.events),
        (Some(_), Some(_)) if ours.events == theirs.events => Agreement::Refused,
        (Some(error), _) => {
            assert!(theirs.events.starts_with(&ours.events), "{:?} and {:?} differ", ours.events, theirs.events);
            Agreement::OursAlone(explain(from, &wire, error))
        }
    }
}

/// Whether the only difference is a Close frame with 1014, a code of the IANA registry that `tungstenite` 0.30 does not
/// know. It reports a violation instead.
fn is_bad_gateway(ours: &[OwnedEvent], theirs: &[OwnedEvent]) -> bool {
    let violation = u16::from(protocol::frame::coding::CloseCode::Protocol);
    match (ours.split_last(), theirs.split_last()) {
        (Some((OwnedEvent::Close(Some((code, _))), ours)), Some((OwnedEvent::Close(Some((other, _))), theirs))) => {
            *code == CloseCode::BAD_GATEWAY.get() && *other == violation && ours == theirs
        }
        _ => false,
    }
}

/// The result of one implementation.
struct Decision {
    events: Vec<OwnedEvent>,
    /// Why it stopped reading, unless it received a Close frame.
    refused: Option<ProtocolError>,
}

/// Like [`Decision`], for `tungstenite`.
struct Theirs {
    events: Vec<OwnedEvent>,
    refused: Option<Error>,
}

fn ours(role: Role, pieces: &[&[u8]]) -> Decision {
    let config = without_limits().max_message_len(LIMIT).max_frame_len(LIMIT as u64);
    let now = Instant::default();
    let mut ws = WebSocket::new(now, role, &config, &Negotiated::default(), [9; 32]);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(receive(&mut ws, now, piece));
        if let Some(OwnedEvent::Failed(error)) = events.last().cloned() {
            events.pop();
            return Decision { events, refused: Some(error) };
        }
    }
    Decision { events, refused: None }
}

fn theirs(role: Role, wire: &[u8]) -> Theirs {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut ws = protocol::WebSocket::from_raw_socket(Tape(wire), role, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match ws.read() {
            Ok(Message::Text(text)) => OwnedEvent::Text(text.as_str().into()),
            Ok(Message::Binary(payload)) => OwnedEvent::Binary(payload.to_vec()),
            Ok(Message::Ping(payload)) => OwnedEvent::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => OwnedEvent::Pong(payload.to_vec()),
            Ok(Message::Close(frame)) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                events.push(OwnedEvent::Close(frame));
                return Theirs { events, refused: None };
            }
            Ok(Message::Frame(frame)) => panic!("{frame:?} was read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Theirs { events, refused: None };
            }
            Err(error) => return Theirs { events, refused: Some(error) },
        });
    }
}

/// Bytes to read, after which more may come. Written bytes are dropped.
struct Tape<'a>(&'a [u8]);

impl io::Read for Tape<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() && !buffer.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        io::Read::read(&mut self.0, buffer)
    }
}

impl io::Write for Tape<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Explains why we refused input that `tungstenite` accepted, or did not refuse yet. The reference parser names the
/// rule, which must be a known one.
fn explain(from: Role, wire: &[u8], error: ProtocolError) -> Option<Rule> {
    // RFC 6455 section 10.4: both have the same limit. We check it at the header, and `tungstenite` at the end of the
    // frame.
    if error.close_code() == CloseCode::TOO_BIG {
        return None;
    }
    let parsed = parse(sender(from), wire, ParseOptions::default());
    let Outcome::Violation { rule, .. } = parsed.outcome else { panic!("{error:?} without a cause: {parsed:?}") };
    assert_eq!(rule.close_code(), error.close_code().get(), "{error:?} for {rule:?}");
    let known = OURS_ALONE.iter().any(|(known, _)| *known == rule);
    // `tungstenite` checks complete frames, and we check headers.
    let unfinished = !begins_with_frame(&wire[parsed.consumed..]);
    assert!(known || unfinished, "nothing explains why we alone refuse {rule:?}: {wire:02x?}");
    Some(rule)
}
