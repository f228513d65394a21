//! The peers that write to a stream.

use super::tokio_tungstenite::Buffers;
use super::{fastwebsockets, sockudo, tokio_tungstenite, tokio_websockets, tungstenite, wtx, yawc};
use crate::corpus::Reader;
use crate::race::Contestant;

/// All of them. Each sends `text` in batches, and flushes each batch.
pub fn encoders(writer: Reader, text: &str, batch: usize) -> Vec<Contestant> {
    vec![
        Contestant::peer("tungstenite", tungstenite::encoder(writer, text, batch)),
        Contestant::peer("tokio-tungstenite", tokio_tungstenite::encoder(writer, Buffers::Default, text, batch)),
        Contestant::peer("tokio-tungstenite, 8 KiB", tokio_tungstenite::encoder(writer, Buffers::Small, text, batch)),
        Contestant::peer("fastwebsockets", fastwebsockets::encoder(writer, text, batch)),
        Contestant::peer("tokio-websockets", tokio_websockets::encoder(writer, text, batch)),
        Contestant::peer("sockudo-ws stream", sockudo::stream_encoder(writer, text, batch)),
        Contestant::peer("yawc", yawc::encoder(writer, text, batch)),
        Contestant::peer("wtx", wtx::encoder(writer, text, batch)),
    ]
}
