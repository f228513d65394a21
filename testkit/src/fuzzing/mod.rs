//! The code of each fuzz target.
//!
//! A target is a function over the bytes of an input. It panics if a guarantee is broken. The programs in `fuzz/` call
//! it with the inputs of libFuzzer. `tests/tests/fuzz_corpus.rs` calls it with every file of the committed corpora, so that
//! each run of the tests tries these inputs again, without a nightly compiler.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "the verdict of a target is a panic")]

pub mod connection_ops;
pub mod differential_tungstenite;
pub mod envelope;
pub mod frame_decoder;
pub mod handshake_client;
pub mod handshake_server;
pub mod inflate;
pub mod socketio;
pub mod subscription_filter;
pub mod two_peers;

mod pieces;
mod websocket;

/// Runs a target on one input.
pub type Run = fn(&[u8]);

/// Every target with its name, which is also the name of its program and of its corpus directory.
pub const TARGETS: [(&str, Run); 10] = [
    ("connection_ops", connection_ops::run),
    ("differential_tungstenite", differential_tungstenite::run),
    ("envelope", envelope::run),
    ("frame_decoder", frame_decoder::run),
    ("handshake_client", handshake_client::run),
    ("handshake_server", handshake_server::run),
    ("inflate", inflate::run),
    ("socketio", socketio::run),
    ("subscription_filter", subscription_filter::run),
    ("two_peers", two_peers::run),
];
