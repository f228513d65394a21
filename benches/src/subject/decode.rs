//! Decoding text messages.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Reader, Script, Wire};
use crate::goals::Goal;
use crate::memory::READ;
use crate::ours::Glance;
use crate::peers::tokio_tungstenite::Buffers;
use crate::race::{self, Contestant};
use crate::report::{Case, part};
use crate::scores::{Unit, size};
use crate::servers::runtime;
use crate::{binding, ours, peers, reference};

const KIB: usize = 1 << 10;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    // The goal over a stream, and the goal of the core.
    for (reader, script, len, goal, core_goal) in [
        (Reader::Server, Script::Ascii, 64, 2.2, 2.5),
        (Reader::Server, Script::Ascii, 300, 2.2, 2.5),
        (Reader::Server, Script::Ascii, 4 * KIB, 1.3, 1.4),
        (Reader::Server, Script::Ascii, 64 * KIB, 1.1, 1.0),
        (Reader::Server, Script::Ascii, 1024 * KIB, 1.1, 1.0),
        (Reader::Client, Script::Ascii, 64, 2.2, 2.5),
        (Reader::Client, Script::Ascii, 300, 2.2, 2.5),
        (Reader::Client, Script::Ascii, 4 * KIB, 1.3, 1.4),
        (Reader::Client, Script::Ascii, 64 * KIB, 1.0, 1.0),
        (Reader::Client, Script::Ascii, 1024 * KIB, 1.0, 1.0),
        (Reader::Server, Script::Mixed, 64, 1.0, 1.0),
        (Reader::Server, Script::Mixed, 300, 1.5, 1.5),
        (Reader::Server, Script::Mixed, 4 * KIB, 1.0, 1.0),
        (Reader::Server, Script::Mixed, 64 * KIB, 1.0, 1.0),
        (Reader::Client, Script::Mixed, 300, 1.5, 1.5),
        (Reader::Client, Script::Mixed, 4 * KIB, 1.0, 1.0),
    ] {
        let masked = if reader == Reader::Server { "masked" } else { "unmasked" };
        let script_name = if script == Script::Ascii { "" } else { " mixed scripts" };
        let name = format!("{masked}{script_name} {}", size(len));
        if !options.wants(&name) {
            continue;
        }
        let wire = Wire::of_texts(reader, script, len);
        let results = race::run(contestants(&wire, reader), wire.messages, options.effort);
        let streams = part(&results, |name| !SANS_IO.contains(&name));
        put(Case::new("decode", &name, Unit::NanosAMessage, streams, &[Goal::TimesBestPeer(goal)]))?;
        let core = part(&results, |name| SANS_IO.contains(&name));
        put(Case::new("decode-core", &name, Unit::NanosAMessage, core, &[Goal::TimesBestPeer(core_goal)]))?;
    }
    Ok(())
}

/// Those that have no stream: the caller reads into a buffer of its own.
const SANS_IO: [&str; 3] = ["multiwa-ws core", "sockudo-ws Protocol", "websocket-sans-io + simdutf8"];

/// The contestants that decode `wire`.
fn contestants(wire: &Wire, reader: Reader) -> Vec<Contestant> {
    let look = Glance::default;
    let [core, protocol, sans_io] = SANS_IO;
    let whole = wire.bytes.len().div_ceil(wire.messages);
    vec![
        Contestant::ours("multiwa-ws-tokio", binding::decoder(wire, reader, look())),
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
        Contestant::peer("yawc", peers::yawc::decoder(wire, reader, look())),
        Contestant::peer("wtx", peers::wtx::decoder(wire, reader, look())),
        Contestant::ours(core, ours::decoder(wire, reader, READ, look())),
        Contestant::peer(protocol, peers::sockudo::protocol_decoder(wire, reader, look())),
        Contestant::peer(sans_io, peers::sans_io::decoder(wire, READ, look())),
        Contestant::reference("minimal in-place decoder", reference::decoder(wire, reader, READ.max(whole), look())),
        Contestant::reference("memcpy", reference::memcpy(wire, READ)),
    ]
}
