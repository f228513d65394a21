//! Fan-out: one event to a thousand subscribers over loopback.
//!
//! The time is the processor time of all threads except the client's. These are the threads of the one server that
//! publishes. So the deliveries per second are those of a server on a processor that does nothing else. They include
//! the kernel's part of each delivery, up to the receiver's queue. They do not include reading by the receivers, and no
//! receiver must be woken.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Keys, WANTED, event, frame};
use crate::goals::Goal;
use crate::load::{Load, of};
use crate::process::need_open_files;
use crate::race::{Standing, median, others_during};
use crate::random::Random;
use crate::report::Case;
use crate::scores::Unit;
use crate::servers::broadcast::{BROADCASTERS, Broadcasting};
use crate::servers::orders::SUBSCRIBERS;
use crate::servers::pin;

/// The number of events that are published at once, before the tasks of the subscribers run.
const BURSTS: [usize; 2] = [1, 8];

/// The number of bursts in the turn of a broadcaster. Each burst begins when all subscribers have received the previous
/// one.
const TURN_BURSTS: usize = 4;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    pin(1);
    let bursts = BURSTS.map(|burst| (burst, format!("300 B to {SUBSCRIBERS} subscribers, bursts of {burst}")));
    let wanted: Vec<_> = bursts.into_iter().filter(|(_, name)| options.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    // Both ends are in this process.
    need_open_files(2 * BROADCASTERS.len() * SUBSCRIBERS)?;
    compare(&wanted, put, options)
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
        // One event at a time must be as fast as raw writes.
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
