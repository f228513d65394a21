//! Frames as RFC 6455 section 5.2 defines them, written and read without the code under test.

use multiwa_ws_core::websocket::Role;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// The masking key of every frame that [`frame_to`] writes for a server.
pub(crate) const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame as an endpoint of `role` receives it; `first` is its first byte, such as `FIN | TEXT`.
pub(crate) fn frame_to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header_to(role, first, payload.len() as u64);
    match role {
        Role::Client => bytes.extend_from_slice(payload),
        Role::Server => bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key)),
    }
    bytes
}

/// Only the header of such a frame.
pub(crate) fn header_to(role: Role, first: u8, len: u64) -> Vec<u8> {
    let mask_bit = if role == Role::Server { 0x80 } else { 0 };
    let [.., high, low] = len.to_be_bytes();
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(mask_bit | low),
        126..=0xFFFF => bytes.extend([mask_bit | 126, high, low]),
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    if role == Role::Server {
        bytes.extend_from_slice(&KEY);
    }
    bytes
}

/// A Close frame as an endpoint of `role` receives it.
pub(crate) fn close_to(role: Role, code: u16, reason: &str) -> Vec<u8> {
    frame_to(role, FIN | CLOSE, &close_body(code, reason))
}

pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A frame that an endpoint sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Unmasked.
    pub(crate) payload: Vec<u8>,
}

/// Reads the bytes that an endpoint of `role` sent, up to the end or to an incomplete frame. Panics on anything that
/// RFC 6455 forbids it to send.
pub(crate) fn frames_from(role: Role, bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((frame, len)) = read_frame(role, rest) {
        rest = &rest[len..];
        frames.push(frame);
    }
    check_sequence(&frames, rest);
    frames
}

fn read_frame(role: Role, bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let masked = second & 0x80 != 0;
    assert_eq!(masked, role == Role::Client, "5.1: a client masks, a server does not");
    assert_eq!(first & 0x70, 0, "5.2: no extension was negotiated");
    let number = |range: std::ops::Range<usize>| {
        bytes.get(range).map(|field| field.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    let (len, mut at) = match second & 0x7F {
        126 => (number(2..4)?, 4),
        127 => (number(2..10)?, 10),
        len => (u64::from(len), 2),
    };
    let shortest = if len < 126 {
        2
    } else if len < 0x1_0000 {
        4
    } else {
        10
    };
    assert_eq!(at, shortest, "5.2: the shortest length field");
    let mut mask = None;
    if masked {
        mask = Some(bytes.get(at..at + 4)?.try_into().unwrap());
        at += 4;
    }
    let end = at + usize::try_from(len).unwrap();
    let key: [u8; 4] = mask.unwrap_or_default();
    let payload = bytes.get(at..end)?.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Some((Frame { first, mask, payload }, end))
}

fn check_sequence(frames: &[Frame], rest: &[u8]) {
    let mut message: Option<(u8, Vec<u8>)> = None;
    for (at, frame) in frames.iter().enumerate() {
        let fin = frame.first & FIN != 0;
        match frame.first & 0x0F {
            CONTINUATION => {
                message.as_mut().expect("5.4: a continuation continues something").1.extend_from_slice(&frame.payload);
            }
            opcode @ (TEXT | BINARY) => {
                assert!(message.is_none(), "5.4: messages are not interleaved");
                message = Some((opcode, frame.payload.clone()));
            }
            opcode @ (CLOSE | PING | PONG) => {
                assert!(fin && frame.payload.len() <= 125, "5.5: control frames are whole and short");
                if opcode == CLOSE {
                    assert!(at + 1 == frames.len() && rest.is_empty(), "5.5.1: nothing is sent after Close");
                    check_close(&frame.payload);
                }
                continue;
            }
            opcode => panic!("5.2: opcode {opcode} is reserved"),
        }
        if fin {
            let (opcode, payload) = message.take().unwrap();
            assert!(opcode == BINARY || String::from_utf8(payload).is_ok(), "5.6: text is UTF-8");
        }
    }
}

fn check_close(body: &[u8]) {
    if body.is_empty() {
        return;
    }
    let code = u16::from_be_bytes([body[0], body[1]]);
    assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "7.4: {code} must not be sent");
    assert!(std::str::from_utf8(&body[2..]).is_ok(), "5.5.1: the reason is UTF-8");
}
