//! RFC 3629 section 4: the syntax of UTF-8, one character after the other.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Valid,
    /// Valid so far, but the last character is incomplete.
    EndsInsideCharacter,
    /// No valid text starts with the first `proven_by` bytes.
    Invalid {
        proven_by: usize,
    },
}

pub(super) fn check(bytes: &[u8]) -> Check {
    let mut position = 0;
    while let Some(first) = bytes.get(position) {
        let Some(following) = following_bytes(*first) else { return Check::Invalid { proven_by: position + 1 } };
        position += 1;
        for &(low, high) in following {
            match bytes.get(position) {
                Some(byte) if (low..=high).contains(byte) => position += 1,
                Some(_) => return Check::Invalid { proven_by: position + 1 },
                None => return Check::EndsInsideCharacter,
            }
        }
    }
    Check::Valid
}

/// The range of each byte that must follow `first`, or `None` if no character starts with `first`.
fn following_bytes(first: u8) -> Option<&'static [(u8, u8)]> {
    match first {
        // UTF8-1
        0x00..=0x7F => Some(&[]),
        // UTF8-2
        0xC2..=0xDF => Some(&[TAIL]),
        // UTF8-3, without the surrogates
        0xE0 => Some(&[(0xA0, 0xBF), TAIL]),
        0xE1..=0xEC => Some(&[TAIL, TAIL]),
        0xED => Some(&[(0x80, 0x9F), TAIL]),
        0xEE..=0xEF => Some(&[TAIL, TAIL]),
        // UTF8-4
        0xF0 => Some(&[(0x90, 0xBF), TAIL, TAIL]),
        0xF1..=0xF3 => Some(&[TAIL, TAIL, TAIL]),
        0xF4 => Some(&[(0x80, 0x8F), TAIL, TAIL]),
        0x80..=0xC1 | 0xF5..=0xFF => None,
    }
}

/// UTF8-tail
const TAIL: (u8, u8) = (0x80, 0xBF);

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of the standard library for the same bytes.
    fn standard(bytes: &[u8]) -> (Option<bool>, usize) {
        match std::str::from_utf8(bytes) {
            Ok(_) => (Some(true), bytes.len()),
            Err(error) => (error.error_len().map(|_| false), error.valid_up_to()),
        }
    }

    fn agrees_with_the_standard_library(bytes: &[u8]) {
        match (check(bytes), standard(bytes)) {
            (Check::Valid, (Some(true), _)) | (Check::EndsInsideCharacter, (None, _)) => {}
            (Check::Invalid { proven_by }, (Some(false), valid_up_to)) => {
                assert!(proven_by > valid_up_to && proven_by <= valid_up_to + 4, "{bytes:x?}");
                assert_ne!(check(&bytes[..proven_by - 1]), check(bytes), "{bytes:x?}");
            }
            (ours, theirs) => panic!("{bytes:x?}: {ours:?}, the standard library {theirs:?}"),
        }
    }

    #[test]
    fn every_character_is_valid_and_its_beginning_is_unfinished() {
        for character in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(check(bytes), Check::Valid);
            for cut in 1..bytes.len() {
                assert_eq!(check(&bytes[..cut]), Check::EndsInsideCharacter, "{character:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn every_three_bytes_have_the_result_of_the_standard_library() {
        for first in 0..=0xFF {
            for second in 0..=0xFF {
                // Only these edge values of the third byte can change the result.
                for third in [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xFF] {
                    agrees_with_the_standard_library(&[first, second, third]);
                }
            }
        }
    }

    #[test]
    fn every_edge_of_four_bytes_has_the_result_of_the_standard_library() {
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
        for first in 0xF0..=0xFF {
            for second in edges {
                for third in edges {
                    for fourth in edges {
                        agrees_with_the_standard_library(&[first, second, third, fourth]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_surrogate_is_refused_at_its_second_byte() {
        assert_eq!(check(b"a\xED\xA0\x80"), Check::Invalid { proven_by: 3 });
    }
}
