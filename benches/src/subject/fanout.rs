//! Fan-out: one event to a thousand subscribers over loopback.
//!
//! The clock is the processor time of all threads but the client's, that is of the one server which publishes, for everybody
//! alike: deliveries per second are those of a server whose processor is busy with nothing else. The kernel's part of each
//! delivery, up to the receiver's queue, is in it; the receivers' reading is not, and nobody has to be woken for it.

use std::io;

use super::{Options, Put};
use crate::corpus::{Keys, WANTED, event, frame};
use crate::goals::Goal;
use crate::load::{Load, of};
use crate::process::need_open_files;
use crate::race::{Standing, median, others_during};
use crate::random::Random;
use crate::report::{Case, Unit};
use crate::servers::broadcast::{BROADCASTERS, Broadcasting, SUBSCRIBERS};
use crate::servers::pin;

/// Events that are published at once, before the subscribers' tasks run.
const BURSTS: [usize; 2] = [1, 8];

/// How many bursts a broadcaster publishes in its turn, each when all have received the one before.
const TURN_BURSTS: usize = 4;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    pin(1);
    let bursts = BURSTS.map(|burst| (burst, format!("300 B to {SUBSCRIBERS} subscribers, bursts of {burst}")));
    let desired: Vec<_> = bursts.into_iter().filter(|(_, name)| options.wants(name)).collect();
    if desired.is_empty() {
        return Ok(());
    }
    // Both ends are in this process.
    need_open_files(2 * BROADCASTERS.len() * SUBSCRIBERS)?;
    compare(&desired, put, options)
}

fn compare(bursts: &[(usize, String)], put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    let event = event(Keys::First, WANTED, 300, &mut Random::new(1));
    let mut field = BROADCASTERS
        .iter()
        .map(|broadcaster| {
            let broadcasting = broadcaster.start(&event).map_err(of(broadcaster.name))?;
            let load = Load::open(broadcasting.address, SUBSCRIBERS, broadcaster.subscribe);
            Ok((broadcasting, load.map_err(of(broadcaster.name))?))
        })
        .collect::<io::Result<Vec<_>>>()?;
    for (burst, name) in bursts {
        let results = race(&mut field, &event, *burst, options.effort.rounds / 3)?;
        // One event at a time is to be at the level of raw writes.
        let of_raw = if *burst == 1 { 1.0 } else { 0.9 };
        let goals = [Goal::OfReference("raw writes", of_raw), Goal::TimesBestPeer(1.0)];
        put(Case::new("fanout", name, Unit::ThousandDeliveriesASecond, results, &goals))?;
    }
    Ok(())
}

fn race(
    field: &mut [(Broadcasting, Load)],
    event: &str,
    burst: usize,
    rounds: usize,
) -> io::Result<Vec<(String, Standing, f64)>> {
    let mut bytes = Vec::new();
    for _ in 0..burst {
        frame(&mut bytes, true, 0x1, None, event.as_bytes());
    }
    for (broadcaster, (broadcasting, load)) in BROADCASTERS.iter().zip(&mut *field) {
        broadcasting.publish(burst);
        let same = load.check_received(&bytes).map_err(of(broadcaster.name))?;
        assert!(same, "{} sends something else", broadcaster.name);
    }
    let mut rates = vec![Vec::with_capacity(rounds); field.len()];
    for round in 0..rounds.max(1) {
        for turn in 0..field.len() {
            let index = (round + turn) % field.len();
            let (broadcasting, load) = &mut field[index];
            let time = others_during(|| {
                for _ in 0..TURN_BURSTS {
                    broadcasting.publish(burst);
                    load.receive(bytes.len())?;
                }
                Ok(())
            });
            let deliveries = (TURN_BURSTS * burst * SUBSCRIBERS) as f64;
            rates[index].push(deliveries / time.map_err(of(BROADCASTERS[index].name))? * 1e6);
        }
    }
    let rates = rates.iter_mut().map(|rates| median(rates));
    Ok(BROADCASTERS.iter().zip(rates).map(|(one, rate)| (one.name.to_owned(), one.standing, rate)).collect())
}
