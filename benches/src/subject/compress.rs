//! A stream of events with `permessage-deflate`: time, bytes on the wire, and memory.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Wire, stream};
use crate::goals::Goal;
use crate::memory::READ;
use crate::ours::{Glance, Run};
use crate::race::{self, Contestant, Effort, Standing};
use crate::random::Random;
use crate::report::Case;
use crate::scores::Unit;
use crate::terms::Terms;
use crate::{deflate, ours, peers, process};

/// More than twice the largest window, so that no window still contains the beginning when the stream repeats.
const EVENTS: usize = 256;
const LEN: usize = 300;

/// The result of an offer without parameters, at our default level.
const DEFAULT: Terms = Terms { level: 1, window_bits: 15, takeover: true };

/// The maximum cost that a library may add to `zlib-rs`.
const GOALS: [Goal; 2] = [Goal::TimesBestPeer(1.0), Goal::OfReference("raw zlib-rs", 1.0 / 1.15)];

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    // A pass has the length of a turn in other subjects. If it had one message only, the result would depend on the
    // caches: they hold the state and the code of the previous contestant, which may use the same library.
    let Effort { rounds, turn } = options.effort;
    let effort = Effort { rounds: (rounds / 3).max(1), turn: 10 * turn };
    let texts = stream(EVENTS, LEN, &mut Random::new(1));
    let alone = Terms { takeover: false, ..DEFAULT };
    for (name, terms) in [
        ("context kept", DEFAULT),
        ("context kept, window of 4 KiB", Terms { window_bits: 12, ..DEFAULT }),
        ("context kept, level 6", Terms { level: 6, ..DEFAULT }),
        ("context dropped", alone),
    ] {
        let name = format!("encode 300 B, {name}");
        if options.wants(&name) {
            encode(put, effort, &name, encoders(&texts, terms))?;
        }
    }
    for (name, terms) in [("context kept", DEFAULT), ("context dropped", alone)] {
        let name = format!("decode 300 B, {name}");
        if !options.wants(&name) {
            continue;
        }
        let payloads = deflate::payloads(&texts, terms);
        let decoders = decoders(&deflate::wire(&payloads), &payloads, terms);
        let results = race::run(decoders, EVENTS, effort);
        put(Case::new("compress", &name, Unit::NanosAMessage, results, &GOALS))?;
    }
    memory(put, options, &texts)
}

/// The contestants that compress `texts`. All except `miniz_oxide` use `zlib-rs`, so they all use the same search.
fn encoders(texts: &[String], terms: Terms) -> Vec<Contestant> {
    let mut contestants = vec![
        Contestant::ours("multiwa-ws", ours::compressing_encoder(texts, terms)),
        Contestant::peer("sockudo-ws Protocol", peers::sockudo::compressing_encoder(texts, terms)),
        Contestant::peer("yawc", peers::yawc::compressing_encoder(texts, terms)),
        Contestant::reference("raw zlib-rs", deflate::zlib_encoder(texts, terms)),
        Contestant::reference("raw miniz_oxide", deflate::miniz_encoder(texts, terms)),
    ];
    if !terms.takeover {
        contestants.push(Contestant::peer("wtx", peers::wtx::compressing_encoder(texts, terms)));
    }
    contestants
}

fn decoders(wire: &Wire, payloads: &[Vec<u8>], terms: Terms) -> Vec<Contestant> {
    let look = Glance::default;
    let mut contestants = vec![
        Contestant::ours("multiwa-ws", ours::inflating_decoder(wire, terms, READ, look())),
        Contestant::peer("sockudo-ws Protocol", peers::sockudo::inflating_decoder(wire, terms, READ, look())),
        Contestant::peer("yawc", peers::yawc::inflating_decoder(wire, terms, peers::yawc::READ, look())),
        Contestant::reference("raw zlib-rs", deflate::zlib_decoder(payloads, terms, look())),
        Contestant::reference("raw miniz_oxide", deflate::miniz_decoder(payloads, terms, look())),
    ];
    if !terms.takeover {
        contestants.push(Contestant::peer("wtx", peers::wtx::inflating_decoder(wire, terms, look())));
    }
    contestants
}

/// Measures the bytes on the wire, which may differ between contestants, and the time.
fn encode(put: &mut Put<'_>, effort: Effort, name: &str, contestants: Vec<Contestant>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let contestants = contestants
        .into_iter()
        .map(|Contestant { name, standing, mut run, clock }| {
            // The first pass begins without a context.
            run();
            bytes.push((name.clone(), standing, run() as f64 / EVENTS as f64));
            let run = Box::new(move || {
                std::hint::black_box(run());
                EVENTS as u64
            });
            Contestant { name, standing, run, clock }
        })
        .collect();
    put(Case::new("compressed", name, Unit::BytesAMessage, bytes, &[]))?;
    let results = race::run(contestants, EVENTS, effort);
    put(Case::new("compress", name, Unit::NanosAMessage, results, &GOALS))
}

/// The number of open connections while memory is measured.
const CONNECTIONS: usize = 64;

/// The read size of all contestants here. A larger buffer of the caller is not a property of the library.
const SMALL_READ: usize = 4 << 10;

/// Measures how much the resident memory grows for each connection that has compressed, or inflated, the stream.
fn memory(put: &mut Put<'_>, options: &Options, texts: &[String]) -> io::Result<()> {
    // A connection also holds the texts or the wire. A short stream that repeats keeps this small.
    let texts = &texts[..16];
    for window_bits in [15, 12] {
        let terms = Terms { window_bits, ..DEFAULT };
        let name = |direction| format!("{direction}, window of {} KiB", (1 << window_bits) / 1024);
        if !options.wants(&name("sending")) && !options.wants(&name("receiving")) {
            continue;
        }
        let results = vec![
            weigh("multiwa-ws", Standing::Ours, &|| ours::compressing_encoder(texts, terms))?,
            weigh("sockudo-ws Protocol", Standing::Peer, &|| peers::sockudo::compressing_encoder(texts, terms))?,
            weigh("yawc", Standing::Peer, &|| peers::yawc::compressing_encoder(texts, terms))?,
            weigh("raw zlib-rs", Standing::Reference, &|| deflate::zlib_encoder(texts, terms))?,
            weigh("raw miniz_oxide", Standing::Reference, &|| deflate::miniz_encoder(texts, terms))?,
        ];
        put(Case::new("compress-memory", &name("sending"), Unit::BytesAConnection, results, &[]))?;
        let payloads = deflate::payloads(texts, terms);
        let wire = deflate::wire(&payloads);
        let look = Glance::default;
        let results = vec![
            weigh("multiwa-ws", Standing::Ours, &|| ours::inflating_decoder(&wire, terms, SMALL_READ, look()))?,
            weigh("sockudo-ws Protocol", Standing::Peer, &|| {
                peers::sockudo::inflating_decoder(&wire, terms, SMALL_READ, look())
            })?,
            weigh("yawc", Standing::Peer, &|| peers::yawc::inflating_decoder(&wire, terms, SMALL_READ, look()))?,
            weigh("raw zlib-rs", Standing::Reference, &|| deflate::zlib_decoder(&payloads, terms, look()))?,
            weigh("raw miniz_oxide", Standing::Reference, &|| deflate::miniz_decoder(&payloads, terms, look()))?,
        ];
        put(Case::new("compress-memory", &name("receiving"), Unit::BytesAConnection, results, &[]))?;
    }
    Ok(())
}

fn weigh(name: &str, standing: Standing, open: &dyn Fn() -> Run) -> io::Result<(String, Standing, f64)> {
    let before = process::resident("self")?;
    for _ in 0..CONNECTIONS {
        let mut run = open();
        // Beyond the window.
        for _ in 0..10 {
            run();
        }
        // It is never freed. Otherwise the next contestant would reuse this memory and seem to need none.
        std::mem::forget(run);
    }
    let grown = process::resident("self")? as f64 - before as f64;
    Ok((name.to_owned(), standing, grown / CONNECTIONS as f64))
}
