//! Sending one text message and flushing it, over a stream in memory that takes everything at once.

use std::io;

use super::options::{Options, Put};
use crate::binding;
use crate::corpus::{Reader, Script, text};
use crate::goals::Goal;
use crate::peers::{Payload, sockudo, streams};
use crate::race::{self, Contestant};
use crate::random::Random;
use crate::report::Case;
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
            let mut rows = vec![(Payload::Copied, name.clone())];
            // A client masks its own copy of every message, so it has nothing to share.
            if writer == Reader::Server {
                rows.push((Payload::Shared, format!("shared {name}")));
            }
            rows.retain(|(_, name)| options.wants(name));
            if rows.is_empty() {
                continue;
            }
            let text = text(Script::Ascii, len, &mut Random::new(1));
            let mut goals = vec![Goal::TimesBestPeer(if len <= 4 * KIB { 1.3 } else { 1.0 })];
            if len <= 300 {
                goals.push(Goal::OfReference(PROTOCOL, 1.0));
            }
            for (payload, name) in rows {
                let results = race::run(contestants(writer, payload, &text), 1, options.effort);
                put(Case::new("send", &name, Unit::NanosAMessage, results, &goals))?;
            }
        }
    }
    Ok(())
}

/// A function that encodes into a buffer, whose bytes are then written: the least that a stream can do.
const PROTOCOL: &str = "sockudo-ws Protocol";

fn contestants(writer: Reader, payload: Payload, text: &str) -> Vec<Contestant> {
    let ours = match payload {
        Payload::Copied => Contestant::ours("multiwa-ws-tokio", binding::sender(writer, text)),
        Payload::Shared => Contestant::ours("multiwa-ws-tokio, SharedMessage", binding::shared_sender(text)),
    };
    let mut contestants = vec![ours, Contestant::reference(PROTOCOL, sockudo::protocol_encoder(writer, text, 1))];
    contestants.extend(streams::encoders(writer, payload, text, 1));
    contestants
}
