use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn from_server(bytes: &[u8]) -> Parsed {
    parse(Role::Server, bytes, ParseOptions::default())
}

fn from_client(bytes: &[u8]) -> Parsed {
    parse(Role::Client, bytes, ParseOptions::default())
}

fn joined(frames: &[RawFrame]) -> Vec<u8> {
    frames.iter().flat_map(RawFrame::encode).collect()
}

fn text(data: &str) -> Delivered {
    Delivered::Message { kind: Kind::Text, data: data.into(), compressed: false }
}

fn binary(data: &[u8]) -> Delivered {
    Delivered::Message { kind: Kind::Binary, data: data.into(), compressed: false }
}

/// The rule that `bytes` break, and the number of bytes that prove it. Checks that no shorter prefix breaks a rule.
fn broken_rule(sender: Role, options: ParseOptions, bytes: &[u8]) -> (Rule, usize) {
    let Outcome::Violation { rule, proven_by } = parse(sender, bytes, options).outcome else {
        panic!("no rule is broken by {bytes:x?}");
    };
    for cut in 0..proven_by {
        let prefix = parse(sender, &bytes[..cut], options);
        assert_eq!(prefix.outcome, Outcome::Incomplete, "cut at {cut} of {bytes:x?}");
    }
    for cut in proven_by..bytes.len() {
        let prefix = parse(sender, &bytes[..cut], options);
        assert_eq!(prefix.outcome, Outcome::Violation { rule, proven_by }, "cut at {cut} of {bytes:x?}");
    }
    (rule, proven_by)
}

fn broken_by_server(frames: &[RawFrame]) -> (Rule, usize) {
    broken_rule(Role::Server, ParseOptions::default(), &joined(frames))
}

mod rfc_6455_section_5_7_examples {
    use super::*;

    #[test]
    fn a_single_frame_unmasked_text_message() {
        let parsed = from_server(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(parsed.delivered, [text("Hello")]);
        assert_eq!(parsed.consumed, 7);
        assert_eq!(parsed.outcome, Outcome::Incomplete);
    }

    #[test]
    fn a_single_frame_masked_text_message() {
        let parsed = from_client(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(parsed.delivered, [text("Hello")]);
        assert_eq!(parsed.frames[0].masking_key, Some(KEY));
    }

    #[test]
    fn a_fragmented_unmasked_text_message() {
        let parsed = from_server(&[0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]);
        assert_eq!(parsed.delivered, [text("Hello")]);
        let fins: Vec<bool> = parsed.frames.iter().map(|frame| frame.fin).collect();
        assert_eq!(fins, [false, true]);
    }

    #[test]
    fn an_unmasked_ping_and_a_masked_pong() {
        let ping = from_server(&[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(ping.delivered, [Delivered::Ping(b"Hello".to_vec())]);
        let pong = from_client(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(pong.delivered, [Delivered::Pong(b"Hello".to_vec())]);
    }

    #[test]
    fn binary_messages_of_256_bytes_and_of_64_kib() {
        let short = [&[0x82, 0x7e, 0x01, 0x00][..], &[7; 256]].concat();
        assert_eq!(from_server(&short).delivered, [binary(&[7; 256])]);
        let long = [&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &[9; 65_536]].concat();
        assert_eq!(from_server(&long).delivered, [binary(&[9; 65_536])]);
    }

    #[test]
    fn the_encoder_writes_the_same_bytes() {
        assert_eq!(RawFrame::text("Hello").encode(), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(
            RawFrame::text("Hello").masked(KEY).encode(),
            [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
        assert_eq!(
            joined(&[RawFrame::text("Hel").not_final(), RawFrame::continuation("lo")]),
            [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]
        );
        assert_eq!(RawFrame::ping("Hello").encode()[..2], [0x89, 0x05]);
        assert_eq!(RawFrame::pong("Hello").encode()[..2], [0x8a, 0x05]);
        assert_eq!(RawFrame::binary([7; 256]).encode()[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(RawFrame::binary([9; 65_536]).encode()[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}

#[test]
fn section_5_4_control_frames_between_fragments_are_delivered_first() {
    let parsed = from_server(&joined(&[
        RawFrame::text("a").not_final(),
        RawFrame::ping("now"),
        RawFrame::continuation("").not_final(),
        RawFrame::pong(""),
        RawFrame::continuation("b"),
    ]));
    assert_eq!(parsed.delivered, [Delivered::Ping(b"now".to_vec()), Delivered::Pong(vec![]), text("ab")]);
}

#[test]
fn section_5_2_each_length_form_is_read_at_both_its_ends() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let message = vec![b'x'; length];
        let parsed = from_server(&RawFrame::binary(message.clone()).encode());
        assert_eq!(parsed.delivered, [binary(&message)]);
    }
}

#[test]
fn section_5_5_1_a_close_frame_ends_the_stream_whatever_follows() {
    let cases = [
        (RawFrame::close_with_body([]), None, ""),
        (RawFrame::close(1000, ""), Some(1000), ""),
        (RawFrame::close(4999, "bye é"), Some(4999), "bye é"),
        (RawFrame::close(1001, "x".repeat(123)), Some(1001), &"x".repeat(123)),
    ];
    for (frame, code, reason) in cases {
        let close = frame.encode();
        let bytes = [close.as_slice(), &[0xFF; 20]].concat();
        let parsed = from_server(&bytes);
        assert_eq!(parsed.outcome, Outcome::Closed { code, reason: reason.into() });
        assert_eq!(parsed.consumed, close.len());
        assert_eq!(from_server(&close[..close.len() - 1]).outcome, Outcome::Incomplete);
    }
}

#[test]
fn section_7_1_5_a_close_inside_a_fragmented_message_is_no_violation() {
    let parsed = from_server(&joined(&[RawFrame::text("unfinished").not_final(), RawFrame::close(1000, "")]));
    assert_eq!(parsed.outcome, Outcome::Closed { code: Some(1000), reason: String::new() });
    assert_eq!(parsed.delivered, []);
}

#[test]
fn section_7_4_every_status_code_is_checked() {
    let allowed: Vec<u16> = (0..=u16::MAX)
        .filter(|code| matches!(from_server(&RawFrame::close(*code, "").encode()).outcome, Outcome::Closed { .. }))
        .collect();
    let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
    assert_eq!(allowed, expected);
}

#[test]
fn each_rule_is_broken_by_a_vector_at_the_first_byte_that_proves_it() {
    use Rule::*;
    let cases: [(&[RawFrame], Rule, usize); 25] = [
        (&[RawFrame::text("").rsv(4)], ReservedBit, 1),
        (&[RawFrame::text("").rsv(2)], ReservedBit, 1),
        (&[RawFrame::ping("").rsv(1)], ReservedBit, 1),
        (&[RawFrame::new(0x3, "")], ReservedOpcode, 1),
        (&[RawFrame::new(0x7, "")], ReservedOpcode, 1),
        (&[RawFrame::new(0xB, "")], ReservedOpcode, 1),
        (&[RawFrame::new(0xF, "")], ReservedOpcode, 1),
        (&[RawFrame::ping("").not_final()], FragmentedControl, 1),
        (&[RawFrame::close(1000, "").not_final()], FragmentedControl, 1),
        (&[RawFrame::pong([0; 126])], ControlTooLong, 2),
        (&[RawFrame::ping("").length_field(LengthField::Bits64(0))], ControlTooLong, 2),
        (&[RawFrame::continuation("x")], NothingToContinue, 1),
        (&[RawFrame::text("ab"), RawFrame::continuation("x")], NothingToContinue, 5),
        (&[RawFrame::text("ab").not_final(), RawFrame::text("x")], DataInsideMessage, 5),
        (&[RawFrame::binary("ab").not_final(), RawFrame::binary("x")], DataInsideMessage, 5),
        (&[RawFrame::text("x").masked(KEY)], ServerMustNotMask, 2),
        (&[RawFrame::text("x").length_field(LengthField::Bits16(125))], LengthNotMinimal, 4),
        (&[RawFrame::text("x").length_field(LengthField::Bits64(65_535))], LengthNotMinimal, 8),
        (&[RawFrame::text("x").length_field(LengthField::Bits64(1 << 63))], LengthTooLarge, 3),
        (&[RawFrame::close_with_body([3])], CloseBodyTooShort, 2),
        (&[RawFrame::close(999, "reason")], CloseCode, 4),
        (&[RawFrame::close(1000, [b'a', 0xFF, b'b'])], CloseReasonNotUtf8, 6),
        (&[RawFrame::close(1000, [b'a', 0xC3])], CloseReasonNotUtf8, 6),
        (&[RawFrame::text([b'a', 0xC0, b'b'])], TextNotUtf8, 4),
        (&[RawFrame::text([b'a', 0xE2, 0x82])], TextNotUtf8, 5),
    ];
    let mut seen = BTreeSet::new();
    for (frames, rule, proven_by) in cases {
        assert_eq!(broken_by_server(frames), (rule, proven_by), "{frames:x?}");
        seen.insert(rule);
    }

    let unmasked = broken_rule(Role::Client, ParseOptions::default(), &RawFrame::text("x").encode());
    assert_eq!(unmasked, (ClientMustMask, 2));
    let compressed = ParseOptions { rsv1_allowed: true };
    assert_eq!(broken_rule(Role::Server, compressed, &RawFrame::ping("").rsv(4).encode()), (MisplacedRsv1, 1));
    seen.extend([unmasked.0, MisplacedRsv1]);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), Rule::ALL);
}

#[test]
fn a_length_that_no_memory_could_hold_is_read_without_reserving_it() {
    for length in [65_536, u64::MAX >> 1] {
        let frame = RawFrame::binary("begun").length_field(LengthField::Bits64(length));
        assert_eq!(from_server(&frame.encode()).outcome, Outcome::Incomplete);
    }
}

#[test]
fn section_8_1_a_character_may_be_split_between_frames() {
    let euro = "€".as_bytes();
    let split = |last: &[u8]| {
        joined(&[
            RawFrame::text(&euro[..1]).not_final(),
            RawFrame::ping(""),
            RawFrame::continuation(&euro[1..2]).not_final(),
            RawFrame::continuation(last),
        ])
    };
    assert_eq!(from_server(&split(&euro[2..])).delivered.last(), Some(&text("€")));
    let cut_off = broken_rule(Role::Server, ParseOptions::default(), &split(b""));
    assert_eq!(cut_off, (Rule::TextNotUtf8, split(b"").len()));
    let wrong = broken_rule(Role::Server, ParseOptions::default(), &split(b"xy"));
    assert_eq!(wrong, (Rule::TextNotUtf8, split(b"").len() + 1));
}

#[test]
fn messages_before_a_violation_are_delivered() {
    let parsed = from_server(&joined(&[RawFrame::text("kept"), RawFrame::ping("kept"), RawFrame::new(0x3, "")]));
    assert_eq!(parsed.delivered, [text("kept"), Delivered::Ping(b"kept".to_vec())]);
    assert_eq!(parsed.frames.len(), 2);
    assert_eq!(parsed.consumed, 12);
}

#[test]
fn rfc_7692_section_6_rsv1_marks_the_first_frame_of_a_compressed_message() {
    let options = ParseOptions { rsv1_allowed: true };
    let frames = [RawFrame::text([0xF2, 0x48]).rsv(4).not_final(), RawFrame::continuation([0xCD, 0xC9])];
    let parsed = parse(Role::Server, &joined(&frames), options);
    let compressed = Delivered::Message { kind: Kind::Text, data: vec![0xF2, 0x48, 0xCD, 0xC9], compressed: true };
    assert_eq!(parsed.delivered, [compressed]);

    let twice = [RawFrame::text("a").rsv(4).not_final(), RawFrame::continuation("b").rsv(4)];
    assert_eq!(broken_rule(Role::Server, options, &joined(&twice)), (Rule::MisplacedRsv1, 4));
}

#[test]
fn a_rule_names_its_section_and_its_close_code() {
    for rule in Rule::ALL {
        let about_text = matches!(rule, Rule::TextNotUtf8 | Rule::CloseReasonNotUtf8);
        assert_eq!(rule.close_code(), if about_text { 1007 } else { 1002 });
        assert!(rule.section().starts_with("RFC "));
    }
}

/// A message split into frames, with control frames between them.
fn correct_frames() -> impl Strategy<Value = Vec<RawFrame>> {
    let control = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=125))
        .prop_map(|(ping, payload)| if ping { RawFrame::ping(payload) } else { RawFrame::pong(payload) });
    let message = (any::<bool>(), prop::collection::vec(".{0,90}", 1..5));
    let group = (prop::collection::vec(control, 0..3), message).prop_map(|(controls, (is_text, parts))| {
        let last = parts.len() - 1;
        let mut frames = controls;
        for (index, part) in parts.into_iter().enumerate() {
            let frame = match (index, is_text) {
                (0, true) => RawFrame::text(part),
                (0, false) => RawFrame::binary(part),
                _ => RawFrame::continuation(part),
            };
            frames.push(if index == last { frame } else { frame.not_final() });
        }
        frames
    });
    prop::collection::vec(group, 0..4).prop_map(|groups| groups.concat())
}

proptest! {
    #[test]
    fn what_a_correct_peer_sends_is_read_back(frames in correct_frames(), key in any::<[u8; 4]>()) {
        let plain = from_server(&joined(&frames));
        prop_assert_eq!(&plain.outcome, &Outcome::Incomplete);
        prop_assert_eq!(plain.consumed, joined(&frames).len());
        prop_assert_eq!(plain.frames.len(), frames.len());
        let masked: Vec<RawFrame> = frames.into_iter().map(|frame| frame.masked(key)).collect();
        prop_assert_eq!(from_client(&joined(&masked)).delivered, plain.delivered);
    }

    #[test]
    fn a_prefix_delivers_the_beginning_of_what_the_whole_delivers(
        frames in correct_frames(),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = [joined(&frames), garbage].concat();
        let whole = from_server(&bytes);
        let prefix = from_server(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(whole.delivered.starts_with(&prefix.delivered));
        prop_assert!(whole.frames.starts_with(&prefix.frames));
        prop_assert!(prefix.outcome == Outcome::Incomplete || prefix.outcome == whole.outcome);
    }

    #[test]
    fn any_bytes_have_a_result_and_the_input_proves_each_violation(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        rsv1_allowed in any::<bool>(),
        client in any::<bool>(),
    ) {
        let sender = if client { Role::Client } else { Role::Server };
        let options = ParseOptions { rsv1_allowed };
        let parsed = parse(sender, &bytes, options);
        prop_assert!(parsed.consumed <= bytes.len());
        if let Outcome::Violation { proven_by, .. } = parsed.outcome {
            prop_assert!(proven_by <= bytes.len());
            let before = parse(sender, &bytes[..proven_by - 1], options);
            prop_assert_eq!(before.outcome, Outcome::Incomplete);
        }
    }
}
