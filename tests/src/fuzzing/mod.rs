//! What each fuzz target does with one input.
//!
//! A target is a function from bytes to nothing, which panics when a promise was broken. The programs in `fuzz/` call it
//! with what libFuzzer comes up with; `tests/fuzz_corpus.rs` calls it with every file of the committed corpora, so that
//! what was found once is tried on each run of the tests, without a nightly compiler.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "the verdict of a target is a panic")]

pub mod connection_ops;
pub mod differential_tungstenite;
pub mod envelope;
pub mod frame_decoder;
pub mod handshake_client;
pub mod handshake_server;
pub mod inflate;
pub mod subscription_filter;
pub mod two_peers;

mod pieces;
mod websocket;

/// What a target does with one input.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also the name of its program and of the directory of its corpus.
pub const TARGETS: [(&str, Run); 9] = [
    ("connection_ops", connection_ops::run),
    ("differential_tungstenite", differential_tungstenite::run),
    ("envelope", envelope::run),
    ("frame_decoder", frame_decoder::run),
    ("handshake_client", handshake_client::run),
    ("handshake_server", handshake_server::run),
    ("inflate", inflate::run),
    ("subscription_filter", subscription_filter::run),
    ("two_peers", two_peers::run),
];
