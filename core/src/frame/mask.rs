//! Masking: RFC 6455 section 5.3.

/// Masks or unmasks `payload` in place, which is the same operation.
///
/// `offset` is the position of `payload` in the payload of its frame, so that a frame may be masked in pieces.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: u64) {
    let key = rotate(key, offset);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    // Words in blocks: the compiler turns a block into vector instructions on every target that has them.
    let (blocks, rest) = payload.as_chunks_mut::<32>();
    for block in blocks {
        for word in block.as_chunks_mut::<8>().0 {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    let (halves, rest) = rest.as_chunks_mut::<4>();
    for half in halves {
        *half = (u32::from_ne_bytes(*half) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The key as it applies from `offset` on: byte i of a payload is masked with byte i modulo 4 of the key.
#[inline]
fn rotate(key: [u8; 4], offset: u64) -> [u8; 4] {
    let bits = (offset & 3) as u32 * 8;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    fn masked_by_the_letter(payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]).collect()
    }

    #[test]
    fn rfc6455_5_3_byte_i_is_masked_with_byte_i_modulo_4_of_the_key() {
        for len in 0..130 {
            let payload: Vec<u8> = (0..len).collect();
            let mut masked = payload.clone();
            apply_mask(&mut masked, KEY, 0);
            assert_eq!(masked, masked_by_the_letter(&payload), "length {len}");
        }
    }

    #[test]
    fn a_frame_masked_in_pieces_is_as_if_masked_whole_at_every_split() {
        let payload: Vec<u8> = (0..100).collect();
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
