//! Passes bytes to a handshake in all the ways in which they can arrive.

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Answer, ClientHandshake, ClientRequest, HandshakeLimits, RequestError, ResponseError, ServerHandshake,
    UpgradeRequest,
};

pub(crate) const NOW: Instant = Instant::from_nanos(0);
pub(crate) const SEED: [u8; 32] = [7; 32];

/// `bytes` whole, byte by byte, and in two pieces at every split.
pub(crate) fn cuts(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let halves = (1..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]);
    [vec![bytes], bytes.chunks(1).collect()].into_iter().chain(halves)
}

/// The unread part of `bytes` after they were passed to `step` piece by piece, and the first outcome.
///
/// Bytes that a step leaves in its input come before the next piece, as in the buffer of a caller.
fn feed<T>(pieces: &[&[u8]], mut step: impl FnMut(&mut &mut [u8]) -> Option<T>) -> (Option<T>, Vec<u8>) {
    let mut outcome = None;
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut input = buffer.as_mut_slice();
        if outcome.is_none() {
            outcome = step(&mut input);
        }
        buffer = input.to_vec();
    }
    (outcome, buffer)
}

/// The result of a server for `pieces`, the bytes that it left, and the server.
pub(crate) fn serve(
    pieces: &[&[u8]],
    limits: HandshakeLimits,
) -> (Option<Result<UpgradeRequest, RequestError>>, Vec<u8>, ServerHandshake) {
    let mut server = ServerHandshake::new(NOW, limits);
    let (outcome, left) =
        feed(pieces, |input| server.handle_input(NOW, input).map(|request| request.cloned()).transpose());
    (outcome, left, server)
}

/// The result of a client that sent `request` for `pieces`, and the bytes that it left.
pub(crate) fn dial(request: ClientRequest, pieces: &[&[u8]]) -> (Option<Result<Answer, ResponseError>>, Vec<u8>) {
    let mut client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), SEED).unwrap();
    let sent = sent_by_client(&client);
    client.transmitted(NOW, sent.len());
    feed(pieces, |input| client.handle_input(NOW, input).transpose())
}

pub(crate) fn sent_by_client(client: &ClientHandshake) -> Vec<u8> {
    let mut slices = [&b""[..]; 4];
    let count = client.poll_transmit(&mut slices);
    slices[..count].concat()
}

pub(crate) fn sent_by_server(server: &ServerHandshake) -> String {
    let mut slices = [&b""[..]; 4];
    let count = server.poll_transmit(&mut slices);
    String::from_utf8(slices[..count].concat()).unwrap()
}
