//! Frames of RFC 6455 section 5.2 by the first byte of their header, written and read with [`reference`](mod@crate::reference).

use multiwa_ws_core::websocket::Role;
use multiwa_ws_core::{Instant, StateMachine};

use crate::contract::{ContractViolation, ensure};
use crate::reference::{self, Frame, LengthField, Outcome, ParseOptions, Parsed, RawFrame, parse};

/// The last frame of a message.
pub const FIN: u8 = 0x80;
/// The first reserved bit: a compressed message.
pub const RSV1: u8 = 0x40;
/// The opcode of the later frames of a message.
pub const CONTINUATION: u8 = 0x0;
/// The opcode of a text message.
pub const TEXT: u8 = 0x1;
/// The opcode of a binary message.
pub const BINARY: u8 = 0x2;
/// The opcode of a Close frame.
pub const CLOSE: u8 = 0x8;
/// The opcode of a Ping.
pub const PING: u8 = 0x9;
/// The opcode of a Pong.
pub const PONG: u8 = 0xA;

/// The masking key of every frame that [`frame_to`] writes for a server.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame as an endpoint of `role` receives it. `first` is its first byte, for example `FIN | TEXT`.
#[must_use]
pub fn frame_to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    raw(role, first, payload).encode()
}

/// Only the header of such a frame.
#[must_use]
pub fn header_to(role: Role, first: u8, len: u64) -> Vec<u8> {
    raw(role, first, b"").length_field(LengthField::shortest(len)).encode()
}

/// A Close frame as an endpoint of `role` receives it.
#[must_use]
pub fn close_to(role: Role, code: u16, reason: &str) -> Vec<u8> {
    frame_to(role, FIN | CLOSE, &close_body(code, reason))
}

/// The payload of a Close frame.
#[must_use]
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// Takes up to `max` of the bytes that a state machine has to write, over a few slices like a driver.
pub fn transmit(machine: &mut impl StateMachine, now: Instant, max: usize) -> Vec<u8> {
    let mut slices = [&[][..]; 3];
    let filled = machine.poll_transmit(&mut slices);
    let mut bytes = slices.get(..filled).unwrap_or_default().concat();
    bytes.truncate(max);
    machine.transmitted(now, bytes.len());
    bytes
}

/// Takes all bytes that a state machine has to write.
pub fn drain(machine: &mut impl StateMachine, now: Instant) -> Vec<u8> {
    let mut drained = Vec::new();
    loop {
        let bytes = transmit(machine, now, usize::MAX);
        if bytes.is_empty() {
            return drained;
        }
        drained.extend(bytes);
    }
}

/// Reads the bytes that an endpoint of `role` sent without an extension, up to the end or to an incomplete frame.
///
/// # Panics
/// Those of [`check_output`].
#[must_use]
#[track_caller]
pub fn frames_from(role: Role, bytes: &[u8]) -> Vec<Frame> {
    check_output(role, bytes, ParseOptions::default()).frames
}

/// Parses the bytes that an endpoint of `role` sent.
///
/// # Panics
/// The bytes break a rule of RFC 6455, or something follows a Close frame.
#[track_caller]
#[expect(clippy::panic, reason = "the verdict of a harness is a panic")]
pub fn check_output(role: Role, bytes: &[u8], options: ParseOptions) -> Parsed {
    check_frames(sender(role), bytes, options.rsv1_allowed).unwrap_or_else(|broken| panic!("{broken}: {bytes:02x?}"))
}

/// `role` as a sender of the reference parser.
#[must_use]
pub fn sender(role: Role) -> reference::Role {
    match role {
        Role::Client => reference::Role::Client,
        Role::Server => reference::Role::Server,
    }
}

fn raw(role: Role, first: u8, payload: &[u8]) -> RawFrame {
    let frame = RawFrame::new(first, payload).rsv(first >> 4);
    let frame = if first & FIN == 0 { frame.not_final() } else { frame };
    if role == Role::Server { frame.masked(KEY) } else { frame }
}

/// Checks everything that a peer wrote after the upgrade against the RFC, and that nothing follows its Close frame.
pub(crate) fn check_frames(
    sender: reference::Role,
    written: &[u8],
    compresses: bool,
) -> Result<Parsed, ContractViolation> {
    let parsed = parse(sender, written, ParseOptions { rsv1_allowed: compresses });
    match &parsed.outcome {
        Outcome::Incomplete => {}
        // RFC 6455 section 5.5.1: nothing is sent after a Close frame.
        Outcome::Closed { .. } => {
            let behind = written.len() - parsed.consumed;
            ensure(behind == 0, || format!("{behind} bytes behind the Close frame of the {sender:?}"))?;
        }
        Outcome::Violation { rule, proven_by } => {
            let text = format!("the {sender:?} broke {rule:?} ({}) at byte {proven_by} of its frames", rule.section());
            return Err(ContractViolation(text));
        }
    }
    Ok(parsed)
}

/// Like [`check_frames`], for everything that a peer wrote since the transport was opened. Skips the bytes before the
/// frames, and skips a response that opens no connection.
pub(crate) fn check_transport(
    sender: reference::Role,
    written: &[u8],
    compresses: bool,
) -> Result<(), ContractViolation> {
    const END: &[u8] = b"\r\n\r\n";
    if sender == reference::Role::Server && !written.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    let Some(head) = written.windows(END.len()).position(|window| window == END) else { return Ok(()) };
    let frames = written.get(head + END.len()..).unwrap_or_default();
    check_frames(sender, frames, compresses).map(|_| ())
}

/// Whether `bytes` begin with a complete frame, valid or not (RFC 6455 section 5.2).
pub(crate) fn begins_with_frame(bytes: &[u8]) -> bool {
    let [_, second, rest @ ..] = bytes else { return false };
    let (extended, length) = match second & 0x7F {
        126 => (2, rest.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length)))),
        127 => (8, rest.first_chunk().map(|length| u64::from_be_bytes(*length))),
        length => (0, Some(u64::from(length))),
    };
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    let payload = rest.len().saturating_sub(extended + masking_key);
    length.is_some_and(|length| rest.len() >= extended + masking_key && length <= payload as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        RawFrame::text("a").encode()
    }

    #[test]
    fn nothing_may_follow_a_close_frame() {
        let close = RawFrame::close(1000, "").encode();
        let good = [text(), close.clone()].concat();
        assert!(check_frames(reference::Role::Server, &good, false).is_ok());
        let bad = [text(), close, text()].concat();
        let broken = check_frames(reference::Role::Server, &bad, false).unwrap_err();
        assert_eq!(broken.0, "3 bytes behind the Close frame of the Server");
    }

    #[test]
    fn a_broken_rule_is_found_behind_the_head_of_the_upgrade() {
        let written = [b"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), text()].concat();
        let broken = check_transport(reference::Role::Client, &written, false).unwrap_err();
        assert!(broken.0.contains("ClientMustMask"), "{broken}");
        let written = [b"HTTP/1.1 101 \r\n\r\n".to_vec(), RawFrame::text("a").rsv(4).encode()].concat();
        assert!(check_transport(reference::Role::Server, &written, false).is_err());
        assert!(check_transport(reference::Role::Server, &written, true).is_ok());
    }

    #[test]
    fn a_refused_upgrade_has_no_frames() {
        assert!(check_transport(reference::Role::Server, b"HTTP/1.1 401 \r\n\r\nno frame", false).is_ok());
        assert!(check_transport(reference::Role::Client, b"GET /ws HT", false).is_ok());
    }
}
