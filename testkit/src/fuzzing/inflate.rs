//! Compares compressed messages on a connection with another DEFLATE library.
//!
//! Input: flags (1: the receiver is a client, 2: no context takeover, 4 to 16: window bits above 8), the pattern of the
//! pieces, then frames: flags (1: text, 2: compressed, 4: the message continues, 8: release memory before the frame),
//! the length of the payload, the payload.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{DeflateParameters, Negotiated, ProtocolError, Role, WebSocket};

use super::pieces::{configured, cut};
use super::websocket::without_limits;
use crate::event::{OwnedEvent, receive};
use crate::reference::{Kind, RawFrame};

/// The longest message: small enough that a compression bomb can exceed it.
const LIMIT: usize = 1 << 16;

/// Receives messages until one fails.
pub fn run(data: &[u8]) {
    let Some(([flags, pattern], script)) = configured(data) else { return };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let bits = 8 + (flags >> 2 & 7);
    let no_context_takeover = flags & 2 != 0;
    let mut ws = receiver(role, bits, no_context_takeover);
    let mut oracle = Oracle { history: Vec::new(), context_takeover: !no_context_takeover };
    for message in messages(script) {
        let mut events = Vec::new();
        for (frame, release) in message.wire(role) {
            if release {
                ws.release_memory();
            }
            for piece in cut(&frame, pattern) {
                events.extend(receive(&mut ws, Instant::default(), piece));
                if matches!(events.last(), Some(OwnedEvent::Failed(_))) {
                    break;
                }
            }
            if matches!(events.last(), Some(OwnedEvent::Failed(_))) {
                break;
            }
        }
        let expected = if message.compressed { oracle.inflate(&message.payload()) } else { Ok(message.payload()) };
        if !matches_expected(&events, &message, &expected, bits) {
            return;
        }
    }
}

fn receiver(role: Role, bits: u8, no_context_takeover: bool) -> WebSocket {
    let deflate = DeflateParameters {
        server_no_context_takeover: no_context_takeover,
        client_no_context_takeover: no_context_takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let config = without_limits().max_message_len(LIMIT);
    let negotiated = Negotiated { deflate: Some(deflate), ..Negotiated::default() };
    WebSocket::new(Instant::default(), role, &config, &negotiated, [3; 32])
}

/// A message of the script.
struct Scripted {
    kind: Kind,
    compressed: bool,
    /// The payload of each frame, and whether memory is released before it.
    frames: Vec<(Vec<u8>, bool)>,
}

fn messages(mut script: &[u8]) -> Vec<Scripted> {
    let mut messages = Vec::new();
    let mut goes_on = false;
    while let Some(([flags, length], rest)) = configured(script) {
        let (payload, rest) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
        script = rest;
        if !goes_on {
            let kind = if flags & 1 == 0 { Kind::Binary } else { Kind::Text };
            messages.push(Scripted { kind, compressed: flags & 2 != 0, frames: Vec::new() });
        }
        if let Some(message) = messages.last_mut() {
            message.frames.push((payload.to_vec(), flags & 8 != 0));
        }
        goes_on = flags & 4 != 0;
    }
    messages
}

impl Scripted {
    fn payload(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|(payload, _)| payload).copied().collect()
    }

    fn wire(&self, receiver: Role) -> Vec<(Vec<u8>, bool)> {
        let last = self.frames.len() - 1;
        let frame = |(index, (payload, release)): (usize, &(Vec<u8>, bool))| {
            let opcode = match (index, self.kind) {
                (0, Kind::Text) => 1,
                (0, Kind::Binary) => 2,
                _ => 0,
            };
            let mut frame = RawFrame::new(opcode, payload.clone());
            if self.compressed && index == 0 {
                frame = frame.rsv(4);
            }
            if index < last {
                frame = frame.not_final();
            }
            if receiver == Role::Server {
                frame = frame.masked([1, 2, 3, 4]);
            }
            (frame.encode(), *release)
        };
        self.frames.iter().enumerate().map(frame).collect()
    }
}

/// Whether the connection continues.
fn matches_expected(
    events: &[OwnedEvent],
    message_sent: &Scripted,
    expected: &Result<Vec<u8>, Fault>,
    bits: u8,
) -> bool {
    let is_text = message_sent.kind == Kind::Text;
    match (events, expected) {
        ([OwnedEvent::Failed(error)], expected) => {
            let possible = match (error, expected) {
                (ProtocolError::MessageTooLarge, Err(Fault::TooLong)) => true,
                (ProtocolError::InvalidDeflate, Err(_)) => true,
                // Only a window of 32 KiB is as large as the history of the other library.
                (ProtocolError::InvalidDeflate, Ok(_)) => message_sent.compressed && bits < 15,
                (ProtocolError::InvalidText, Ok(text)) => is_text && std::str::from_utf8(text).is_err(),
                (ProtocolError::InvalidText, Err(_)) => is_text,
                _ => false,
            };
            assert!(possible, "{error:?} for {expected:?} in {bits} bits");
            false
        }
        ([one], Ok(data)) => {
            assert_eq!(*one, OwnedEvent::message(message_sent.kind, data.clone()));
            true
        }
        _ => panic!("{events:?} for {expected:?}"),
    }
}

/// Why a payload cannot be inflated to a message.
#[derive(Debug)]
enum Fault {
    Invalid,
    TooLong,
}

/// Inflates complete messages into one flat buffer, which is also the window.
struct Oracle {
    history: Vec<u8>,
    context_takeover: bool,
}

impl Oracle {
    /// RFC 7692 section 7.2.2.
    fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        if !self.context_takeover {
            self.history.clear();
        }
        // No distance is longer (RFC 1951 section 3.2.5).
        let start = self.history.len().min(1 << 15);
        self.history.drain(..self.history.len() - start);
        self.history.resize(start + LIMIT + 1, 0);
        let (position, valid) = self.decode(payload, start);
        self.history.truncate(position);
        // A message is too long as soon as it exceeds the limit. The rest of the payload does not matter.
        if position - start > LIMIT {
            return Err(Fault::TooLong);
        }
        if valid { Ok(self.history[start..].to_vec()) } else { Err(Fault::Invalid) }
    }

    /// Inflates until the payload ends, the history is full, or the payload is invalid. Returns the position in the
    /// history, and whether the payload was valid so far.
    fn decode(&mut self, payload: &[u8], start: usize) -> (usize, bool) {
        const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
        let input = [payload, &TAIL].concat();
        let mut position = start;
        let mut consumed = 0;
        let mut stream = DecompressorOxide::new();
        // A final block ends a stream, and the payload may end there. Otherwise the tail completes the last block.
        while consumed < payload.len() {
            let (status, read, written) = self.step(&mut stream, &input[consumed..payload.len()], position, 0);
            consumed += read;
            position += written;
            match status {
                TINFLStatus::Done if consumed < payload.len() => stream.init(),
                TINFLStatus::NeedsMoreInput => {
                    let boundary = TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
                    let (status, read, written) = self.step(&mut stream, &input[consumed..], position, boundary);
                    let ended = matches!(status, TINFLStatus::BlockBoundary | TINFLStatus::Done);
                    return (position, ended && read == TAIL.len() && written == 0);
                }
                status => return (position, matches!(status, TINFLStatus::Done | TINFLStatus::HasMoreOutput)),
            }
        }
        (position, true)
    }

    fn step(
        &mut self,
        stream: &mut DecompressorOxide,
        input: &[u8],
        position: usize,
        flags: u32,
    ) -> (TINFLStatus, usize, usize) {
        let flags = flags | TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        decompress(stream, input, &mut self.history, position, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_16_a_message_past_the_limit_is_too_long_whatever_follows() {
        // Stored blocks of 65,535 bytes and of one or two bytes, followed by one of: the rest of an empty block, a
        // reserved type, an incomplete block, a final block, a final block and a reserved type.
        for (end, valid) in
            [("\x00", true), ("\x06", false), ("\x00\x05\x00", false), ("\x03\x00", true), ("\x03\x00\x06", false)]
        {
            for (second, too_long) in [(&b"\x00\x01\x00\xfe\xffa"[..], false), (b"\x00\x02\x00\xfd\xffaa", true)] {
                let payload = [b"\x00\xff\xff\x00\x00", &[b'a'; LIMIT - 1][..], second, end.as_bytes()].concat();
                let result = Oracle { history: Vec::new(), context_takeover: true }.inflate(&payload);
                match result {
                    Ok(message) => assert!(valid && !too_long && message.len() == LIMIT, "{end:?}"),
                    Err(Fault::TooLong) => assert!(too_long, "{end:?}"),
                    Err(Fault::Invalid) => assert!(!valid && !too_long, "{end:?}"),
                }
            }
        }
    }
}
