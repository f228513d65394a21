//! Properties that hold for all messages and for any bytes.

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::super::library::{DeflateLibrary, InflateLibrary};
use super::reference::{LIMIT, Reference};
use super::streams::streams;
use super::*;

/// The settings of a direction and the messages sent over it.
#[derive(Debug, Clone)]
struct Traffic {
    window_bits: u8,
    context_takeover: bool,
    level: u8,
    messages: Vec<Vec<u8>>,
    /// The positions at which the payloads are split.
    cuts: Vec<Index>,
    /// The messages after which each side frees its memory.
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
        let mut reference = Reference::new(self.window_bits);
        for (message, &(release_deflater, release_inflater)) in self.messages.iter().zip(&self.releases) {
            // A fragmented message inflates to the same bytes, independent of the pieces in which it arrives.
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
                reference = Reference::new(self.window_bits);
            }
            let decoded = reference.decode(&payload);
            prop_assert_eq!(decoded.as_ref(), Some(message));
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

/// Inflates a message of at most [`LIMIT`].
fn inflate_limited<I: InflateLibrary>(inflater: &mut Inflater<I>, pieces: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
    let mut message = Vec::new();
    let mut sink = |piece: &[u8]| {
        message.extend_from_slice(piece);
        if message.len() > LIMIT { Err(InflateError::Stopped) } else { Ok(()) }
    };
    for (index, piece) in pieces.iter().enumerate() {
        inflater.inflate(piece, index + 1 == pieces.len(), &mut sink)?;
    }
    Ok(message)
}

/// Any bytes have the same result as a whole and byte by byte.
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

/// Messages of any kind, up to the first that is refused.
#[derive(Debug)]
struct Received {
    window_bits: u8,
    context_takeover: bool,
    payloads: Vec<Vec<u8>>,
    /// The messages after which memory is freed.
    releases: Vec<bool>,
}

impl Received {
    /// The inflater accepts exactly the messages that the reference accepts.
    fn run<I: InflateLibrary>(&self, follows_longer_distances: bool) -> Result<(), TestCaseError> {
        let mut inflater = Inflater::<I>::new(self.window_bits, self.context_takeover);
        let mut reference = Reference::new(self.window_bits);
        for (payload, &release) in self.payloads.iter().zip(&self.releases) {
            if !self.context_takeover {
                reference = Reference::new(self.window_bits);
            }
            let expected = reference.decode(payload);
            let inflated = inflate_limited(&mut inflater, &[payload]).ok();
            if follows_longer_distances && expected.is_none() && inflated.is_some() {
                reference.window_bits = 15;
                prop_assert_eq!(inflated, reference.decode(payload));
                return Ok(());
            }
            prop_assert_eq!(&inflated, &expected);
            if inflated.is_none() {
                return Ok(());
            }
            if release {
                inflater.release();
            }
        }
        Ok(())
    }
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
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn f_16_the_libraries_inflate_what_rfc_1951_allows_and_refuse_the_rest(
        window_bits in 8_u8..=15,
        context_takeover: bool,
        payloads in prop_oneof![4 => streams(), 1 => vec(vec(any::<u8>(), 0..300), 1..4), 1 => damaged()],
        releases in vec(any::<bool>(), 4),
    ) {
        let received = Received { window_bits, context_takeover, payloads, releases };
        received.run::<miniz::Inflate>(false)?;
        #[cfg(feature = "std")]
        received.run::<super::super::zlib::Inflate>(true)?;
    }
}
