//! Events from a socket to the application: the whole client, by the processor time of its thread.

use std::io;

use super::options::{Options, Put};
use crate::clients::{BLOCKING, BLOCKING_PEER, CORE, NEXT, STREAM, contestants};
use crate::corpus::{Keys, Wire};
use crate::goals::Goal;
use crate::race::{self, Effort};
use crate::report::{Case, part};
use crate::scores::{Unit, size};
use crate::servers::pin;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    pin(1);
    // A turn is longer than what is buffered: the server and our client may be some hundred KiB ahead.
    let Effort { rounds, turn } = options.effort;
    let effort = Effort { rounds: (rounds / 3).max(1), turn: 30 * turn };
    for len in [300, 1 << 10, 4 << 10] {
        let cases = [("tokio, lent", NEXT), ("tokio, stream", STREAM), ("blocking", BLOCKING)]
            .map(|(what, ours)| (format!("{what}, {}", size(len)), ours));
        if !cases.iter().any(|(name, _)| options.wants(name)) {
            continue;
        }
        let wire = Wire::of_wanted_events(Keys::First, len);
        let results = race::run(contestants(&wire)?, wire.messages, effort);
        for (name, ours) in cases.iter().filter(|(name, _)| options.wants(name)) {
            let is_blocking = *ours == BLOCKING;
            // One of ours at a time, beside the peers that run in the same way.
            let results =
                part(&results, |name| name == *ours || !OURS.contains(&name) && is_blocking == (name == BLOCKING_PEER));
            let mut goals = Vec::new();
            if !is_blocking {
                goals.push(Goal::OfReference(CORE, 1.0 / 1.2));
                if len <= 1 << 10 {
                    goals.push(Goal::TimesBestPeer(2.0));
                }
            }
            put(Case::new("client", name, Unit::ClientNanosAnEvent, results, &goals))?;
        }
    }
    Ok(())
}

const OURS: [&str; 3] = [NEXT, STREAM, BLOCKING];
