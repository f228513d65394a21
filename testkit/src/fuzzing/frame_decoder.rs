//! Compares layers 1 and 2 with the reference parser, on any bytes in any split.
//!
//! Input: flags (1: the bytes come from a server, 2: an extension uses RSV1), the pattern of the pieces, the bytes.

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::{FrameDecoder, FrameError, FrameRules, OpCode, ReservedBits};
use multiwa_ws_core::websocket::{Negotiated, Role, WebSocket};

use super::pieces::{configured, cut};
use super::websocket::{opposite, without_limits};
use crate::event::{OwnedEvent, receive, receive_in_place};
use crate::reference::{Frame, Outcome, ParseOptions, Parsed, Rule, parse};
use crate::wire::{begins_with_frame, check_output, drain, sender};

/// Decodes one input twice, frame by frame and message by message.
pub fn run(data: &[u8]) {
    let Some(([flags, pattern], wire)) = configured(data) else { return };
    let from = if flags & 1 == 0 { Role::Client } else { Role::Server };
    let options = ParseOptions { rsv1_allowed: flags & 2 != 0 };
    let expected = parse(sender(from), wire, options);
    let pieces = cut(wire, pattern);
    frames(from, options, &pieces, &expected);
    // The reference parser does not check compressed text, so the results would differ with RSV1.
    if !options.rsv1_allowed {
        messages(from, &pieces, &expected);
    }
}

fn frames(from: Role, options: ParseOptions, pieces: &[&[u8]], expected: &Parsed) {
    let rules = match from {
        Role::Client => FrameRules::for_server(),
        Role::Server => FrameRules::for_client(),
    };
    let reserved = if options.rsv1_allowed { ReservedBits::RSV1 } else { ReservedBits::NONE };
    let mut decoder = FrameDecoder::new(rules.reserved(reserved));
    let mut decoded = Vec::new();
    let mut taken = 0;
    let mut failed = None;
    for piece in pieces {
        if let Err(error) = decode(&mut decoder, piece, &mut decoded) {
            failed = Some((error, taken..taken + piece.len()));
            break;
        }
        taken += piece.len();
    }
    // A frame counts once it is complete.
    let whole: Vec<&Frame> = decoded.iter().filter(|frame| frame.1).map(|frame| &frame.0).collect();
    let known = expected.frames.len();
    assert!(whole.len() >= known, "{whole:?} lacks a frame of {expected:?}");
    assert!(whole.iter().copied().take(known).eq(&expected.frames), "{whole:?} differs from {expected:?}");
    match expected.outcome {
        Outcome::Incomplete => {
            assert_eq!((failed, whole.len()), (None, known));
            assert_eq!(decoder.is_between_frames(), taken == expected.consumed);
        }
        // Layer 1 does not check the order of frames, or the bytes after a Close frame.
        Outcome::Closed { .. } => {}
        Outcome::Violation { rule, proven_by } if is_of_header(rule) => {
            let Some((error, piece)) = failed else { panic!("{rule:?} went unseen") };
            assert_eq!(whole.len(), known);
            assert!(piece.contains(&(proven_by - 1)), "{error:?} in {piece:?} for {rule:?} at {proven_by}");
        }
        Outcome::Violation { .. } => {}
    }
}

/// Appends the frames in `piece`, each with a flag that says whether it is complete.
fn decode(decoder: &mut FrameDecoder, piece: &[u8], decoded: &mut Vec<(Frame, bool)>) -> Result<(), FrameError> {
    let mut piece = piece.to_vec();
    let mut input = piece.as_mut_slice();
    while let Some(part) = decoder.decode(&mut input)? {
        let header = part.header;
        if part.first {
            let rsv1 = header.reserved.contains(ReservedBits::RSV1);
            let (fin, opcode, masking_key) = (header.fin, opcode_bits(header.opcode), header.mask);
            decoded.push((Frame { fin, rsv1, opcode, masking_key, payload: Vec::new() }, false));
        }
        let Some((frame, whole)) = decoded.last_mut() else { panic!("a frame began without its first part") };
        assert_eq!(part.offset, frame.payload.len() as u64);
        frame.payload.extend_from_slice(part.payload);
        *whole = part.is_last();
    }
    assert!(input.is_empty());
    Ok(())
}

fn opcode_bits(opcode: OpCode) -> u8 {
    opcode as u8
}

/// Whether a single header shows that the rule is broken.
fn is_of_header(rule: Rule) -> bool {
    match rule {
        Rule::ReservedBit
        | Rule::MisplacedRsv1
        | Rule::ReservedOpcode
        | Rule::FragmentedControl
        | Rule::ControlTooLong
        | Rule::ClientMustMask
        | Rule::ServerMustNotMask
        | Rule::LengthNotMinimal
        | Rule::LengthTooLarge => true,
        Rule::NothingToContinue
        | Rule::DataInsideMessage
        | Rule::CloseBodyTooShort
        | Rule::CloseCode
        | Rule::CloseReasonNotUtf8
        | Rule::TextNotUtf8 => false,
    }
}

fn messages(from: Role, pieces: &[&[u8]], expected: &Parsed) {
    let now = Instant::default();
    let role = opposite(from);
    let mut ws = WebSocket::new(now, role, &without_limits(), &Negotiated::default(), [5; 32]);
    let mut events = Vec::new();
    for piece in pieces {
        // The length decides, so that inputs keep their form.
        events.extend(if piece.len().is_multiple_of(2) {
            receive_in_place(&mut ws, now, piece)
        } else {
            receive(&mut ws, now, piece)
        });
        if matches!(events.last(), Some(OwnedEvent::Failed(_))) {
            break;
        }
    }
    check_output(role, &drain(&mut ws, now), ParseOptions::default());

    let delivered: Vec<OwnedEvent> = expected.delivered.iter().cloned().map(OwnedEvent::from).collect();
    assert!(events.starts_with(&delivered), "{events:?} lacks something of {expected:?}");
    let ending = &events[delivered.len()..];
    match &expected.outcome {
        Outcome::Incomplete => assert_eq!(ending, []),
        Outcome::Closed { code, reason } => {
            assert_eq!(ending, [OwnedEvent::Close(code.map(|code| (code, reason.clone())))]);
        }
        // A receiver may report a violation as late as the end of the header or of the Close frame.
        Outcome::Violation { rule, .. } if ending.is_empty() => {
            assert!(!is_of_header(*rule) && *rule != Rule::TextNotUtf8, "{rule:?} went unseen");
            assert!(!is_whole(pieces, expected.consumed), "{rule:?} went unseen");
        }
        Outcome::Violation { rule, .. } => match ending {
            [OwnedEvent::Failed(error)] => {
                assert_eq!(error.close_code().get(), rule.close_code(), "{error:?} for {rule:?}");
            }
            _ => panic!("{ending:?} in place of {rule:?}"),
        },
    }
}

/// Whether a complete frame begins at the position `at` of the input. The frame may be invalid.
fn is_whole(pieces: &[&[u8]], at: usize) -> bool {
    begins_with_frame(&pieces.concat()[at..])
}
