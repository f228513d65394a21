//! Our client and our server against each other.

use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, DeflateConfig, DeflateOffer, HandshakeLimits, Headers,
    Rejection, Response, ServerHandshake, Upgraded,
};

use crate::support::{NOW, SEED, sent_by_client, sent_by_server};

/// Passes both messages in pieces of `size` bytes. `tail` follows the response in its last piece.
fn meet(
    request: &ClientRequest,
    decide: impl Fn(&mut ServerHandshake),
    size: usize,
    tail: &[u8],
) -> (Answer, ServerHandshake) {
    let mut client = ClientHandshake::new(NOW, request.clone(), HandshakeLimits::default(), SEED).unwrap();
    let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
    while server.request().is_none() {
        let mut bytes = sent_by_client(&client);
        bytes.truncate(size);
        client.transmitted(NOW, bytes.len());
        server.handle_input(NOW, &mut bytes.as_mut_slice()).unwrap();
    }
    decide(&mut server);
    loop {
        let mut bytes = sent_by_server(&server).into_bytes();
        let last = bytes.len() <= size;
        bytes.truncate(size);
        server.transmitted(NOW, bytes.len());
        if last {
            bytes.extend_from_slice(tail);
        }
        let mut input = bytes.as_mut_slice();
        if let Some(answer) = client.handle_input(NOW, &mut input).unwrap() {
            assert_eq!(input, tail);
            return (answer, server);
        }
        assert!(!last, "no answer from the whole response");
    }
}

#[test]
fn both_sides_agree_about_what_was_negotiated() {
    let request = ClientRequest {
        subprotocols: vec!["chat".into(), "superchat".into()],
        deflate: Some(DeflateOffer::new().server_max_window_bits(11)),
        ..ClientRequest::new("gateway:3001", "/ws?apiKey=k")
    };
    let mut headers = Headers::new();
    headers.append("X-MultiWA-Features", "subscription-sets").unwrap();
    let acceptance = Acceptance::new()
        .subprotocol("superchat".to_owned())
        .headers(headers)
        .deflate(DeflateConfig::new().client_max_window_bits(12));
    for size in (1..400).step_by(7) {
        let decide = |server: &mut ServerHandshake| server.accept(NOW, &acceptance).unwrap();
        let (answer, mut server) = meet(&request, decide, size, b"\x81\x02{}");
        let accepted = server.poll_accepted().unwrap();
        assert_eq!(answer, Answer::Upgraded(accepted.upgraded.clone()));
        let Upgraded { negotiated, subprotocol, .. } = accepted.upgraded;
        let deflate = negotiated.deflate.unwrap();
        assert_eq!((deflate.server_max_window_bits, deflate.client_max_window_bits), (11, 12));
        assert_eq!(subprotocol.as_deref(), Some("superchat"));
    }
}

#[test]
fn a_client_reads_why_it_was_refused() {
    for rejection in [Rejection::unauthorized(), Rejection::forbidden(), Rejection::not_found()] {
        for size in [1, 5, 1_000] {
            let decide = |server: &mut ServerHandshake| server.reject(NOW, &rejection).unwrap();
            let (answer, server) = meet(&ClientRequest::new("h", "/"), decide, size, b"");
            let Answer::Refused(Response { status, body, complete, .. }) = answer else { panic!("{answer:?}") };
            assert_eq!((status, body, complete), (rejection.status, rejection.body.clone(), true));
            assert!(size < 1_000 || server.poll_shutdown());
        }
    }
}
