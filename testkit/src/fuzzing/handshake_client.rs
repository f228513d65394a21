//! The client's upgrade, on any bytes in any split.
//!
//! Input: flags (1: offer compression, 2: offer subprotocols, 4: small limits), the pattern of the pieces, the bytes.
//! The client's key is fixed, so that a corpus can contain its answer.

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Answer, ClientHandshake, ClientRequest, DeflateOffer, HandshakeLimits, ResponseError,
};

use super::handshake_server::accept_value;
use super::pieces::{configured, cut};

const NOW: Instant = Instant::from_nanos(0);

/// Reads one answer.
pub fn run(data: &[u8]) {
    let Some(([flags, pattern], bytes)) = configured(data) else { return };
    let (mut client, outcome, left) = dial(flags, &[bytes]);
    let (_, outcome_in_pieces, left_in_pieces) = dial(flags, &cut(bytes, pattern));
    assert_eq!((&outcome_in_pieces, left_in_pieces), (&outcome, left), "the split made a difference");
    let limits = limits(flags);
    match outcome {
        // The handshake must also end at its deadline and at the end of the stream.
        Ok(None) => {
            let (mut late, ..) = dial(flags, &[bytes]);
            assert!(!matches!(late.handle_timeout(NOW + limits.get_timeout()), Ok(None)));
            assert!(!matches!(client.handle_eof(NOW), Ok(None)));
        }
        Ok(Some(Answer::Upgraded(upgraded))) => {
            let head = String::from_utf8_lossy(&bytes[..bytes.len() - left]);
            assert!(head.ends_with("\r\n\r\n") && head.contains(" 101"), "{head:?}");
            assert!(head.contains(&expected_accept()), "{head:?}");
            assert!(flags & 1 != 0 || upgraded.negotiated.deflate.is_none());
            let offered = subprotocols(flags);
            assert!(upgraded.subprotocol.is_none_or(|chosen| offered.contains(&chosen)));
        }
        Ok(Some(Answer::Refused(refusal))) => {
            // An undefined status is a refusal too (RFC 9110 section 15). An interim status is not.
            assert!(!(100..=199).contains(&refusal.status), "{}", refusal.status);
            assert!(refusal.body.len() <= limits.get_max_body_bytes());
            let _ = (refusal.text(), refusal.retry_after(), refusal.location(), refusal.versions().count());
        }
        Err(error) => assert_eq!(client.handle_eof(NOW), Err(error)),
    }
}

fn limits(flags: u8) -> HandshakeLimits {
    if flags & 4 == 0 {
        return HandshakeLimits::default();
    }
    HandshakeLimits::new().max_head_bytes(300).max_header_fields(8).max_body_bytes(10)
}

fn subprotocols(flags: u8) -> Vec<String> {
    if flags & 2 == 0 { Vec::new() } else { vec!["chat".into(), "superchat".into()] }
}

type Outcome = Result<Option<Answer>, ResponseError>;

/// The result for the pieces, and the number of bytes that were left for the connection.
fn dial(flags: u8, pieces: &[&[u8]]) -> (ClientHandshake, Outcome, usize) {
    let mut client = client(flags);
    client.transmitted(NOW, usize::MAX);
    let mut left = 0;
    let mut outcome = Ok(None);
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = bytes.as_mut_slice();
        if let Ok(None) = outcome {
            outcome = client.handle_input(NOW, &mut input);
            if let Ok(None) = outcome {
                assert!(input.is_empty(), "{} bytes were left without an answer", input.len());
            }
        }
        if let Ok(Some(Answer::Upgraded(_))) = outcome {
            left += input.len();
        }
        assert!(
            client.buffered_bytes() <= 2 * limits(flags).get_max_head_bytes(),
            "{} bytes held",
            client.buffered_bytes()
        );
    }
    (client, outcome, left)
}

fn client(flags: u8) -> ClientHandshake {
    let request = ClientRequest {
        subprotocols: subprotocols(flags),
        deflate: (flags & 1 != 0).then(DeflateOffer::default),
        ..ClientRequest::new("h", "/ws")
    };
    match ClientHandshake::new(NOW, request, limits(flags), [7; 32]) {
        Ok(client) => client,
        Err(error) => panic!("{error}"),
    }
}

/// The value that a server must send for the key of [`client`].
fn expected_accept() -> String {
    let client = client(0);
    let mut slices = [&b""[..]; 4];
    let filled = client.poll_transmit(&mut slices);
    let request = String::from_utf8_lossy(&slices[..filled].concat()).into_owned();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    accept_value(key.unwrap_or_default())
}
