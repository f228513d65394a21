//! The server's upgrade, on any bytes in any split.
//!
//! Input: flags (1: small limits, 2: accept compression, 4: accept the first subprotocol), the pattern of the pieces,
//! the bytes.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, DeflateConfig, HandshakeLimits, HttpVersion, RequestError,
    ServerHandshake, UpgradeRequest,
};
use sha1_smol::Sha1;

use super::pieces::{configured, cut};

const NOW: Instant = Instant::from_nanos(0);

/// Reads one request and answers it.
pub fn run(data: &[u8]) {
    let Some(([flags, pattern], bytes)) = configured(data) else { return };
    let limits = limits(flags & 1 != 0);
    let (mut server, outcome, left) = serve(limits, &[bytes]);
    let (_, outcome_in_pieces, left_in_pieces) = serve(limits, &cut(bytes, pattern));
    assert_eq!((&outcome_in_pieces, left_in_pieces), (&outcome, left), "the split made a difference");
    match outcome {
        Ok(None) => assert!(left == 0 && server.handle_eof(NOW).is_err() && server.is_closed()),
        Ok(Some(request)) => accept(&mut server, &request, flags, &bytes[..bytes.len() - left]),
        Err(error) => refuse(&mut server, error, limits),
    }
}

fn limits(small: bool) -> HandshakeLimits {
    if small {
        HandshakeLimits::new().max_head_bytes(300).max_request_line_bytes(60).max_header_fields(8)
    } else {
        HandshakeLimits::default()
    }
}

type Outcome = Result<Option<UpgradeRequest>, RequestError>;

/// The result for the pieces, and the number of bytes that were left for the connection.
fn serve(limits: HandshakeLimits, pieces: &[&[u8]]) -> (ServerHandshake, Outcome, usize) {
    let mut server = ServerHandshake::new(NOW, limits);
    let mut left = 0;
    let mut outcome = Ok(None);
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = bytes.as_mut_slice();
        if let Ok(None) = outcome {
            outcome = server.handle_input(NOW, &mut input).map(Option::<&UpgradeRequest>::cloned);
        } else if outcome.is_err() {
            assert_eq!(server.handle_input(NOW, &mut input).err(), outcome.clone().err());
        }
        left += input.len();
        assert!(server.buffered_bytes() <= 2 * limits.get_max_head_bytes(), "{} bytes held", server.buffered_bytes());
    }
    (server, outcome, left)
}

fn accept(server: &mut ServerHandshake, request: &UpgradeRequest, flags: u8, head: &[u8]) {
    assert!(head.starts_with(b"GET ") && head.ends_with(b"\r\n\r\n"), "{head:?}");
    // The same request from an HTTP server of the caller must be equal.
    let headers = request.headers().iter();
    let again =
        UpgradeRequest::from_http(&limits(flags & 1 != 0), HttpVersion::Http11, "GET", request.target(), headers);
    assert_eq!(again.as_ref(), Ok(request));
    let _ = (request.path(), request.query_pairs().count(), request.host(), request.origin(), request.api_key());

    let offered = request.subprotocols().next().map(str::to_owned);
    let chosen = offered.filter(|_| flags & 4 != 0);
    let acceptance =
        Acceptance::new().subprotocol(chosen.clone()).deflate((flags & 2 != 0).then(DeflateConfig::default));
    if let Err(error) = server.accept(NOW, &acceptance) {
        panic!("{error} for {acceptance:?}");
    }
    let Some(accepted) = server.poll_accepted() else { panic!("nothing to take over") };
    assert!(server.poll_accepted().is_none(), "handed over twice");
    assert_eq!(accepted.upgraded.subprotocol, chosen);

    let response = String::from_utf8_lossy(&accepted.unsent).into_owned();
    assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"), "{response:?}");
    let value = |name: &str| {
        let mut values = response.lines().filter_map(|line| line.split_once(": ")).filter(|(field, _)| *field == name);
        let found = values.next().map(|(_, value)| value.to_owned());
        assert!(values.next().is_none(), "{name} is repeated in {response:?}");
        found
    };
    let key = request.headers().get_str("Sec-WebSocket-Key").unwrap_or_default();
    assert_eq!(value("Sec-WebSocket-Accept"), Some(accept_value(key)));
    assert_eq!(value("Sec-WebSocket-Protocol"), chosen);
    let extensions = value("Sec-WebSocket-Extensions");
    assert_eq!(extensions.is_some(), accepted.upgraded.negotiated.deflate.is_some());
    if let Some(deflate) = accepted.upgraded.negotiated.deflate {
        // RFC 6455 section 9.1: the server accepts only offered extensions.
        let offers = request.headers().get_all("Sec-WebSocket-Extensions").collect::<Vec<_>>().concat();
        let offers = String::from_utf8_lossy(&offers).to_ascii_lowercase();
        assert!(flags & 2 != 0 && offers.contains("permessage-deflate"), "{offers}");
        assert!((8..=15).contains(&deflate.server_max_window_bits), "{deflate:?}");
        assert!((8..=15).contains(&deflate.client_max_window_bits), "{deflate:?}");
    }
}

/// RFC 6455 section 4.2.2 item 5.
pub(super) fn accept_value(key: &str) -> String {
    let digest = Sha1::from([key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat()).digest().bytes();
    data_encoding::BASE64.encode(&digest)
}

/// A client must be able to read the reason of a refusal.
fn refuse(server: &mut ServerHandshake, error: RequestError, limits: HandshakeLimits) {
    let mut slices = [&b""[..]; 4];
    let filled = server.poll_transmit(&mut slices);
    let mut response = slices[..filled].concat();
    server.transmitted(NOW, response.len());
    let Some(rejection) = error.rejection() else { panic!("{error} has no answer") };

    let Ok(mut client) = ClientHandshake::new(NOW, ClientRequest::new("h", "/"), HandshakeLimits::default(), [1; 32])
    else {
        panic!("a valid request")
    };
    client.transmitted(NOW, usize::MAX);
    match client.handle_input(NOW, &mut response.as_mut_slice()) {
        Ok(Some(Answer::Refused(refusal))) => {
            assert_eq!((refusal.status, refusal.body), (rejection.status, rejection.body));
        }
        other => panic!("{other:?} from {error}"),
    }

    assert!(server.poll_shutdown());
    server.shutdown_done();
    let _ = server.handle_timeout(NOW + limits.get_timeout() + Duration::from_nanos(1));
    assert!(server.is_closed() && server.poll_timeout().is_none());
}
