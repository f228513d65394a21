//! Decoding text messages.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Reader, Script, Wire};
use crate::goals::Goal;
use crate::memory::READ;
use crate::ours::Glance;
use crate::peers::tokio_tungstenite::Buffers;
use crate::race::{self, Contestant};
use crate::report::Case;
use crate::scores::{Unit, size};
use crate::{ours, peers, reference};

const KIB: usize = 1 << 10;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    for (reader, script, len, goal) in [
        (Reader::Server, Script::Ascii, 64, 2.5),
        (Reader::Server, Script::Ascii, 300, 2.5),
        (Reader::Server, Script::Ascii, 4 * KIB, 1.4),
        (Reader::Server, Script::Ascii, 64 * KIB, 1.0),
        (Reader::Server, Script::Ascii, 1024 * KIB, 1.0),
        (Reader::Client, Script::Ascii, 64, 2.5),
        (Reader::Client, Script::Ascii, 300, 2.5),
        (Reader::Client, Script::Ascii, 4 * KIB, 1.4),
        (Reader::Client, Script::Ascii, 64 * KIB, 1.0),
        (Reader::Client, Script::Ascii, 1024 * KIB, 1.0),
        (Reader::Server, Script::Mixed, 64, 1.0),
        (Reader::Server, Script::Mixed, 300, 1.5),
        (Reader::Server, Script::Mixed, 4 * KIB, 1.0),
        (Reader::Server, Script::Mixed, 64 * KIB, 1.0),
        (Reader::Client, Script::Mixed, 300, 1.5),
        (Reader::Client, Script::Mixed, 4 * KIB, 1.0),
    ] {
        let masked = if reader == Reader::Server { "masked" } else { "unmasked" };
        let script_name = if script == Script::Ascii { "" } else { " mixed scripts" };
        let name = format!("{masked}{script_name} {}", size(len));
        if !options.wants(&name) {
            continue;
        }
        let wire = Wire::of_texts(reader, script, len);
        let results = race::run(contestants(&wire, reader), wire.messages, options.effort);
        put(Case::new("decode", &name, Unit::NanosAMessage, results, &[Goal::TimesBestPeer(goal)]))?;
    }
    Ok(())
}

/// The contestants that decode `wire`.
fn contestants(wire: &Wire, reader: Reader) -> Vec<Contestant> {
    let look = Glance::default;
    let mut contestants = vec![
        Contestant::ours("multiwa-ws", ours::decoder(wire, reader, READ, look())),
        Contestant::peer("tungstenite", peers::tungstenite::decoder(wire, reader, look())),
        Contestant::peer(
            "tokio-tungstenite",
            peers::tokio_tungstenite::decoder(wire, reader, Buffers::Default, look()),
        ),
        Contestant::peer(
            "tokio-tungstenite, 8 KiB",
            peers::tokio_tungstenite::decoder(wire, reader, Buffers::Small, look()),
        ),
        Contestant::peer("fastwebsockets", peers::fastwebsockets::decoder(wire, reader, look())),
        Contestant::peer("tokio-websockets", peers::tokio_websockets::decoder(wire, reader, look())),
        Contestant::peer("sockudo-ws stream", peers::sockudo::stream_decoder(wire, reader, look())),
        Contestant::peer("sockudo-ws Protocol", peers::sockudo::protocol_decoder(wire, reader, look())),
        Contestant::peer("yawc", peers::yawc::decoder(wire, reader, look())),
        Contestant::peer("wtx", peers::wtx::decoder(wire, reader, look())),
        Contestant::peer("websocket-sans-io + simdutf8", peers::sans_io::decoder(wire, READ, look())),
    ];
    let whole = wire.bytes.len().div_ceil(wire.messages);
    let minimal = reference::decoder(wire, reader, READ.max(whole), look());
    contestants.push(Contestant::reference("minimal in-place decoder", minimal));
    contestants.push(Contestant::reference("memcpy", reference::memcpy(wire, READ)));
    if whole > READ {
        // A caller that expects such messages reads a whole message into its buffer and borrows it.
        contestants
            .push(Contestant::ours("multiwa-ws, buffer of a message", ours::decoder(wire, reader, whole, look())));
        contestants.push(Contestant::peer(
            "websocket-sans-io + simdutf8, buffer of a message",
            peers::sans_io::decoder(wire, whole, look()),
        ));
    }
    contestants
}
