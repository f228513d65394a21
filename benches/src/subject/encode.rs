//! Encoding text messages in batches.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Reader, Script, text};
use crate::goals::Goal;
use crate::ours::BATCH;
use crate::peers::{Payload, streams};
use crate::race::{self, Contestant};
use crate::random::Random;
use crate::report::{Case, part};
use crate::scores::{Unit, size};
use crate::servers::runtime;
use crate::{binding, ours, peers, reference};

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
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
        let results = race::run(contestants(writer, &text), BATCH, options.effort);
        let goals = [Goal::TimesBestPeer(goal)];
        let streams = part(&results, |name| !SANS_IO.contains(&name));
        put(Case::new("encode", &name, Unit::NanosAMessage, streams, &goals))?;
        let core = part(&results, |name| SANS_IO.contains(&name));
        put(Case::new("encode-core", &name, Unit::NanosAMessage, core, &goals))?;
    }
    Ok(())
}

/// Those that have no stream: they encode into a buffer, or lend slices of a queue.
const SANS_IO: [&str; 3] = ["multiwa-ws core", "sockudo-ws Protocol", "websocket-sans-io"];

fn contestants(writer: Reader, text: &str) -> Vec<Contestant> {
    let [core, protocol, sans_io] = SANS_IO;
    let mut contestants = vec![
        Contestant::ours("multiwa-ws-tokio", binding::encoder(writer, text, BATCH)),
        Contestant::ours(core, ours::encoder(writer, text, BATCH)),
        Contestant::peer(protocol, peers::sockudo::protocol_encoder(writer, text, BATCH)),
        Contestant::peer(sans_io, peers::sans_io::encoder(writer, text, BATCH)),
        Contestant::reference("header and payload into a buffer", reference::encoder(writer, text, BATCH)),
    ];
    contestants.extend(streams::encoders(writer, Payload::Copied, text, BATCH));
    contestants
}
