//! Sending one text message and flushing it, over a stream in memory that takes everything at once.

use std::io;

use super::options::{Options, Put};
use crate::binding;
use crate::corpus::{Reader, Script, text};
use crate::goals::Goal;
use crate::peers::{sockudo, streams};
use crate::race::{self, Contestant};
use crate::random::Random;
use crate::report::{Case, part};
use crate::scores::{Unit, size};
use crate::servers::runtime;

const KIB: usize = 1 << 10;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    for writer in [Reader::Server, Reader::Client] {
        for len in [64, 300, 4 * KIB, 64 * KIB, 1024 * KIB] {
            let masked = if writer == Reader::Client { "masked" } else { "unmasked" };
            let name = format!("{masked} {}", size(len));
            let mut rows = vec![(TEXT, name.clone())];
            // A client masks its own copy of every message, so it has nothing to share.
            if writer == Reader::Server {
                rows.push((SHARED, format!("shared {name}")));
            }
            rows.retain(|(_, name)| options.wants(name));
            if rows.is_empty() {
                continue;
            }
            let text = text(Script::Ascii, len, &mut Random::new(1));
            let results = race::run(contestants(writer, &text), 1, options.effort);
            let mut goals = vec![Goal::TimesBestPeer(if len <= 4 * KIB { 1.3 } else { 1.0 })];
            if len <= 300 {
                goals.push(Goal::OfReference(PROTOCOL, 1.0));
            }
            for (ours, name) in rows {
                let results = part(&results, |other| other == ours || ![TEXT, SHARED].contains(&other));
                put(Case::new("send", &name, Unit::NanosAMessage, results, &goals))?;
            }
        }
    }
    Ok(())
}

/// The names of ours.
const TEXT: &str = "multiwa-ws-tokio";
const SHARED: &str = "multiwa-ws-tokio, SharedMessage";
/// A function that encodes into a buffer, whose bytes are then written: the least that a stream can do.
const PROTOCOL: &str = "sockudo-ws Protocol";

fn contestants(writer: Reader, text: &str) -> Vec<Contestant> {
    let mut contestants = vec![
        Contestant::ours(TEXT, binding::sender(writer, text)),
        Contestant::reference(PROTOCOL, sockudo::protocol_encoder(writer, text, 1)),
    ];
    if writer == Reader::Server {
        contestants.push(Contestant::ours(SHARED, binding::shared_sender(text)));
    }
    contestants.extend(streams::encoders(writer, text, 1));
    contestants
}
