//! Compression: the stream that is compressed, and the raw libraries.

use std::hint::black_box;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::stream::InflateState;
use miniz_oxide::{DataFormat, MZFlush};
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::corpus::{Wire, frame};
use crate::memory::Sink;
use crate::ours::{BATCH, Look, Run};
use crate::terms::Terms;

/// The end of the compressed form of every message. It is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The payloads of `texts`, compressed by the raw library.
pub fn payloads(texts: &[String], terms: Terms) -> Vec<Vec<u8>> {
    let mut deflater = ZlibDeflater::new(terms);
    texts
        .iter()
        .map(|text| {
            let mut payload = Vec::new();
            deflater.deflate(text, &mut payload);
            payload
        })
        .collect()
}

/// The wire to a client with these payloads, each in one frame.
pub fn wire(payloads: &[Vec<u8>]) -> Wire {
    let mut bytes = Vec::new();
    for payload in payloads {
        // Text with RSV1, which marks it as compressed (RFC 7692 section 6).
        frame(&mut bytes, true, 0x41, None, payload);
    }
    Wire { bytes: bytes.into(), messages: payloads.len() }
}

/// `zlib-rs` with its defaults, except for the settings in the terms.
struct ZlibDeflater {
    library: Deflate,
    flush: DeflateFlush,
}

impl ZlibDeflater {
    fn new(terms: Terms) -> Self {
        let flush = if terms.takeover { DeflateFlush::SyncFlush } else { DeflateFlush::FullFlush };
        Self { library: Deflate::new(terms.level.into(), false, terms.window_bits), flush }
    }

    /// Appends the payload of `text` to `output`.
    fn deflate(&mut self, text: &str, output: &mut Vec<u8>) {
        let (start, before) = (output.len(), self.library.total_out());
        output.resize(start + text.len() + 64, 0);
        self.library.compress(text.as_bytes(), &mut output[start..], self.flush).expect("the buffer is large enough");
        output.truncate(start + (self.library.total_out() - before) as usize);
        assert!(output.ends_with(&TAIL), "all of it came out");
        output.truncate(output.len() - TAIL.len());
    }
}

/// `zlib-rs` alone: no frames, and one buffer for a batch.
pub fn zlib_encoder(texts: &[String], terms: Terms) -> Run {
    let texts = texts.to_vec();
    let mut deflater = ZlibDeflater::new(terms);
    let mut buffer = Vec::new();
    let sink = Sink::default();
    Box::new(move || {
        for batch in texts.chunks(BATCH) {
            for text in batch {
                deflater.deflate(black_box(text), &mut buffer);
            }
            sink.write(&buffer);
            buffer.clear();
        }
        sink.taken()
    })
}

/// `miniz_oxide` alone. It only has a window of 32 KiB.
pub fn miniz_encoder(texts: &[String], terms: Terms) -> Run {
    let texts = texts.to_vec();
    // A window of zero or less means no zlib header.
    let flags = create_comp_flags_from_zip_params(terms.level.into(), 0, 0);
    let mut library = Box::new(CompressorOxide::new(flags));
    let flush = if terms.takeover { MZFlush::Sync } else { MZFlush::Full };
    let mut buffer = Vec::new();
    let sink = Sink::default();
    Box::new(move || {
        for batch in texts.chunks(BATCH) {
            for text in batch {
                let start = buffer.len();
                buffer.resize(start + text.len() + 64, 0);
                let text = black_box(text).as_bytes();
                let done = miniz_oxide::deflate::stream::deflate(&mut library, text, &mut buffer[start..], flush);
                buffer.truncate(start + done.bytes_written);
                assert!(buffer.ends_with(&TAIL), "all of it came out");
                buffer.truncate(buffer.len() - TAIL.len());
            }
            sink.write(&buffer);
            buffer.clear();
        }
        sink.taken()
    })
}

/// `payloads` with the tail, which a library needs.
fn with_tails(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    payloads.iter().map(|payload| [payload, &TAIL[..]].concat()).collect()
}

/// `zlib-rs` alone: no frames, no check of UTF-8, and one buffer for everything.
pub fn zlib_decoder(payloads: &[Vec<u8>], terms: Terms, mut look: impl Look) -> Run {
    let payloads = with_tails(payloads);
    let mut library = Inflate::new(false, terms.window_bits);
    let mut buffer = vec![0; 4 << 10];
    Box::new(move || {
        for payload in &payloads {
            if !terms.takeover {
                library.reset(false);
            }
            let before = library.total_out();
            library.decompress(black_box(payload), &mut buffer, InflateFlush::SyncFlush).expect("it was compressed");
            look.bytes(&buffer[..(library.total_out() - before) as usize]);
        }
        look.found()
    })
}

/// `miniz_oxide` alone.
pub fn miniz_decoder(payloads: &[Vec<u8>], terms: Terms, mut look: impl Look) -> Run {
    let payloads = with_tails(payloads);
    let mut library = InflateState::new_boxed(DataFormat::Raw);
    let mut buffer = vec![0; 4 << 10];
    Box::new(move || {
        for payload in &payloads {
            if !terms.takeover {
                library.reset(DataFormat::Raw);
            }
            let payload = black_box(payload);
            let done = miniz_oxide::inflate::stream::inflate(&mut library, payload, &mut buffer, MZFlush::Sync);
            look.bytes(&buffer[..done.bytes_written]);
        }
        look.found()
    })
}
