//! Inputs whose first bytes determine how the rest is split.

use crate::random::Random;

/// Splits the `N` bytes that configure a target off its input. `None` if the input is too short.
pub(super) fn configured<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    data.split_first_chunk().map(|(bytes, rest)| (*bytes, rest))
}

/// `bytes` in pieces: whole for a `pattern` of 0, byte by byte for 1, in pieces of up to `pattern` bytes otherwise.
pub(super) fn cut(bytes: &[u8], pattern: u8) -> Vec<&[u8]> {
    if pattern == 0 {
        return vec![bytes];
    }
    let mut random = Random::new(pattern.into());
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = 1 + random.length_up_to(usize::from(pattern) - 1);
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
