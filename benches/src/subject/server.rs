//! A server that publishes: one event to one, a hundred or a thousand subscribers over loopback.
//!
//! The time is the processor time of all threads except the client's. These are the threads of the one server that
//! publishes. So the deliveries per second are those of a server on a processor that does nothing else. They include
//! the kernel's part of each delivery, up to the receiver's queue, and the wake of the server for each burst. They do
//! not include reading by the receivers, and no receiver must be woken.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Keys, WANTED, event, frame};
use crate::goals::Goal;
use crate::load::{Load, of};
use crate::process::need_open_files;
use crate::race::{median, others_during};
use crate::random::Random;
use crate::report::{Case, Outcome};
use crate::scores::Unit;
use crate::servers::broadcast::{Broadcaster, Broadcasting, broadcasters};
use crate::servers::orders::{Job, Shape};
use crate::servers::pin;

/// The number of events that are published at once, before the tasks of the subscribers run.
const BURSTS: [usize; 2] = [1, 8];

/// The number of subscribers that bursts are sent to in the turn of a broadcaster, if `TURN_BURSTS` allows it.
const TURN_DELIVERIES: usize = 4000;
/// The maximum number of bursts in a turn. Each burst begins when all subscribers have received the previous one.
const TURN_BURSTS: usize = 16;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    pin(1);
    for (shape, subscribers) in [(Shape::Tasks, 1), (Shape::Tasks, 100), (Shape::Tasks, 1000), (Shape::Loop, 1000)] {
        let what = if shape == Shape::Tasks { "a task each" } else { "one loop" };
        let bursts = BURSTS.map(|burst| (burst, format!("{what}, {subscribers} subscribers, bursts of {burst}")));
        let wanted: Vec<_> = bursts.into_iter().filter(|(_, name)| options.wants(name)).collect();
        if wanted.is_empty() {
            continue;
        }
        let broadcasters = broadcasters(shape);
        // Both ends are in this process.
        need_open_files(2 * broadcasters.len() * subscribers)?;
        let job = Job { event: event(Keys::First, WANTED, 300, &mut Random::new(1)), subscribers, shape };
        compare(&broadcasters, &job, &wanted, put, options)?;
    }
    Ok(())
}

fn compare(
    broadcasters: &[Broadcaster],
    job: &Job,
    bursts: &[(usize, String)],
    put: &mut Put<'_>,
    options: &Options,
) -> io::Result<()> {
    let mut field = broadcasters
        .iter()
        .map(|broadcaster| {
            let broadcasting = broadcaster.start(job).map_err(of(broadcaster.name))?;
            let load = Load::open(broadcasting.address, job.subscribers, broadcaster.subscribe);
            Ok((*broadcaster, broadcasting, load.map_err(of(broadcaster.name))?))
        })
        .collect::<io::Result<Vec<_>>>()?;
    for (burst, name) in bursts {
        let results = race(&mut field, job, *burst, options.effort.rounds / 3)?;
        put(Case::new("server", name, Unit::ThousandDeliveriesASecond, results, &goals(job, *burst)))?;
    }
    Ok(())
}

fn goals(job: &Job, burst: usize) -> Vec<Goal> {
    let best = Goal::TimesBestPeer;
    // One event at a time must be as fast as raw writes.
    let raw = |times| Goal::OfReference("raw writes", times);
    match (job.shape, job.subscribers, burst) {
        (Shape::Tasks, 1000, 1) => vec![raw(1.0), best(1.0)],
        (Shape::Tasks, 1000, _) => vec![raw(0.9), best(1.1)],
        (Shape::Loop, _, 8) => vec![best(1.05)],
        _ => vec![best(1.0)],
    }
}

fn race(
    field: &mut [(Broadcaster, Broadcasting, Load)],
    job: &Job,
    burst: usize,
    rounds: usize,
) -> io::Result<Vec<Outcome>> {
    let mut bytes = Vec::new();
    for _ in 0..burst {
        frame(&mut bytes, true, 0x1, None, job.event.as_bytes());
    }
    for (broadcaster, broadcasting, load) in &mut *field {
        broadcasting.publish(burst);
        let same = load.check_received(&bytes).map_err(of(broadcaster.name))?;
        assert!(same, "{} sends something else", broadcaster.name);
    }
    let bursts = (TURN_DELIVERIES / job.subscribers).min(TURN_BURSTS);
    let mut rates = vec![Vec::with_capacity(rounds); field.len()];
    for round in 0..rounds.max(1) {
        for turn in 0..field.len() {
            let index = (round + turn) % field.len();
            let (broadcaster, broadcasting, load) = &mut field[index];
            let time = others_during(|| {
                for _ in 0..bursts {
                    broadcasting.publish(burst);
                    load.receive(bytes.len())?;
                }
                Ok(())
            });
            let deliveries = (bursts * burst * job.subscribers) as f64;
            rates[index].push(deliveries / time.map_err(of(broadcaster.name))? * 1e6);
        }
    }
    let rates = rates.iter_mut().map(|rates| median(rates));
    Ok(field.iter().zip(rates).map(|((one, ..), rate)| (one.name.to_owned(), one.standing, rate)).collect())
}
