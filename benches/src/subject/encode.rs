//! Encoding text messages.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Reader, Script, text};
use crate::goals::Goal;
use crate::ours::BATCH;
use crate::peers::tokio_tungstenite::Buffers;
use crate::race::{self, Contestant};
use crate::random::Random;
use crate::report::Case;
use crate::scores::{Unit, size};
use crate::{ours, peers, reference};

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    for (writer, len, goal) in [
        (Reader::Server, 64, 1.4),
        (Reader::Server, 300, 1.4),
        (Reader::Server, 4 << 10, 1.0),
        (Reader::Client, 64, 1.4),
        (Reader::Client, 300, 1.4),
        (Reader::Client, 4 << 10, 1.0),
    ] {
        let masked = if writer == Reader::Client { "masked" } else { "unmasked" };
        let name = format!("{masked} {}", size(len));
        if !options.wants(&name) {
            continue;
        }
        let text = text(Script::Ascii, len, &mut Random::new(1));
        let mut contestants = vec![Contestant::ours("multiwa-ws", ours::encoder(writer, &text, BATCH))];
        contestants.extend(peers(writer, &text, BATCH));
        contestants
            .push(Contestant::reference("header and payload into a buffer", reference::encoder(writer, &text, BATCH)));
        let results = race::run(contestants, BATCH, options.effort);
        put(Case::new("encode", &name, Unit::NanosAMessage, results, &[Goal::TimesBestPeer(goal)]))?;
    }
    for len in [64 << 10, 1 << 20] {
        let name = format!("shared unmasked {}", size(len));
        if !options.wants(&name) {
            continue;
        }
        let text = text(Script::Ascii, len, &mut Random::new(1));
        let mut contestants = vec![Contestant::ours("multiwa-ws, shared", ours::shared_encoder(&text))];
        contestants.extend(peers(Reader::Server, &text, 1));
        let results = race::run(contestants, 1, options.effort);
        put(Case::new("encode", &name, Unit::NanosAMessage, results, &[Goal::TimesBestPeer(1.0)]))?;
    }
    Ok(())
}

fn peers(writer: Reader, text: &str, batch: usize) -> Vec<Contestant> {
    vec![
        Contestant::peer("tungstenite", peers::tungstenite::encoder(writer, text, batch)),
        Contestant::peer("tokio-tungstenite", peers::tokio_tungstenite::encoder(writer, Buffers::Default, text, batch)),
        Contestant::peer(
            "tokio-tungstenite, 8 KiB",
            peers::tokio_tungstenite::encoder(writer, Buffers::Small, text, batch),
        ),
        Contestant::peer("fastwebsockets", peers::fastwebsockets::encoder(writer, text, batch)),
        Contestant::peer("tokio-websockets", peers::tokio_websockets::encoder(writer, text, batch)),
        Contestant::peer("sockudo-ws stream", peers::sockudo::stream_encoder(writer, text, batch)),
        Contestant::peer("sockudo-ws Protocol", peers::sockudo::protocol_encoder(writer, text, batch)),
        Contestant::peer("yawc", peers::yawc::encoder(writer, text, batch)),
        Contestant::peer("wtx", peers::wtx::encoder(writer, text, batch)),
        Contestant::peer("websocket-sans-io", peers::sans_io::encoder(writer, text, batch)),
    ]
}
