//! Masking: RFC 6455 section 5.3.

use core::ops::BitXor;

use fearless_simd::{Level, Simd, SimdBase, dispatch, u8x16, u8x64};

use crate::simd::widest;

/// Masks or unmasks `payload` in place, which is the same operation.
///
/// `offset` is the position of `payload` in the payload of its frame, so that a frame may be masked in pieces.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: u64) {
    let key = rotate(key, offset);
    match payload.len() {
        0..LONG => dispatch!(Level::baseline(), simd => in_place::<_, u8x16<_>, 16>(simd, payload, key)),
        LONG..WIDE_FROM => dispatch!(Level::baseline(), simd => in_place::<_, u8x64<_>, 64>(simd, payload, key)),
        _ => in_place_wide(payload, key),
    }
}

/// Writes the masked `payload` to `to`, which has the same length. `payload` is the start of the payload of its frame.
/// This takes one pass over the bytes; a copy that is masked afterwards takes two.
#[inline]
pub(crate) fn copy_masked(to: &mut [u8], payload: &[u8], key: [u8; 4]) {
    match payload.len() {
        0..LONG => dispatch!(Level::baseline(), simd => copy::<_, u8x16<_>, 16>(simd, to, payload, key)),
        LONG..WIDE_FROM => dispatch!(Level::baseline(), simd => copy::<_, u8x64<_>, 64>(simd, to, payload, key)),
        _ => copy_wide(to, payload, key),
    }
}

/// From this length on, four vectors are processed at a time.
const LONG: usize = 64;

/// From this length on, the widest vectors of the processor save more time than their selection costs.
const WIDE_FROM: usize = 512;

#[inline(never)]
fn in_place_wide(payload: &mut [u8], key: [u8; 4]) {
    let (head, aligned) = payload.split_at_mut(before_aligned(payload));
    let aligned_key = rotate(key, head.len() as u64);
    dispatch!(widest(), simd => {
        in_place::<_, u8x16<_>, 16>(simd, head, key);
        in_place::<_, u8x64<_>, 64>(simd, aligned, aligned_key);
    });
}

#[inline(never)]
fn copy_wide(to: &mut [u8], payload: &[u8], key: [u8; 4]) {
    let (to_head, to_aligned) = to.split_at_mut(before_aligned(to));
    let (head, aligned) = payload.split_at(to_head.len().min(payload.len()));
    let aligned_key = rotate(key, head.len() as u64);
    dispatch!(widest(), simd => {
        copy::<_, u8x16<_>, 16>(simd, to_head, head, key);
        copy::<_, u8x64<_>, 64>(simd, to_aligned, aligned, aligned_key);
    });
}

/// The number of bytes before the next cache line begins. A wide vector that crosses two cache lines costs twice as
/// much.
#[inline]
fn before_aligned(bytes: &[u8]) -> usize {
    bytes.as_ptr().align_offset(64).min(bytes.len())
}

#[inline(always)]
fn in_place<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, payload: &mut [u8], key: [u8; 4]) {
    // The last vector overlaps the one before it, so that no single bytes remain. It is read before the other one is
    // masked.
    let Some(last) = payload.last_chunk::<N>() else { return in_place_short(payload, key) };
    let last = masked::<S, V, N>(simd, last, rotate(key, payload.len() as u64));
    for chunk in payload.as_chunks_mut::<N>().0 {
        masked::<S, V, N>(simd, chunk, key).store_slice(chunk);
    }
    if let Some(chunk) = payload.last_chunk_mut::<N>() {
        last.store_slice(chunk);
    }
}

#[inline(always)]
fn copy<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, to: &mut [u8], payload: &[u8], key: [u8; 4]) {
    let Some(last) = payload.last_chunk::<N>() else { return copy_short(to, payload, key) };
    for (to, chunk) in to.as_chunks_mut::<N>().0.iter_mut().zip(payload.as_chunks::<N>().0) {
        masked::<S, V, N>(simd, chunk, key).store_slice(to);
    }
    if let Some(to) = to.last_chunk_mut::<N>() {
        masked::<S, V, N>(simd, last, rotate(key, payload.len() as u64)).store_slice(to);
    }
}

#[inline(always)]
fn masked<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, chunk: &[u8; N], key: [u8; 4]) -> V {
    let mut repeated = [0; N];
    repeated.as_chunks_mut().0.fill(key);
    V::from_slice(simd, chunk) ^ V::from_slice(simd, &repeated)
}

/// A vector of `N` bytes.
trait Vector<S: Simd, const N: usize>: SimdBase<S, Element = u8, Array = [u8; N]> + BitXor<Output = Self> {}

impl<S: Simd, V, const N: usize> Vector<S, N> for V where
    V: SimdBase<S, Element = u8, Array = [u8; N]> + BitXor<Output = V>
{
}

#[inline]
fn in_place_short(payload: &mut [u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = masked_word(*word, key);
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline]
fn copy_short(to: &mut [u8], payload: &[u8], key: [u8; 4]) {
    let ((to_words, to_rest), (words, rest)) = (to.as_chunks_mut(), payload.as_chunks());
    for (to, word) in to_words.iter_mut().zip(words) {
        *to = masked_word(*word, key);
    }
    for ((to, byte), key) in to_rest.iter_mut().zip(rest).zip(key) {
        *to = byte ^ key;
    }
}

#[inline]
const fn masked_word(word: [u8; 4], key: [u8; 4]) -> [u8; 4] {
    (u32::from_ne_bytes(word) ^ u32::from_ne_bytes(key)).to_ne_bytes()
}

/// The key as it applies from `offset` on: byte i of a payload is masked with byte i modulo 4 of the key.
#[inline]
fn rotate(key: [u8; 4], offset: u64) -> [u8; 4] {
    let bits = (offset & 3) as u32 * 8;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    fn masked_by_the_letter(payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]).collect()
    }

    /// Every length around the sizes of the vectors and around `WIDE_FROM`, at different places in memory.
    fn payloads() -> impl Iterator<Item = (Vec<u8>, usize)> {
        let lengths = (0..130).chain(WIDE_FROM - 40..WIDE_FROM + 100);
        lengths.flat_map(|len| (0..64).step_by(7).map(move |at| ((0..=u8::MAX).cycle().take(len).collect(), at)))
    }

    #[test]
    fn rfc6455_5_3_byte_i_is_masked_with_byte_i_modulo_4_of_the_key() {
        for (payload, at) in payloads() {
            let mut masked = [&vec![0; at], &payload[..]].concat();
            apply_mask(&mut masked[at..], KEY, 0);
            assert_eq!(masked[at..], masked_by_the_letter(&payload), "length {} at {at}", payload.len());
        }
    }

    #[test]
    fn a_copy_is_masked_as_the_payload_would_be() {
        for (payload, at) in payloads() {
            let mut masked = vec![0; at + payload.len()];
            copy_masked(&mut masked[at..], &payload, KEY);
            assert_eq!(masked[at..], masked_by_the_letter(&payload), "length {} at {at}", payload.len());
        }
    }

    #[test]
    fn a_frame_masked_in_pieces_is_as_if_masked_whole_at_every_split() {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(WIDE_FROM + 100).collect();
        for cut in 0..=payload.len() {
            let mut masked = payload.clone();
            let (head, tail) = masked.split_at_mut(cut);
            apply_mask(head, KEY, 0);
            apply_mask(tail, KEY, cut as u64);
            assert_eq!(masked, masked_by_the_letter(&payload), "cut at {cut}");
        }
    }

    #[test]
    fn the_phase_is_right_beyond_what_32_bits_hold() {
        let mut byte = [0];
        apply_mask(&mut byte, KEY, (1 << 40) + 3);
        assert_eq!(byte, [KEY[3]]);
    }
}
