//! The peers that write to a stream.

use super::tokio_tungstenite::Buffers;
use super::{Payload, fastwebsockets, sockudo, tokio_tungstenite, tokio_websockets, tungstenite, wtx, yawc};
use crate::corpus::Reader;
use crate::race::Contestant;

/// All of them. Each sends `text` in batches, and flushes each batch. `fastwebsockets` always borrows the text, and `wtx`
/// always copies it.
pub fn encoders(writer: Reader, payload: Payload, text: &str, batch: usize) -> Vec<Contestant> {
    vec![
        Contestant::peer("tungstenite", tungstenite::encoder(writer, payload, text, batch)),
        Contestant::peer(
            "tokio-tungstenite",
            tokio_tungstenite::encoder(writer, Buffers::Default, payload, text, batch),
        ),
        Contestant::peer(
            "tokio-tungstenite, 8 KiB",
            tokio_tungstenite::encoder(writer, Buffers::Small, payload, text, batch),
        ),
        Contestant::peer("fastwebsockets", fastwebsockets::encoder(writer, text, batch)),
        Contestant::peer("tokio-websockets", tokio_websockets::encoder(writer, payload, text, batch)),
        Contestant::peer("sockudo-ws stream", sockudo::stream_encoder(writer, payload, text, batch)),
        Contestant::peer("yawc", yawc::encoder(writer, payload, text, batch)),
        Contestant::peer("wtx", wtx::encoder(writer, text, batch)),
    ]
}
