//! What must hold for all messages and for any bytes.

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::super::library::{DeflateLibrary, InflateLibrary};
use super::reference::Reference;
use super::*;

/// The settings of a direction and the messages sent over it.
#[derive(Debug, Clone)]
struct Traffic {
    window_bits: u8,
    context_takeover: bool,
    level: u8,
    messages: Vec<Vec<u8>>,
    /// Where the payloads are cut.
    cuts: Vec<Index>,
    /// After which messages each side gives its memory back.
    releases: Vec<(bool, bool)>,
}

fn traffic() -> impl Strategy<Value = Traffic> {
    (8_u8..=15, any::<bool>(), 0_u8..=9, vec(message(), 1..8), vec(any::<Index>(), 0..6), vec(any::<(bool, bool)>(), 8))
        .prop_map(|(window_bits, context_takeover, level, messages, cuts, releases)| Traffic {
            window_bits,
            context_takeover,
            level,
            messages,
            cuts,
            releases,
        })
}

/// Text, noise, runs, and repeats from any distance.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(prop_oneof![Just("\"event\":"), Just("message"), Just("{}"), Just("profile"), Just(",")], 0..80)
        .prop_map(|words| words.concat().into_bytes());
    let repeats = (1_usize..5000, 0_usize..6000).prop_map(|(period, length)| {
        let source = noise(period);
        source.iter().copied().cycle().take(length).collect()
    });
    prop_oneof![3 => words, 1 => vec(any::<u8>(), 0..600), 2 => repeats, 1 => Just(Vec::new())]
}

impl Traffic {
    fn cut<'a>(&self, payload: &'a [u8]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts {
            pieces.push(&payload[start..cut]);
            start = cut;
        }
        pieces.push(&payload[start..]);
        pieces
    }

    fn run<D: DeflateLibrary, I: InflateLibrary>(&self) -> Result<(), TestCaseError> {
        let mut deflater = Deflater::<D>::new(self.window_bits, self.context_takeover, self.level);
        let mut inflater = Inflater::<I>::new(self.window_bits, self.context_takeover);
        let mut reference = Reference::default();
        for (message, &(release_deflater, release_inflater)) in self.messages.iter().zip(&self.releases) {
            // A message cut into fragments inflates to the same bytes, whatever the pieces it arrives in.
            let mut payload = Vec::new();
            let fragments = self.cut(message);
            for (index, fragment) in fragments.iter().enumerate() {
                let end_of_message = index + 1 == fragments.len();
                prop_assert!(deflater.compress(fragment, end_of_message, &mut payload).is_ok());
            }
            prop_assert!(!payload.is_empty());
            let inflated = inflate(&mut inflater, self.cut(&payload));
            prop_assert_eq!(inflated.as_ref(), Ok(message));
            if !self.context_takeover {
                reference = Reference::default();
            }
            prop_assert_eq!(&reference.decode(&payload), message);
            prop_assert!(reference.longest_distance <= 1 << self.window_bits);
            if release_deflater {
                deflater.release();
            }
            if release_inflater {
                inflater.release();
            }
        }
        Ok(())
    }
}

/// Inflates at most 1 MiB of it.
fn inflate_limited<I: InflateLibrary>(inflater: &mut Inflater<I>, pieces: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
    let mut message = Vec::new();
    let mut sink = |piece: &[u8]| {
        message.extend_from_slice(piece);
        if message.len() > 1024 * 1024 { Err(InflateError::Stopped) } else { Ok(()) }
    };
    for (index, piece) in pieces.iter().enumerate() {
        inflater.inflate(piece, index + 1 == pieces.len(), &mut sink)?;
    }
    Ok(message)
}

/// The same outcome whole and byte by byte, for bytes of any kind.
fn read_any_bytes<I: InflateLibrary>(window_bits: u8, payloads: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut whole = Inflater::<I>::new(window_bits, true);
    let mut bytewise = Inflater::<I>::new(window_bits, true);
    for payload in payloads {
        let pieces: Vec<&[u8]> = payload.chunks(1).chain([&[][..]]).collect();
        let expected = inflate_limited(&mut whole, &[payload]);
        prop_assert_eq!(inflate_limited(&mut bytewise, &pieces), expected);
    }
    Ok(())
}

/// Valid payloads with a few bytes changed.
fn damaged() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let changes = vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4);
    (vec(message(), 1..4), 0_u8..=9, changes).prop_map(|(messages, level, changes)| {
        let mut deflater = deflater::<Miniz>(15, true, level);
        let mut payloads: Vec<Vec<u8>> = messages.iter().map(|message| deflate(&mut deflater, message)).collect();
        for (payload, position, change) in changes {
            let chosen = payload.index(payloads.len());
            let position = position.index(payloads[chosen].len());
            payloads[chosen][position] ^= change;
        }
        payloads
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn messages_come_out_as_they_went_in_through_miniz_oxide(traffic in traffic()) {
        traffic.run::<miniz::Deflate, miniz::Inflate>()?;
    }

    #[cfg(feature = "std")]
    #[test]
    fn messages_come_out_as_they_went_in_through_zlib_rs(traffic in traffic()) {
        use super::super::zlib;

        traffic.run::<zlib::Deflate, zlib::Inflate>()?;
        traffic.run::<zlib::Deflate, miniz::Inflate>()?;
        traffic.run::<miniz::Deflate, zlib::Inflate>()?;
    }

    #[test]
    fn any_bytes_are_read_or_refused_the_same_in_pieces_of_any_size(
        window_bits in 8_u8..=15,
        payloads in prop_oneof![vec(vec(any::<u8>(), 0..300), 1..4), damaged()],
    ) {
        read_any_bytes::<miniz::Inflate>(window_bits, &payloads)?;
        #[cfg(feature = "std")]
        read_any_bytes::<super::super::zlib::Inflate>(window_bits, &payloads)?;
    }

    #[cfg(feature = "std")]
    #[test]
    fn the_libraries_agree_on_any_bytes(
        payloads in prop_oneof![vec(vec(any::<u8>(), 0..300), 1..4), damaged()],
    ) {
        let mut miniz = inflater::<Miniz>(15, true);
        let mut zlib = inflater::<Zlib>(15, true);
        for payload in payloads {
            let expected = inflate_limited(&mut miniz, &[&payload]);
            let actual = inflate_limited(&mut zlib, &[&payload]);
            prop_assert_eq!(expected.ok(), actual.ok());
        }
    }
}
