//! Echo over loopback: the cost of a message for the server.

use std::collections::BTreeMap;
use std::io;

use super::options::{Options, Put};
use crate::corpus::{Script, frame, text};
use crate::goals::Goal;
use crate::load::{Load, of};
use crate::process::need_open_files;
use crate::race::{Standing, median, others_during};
use crate::random::Random;
use crate::report::Case;
use crate::scores::{Unit, size};
use crate::servers::{ASYNC_STD_SERVERS, SERVERS, Server, pin};

const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// The number of messages that a client sends before it waits for the answers.
const DEPTHS: [usize; 2] = [1, 32];
const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];

/// The maximum amount of work of a server in one turn.
const TURN_MESSAGES: usize = 8192;
const TURN_BYTES: usize = 16 << 20;
/// The maximum number of waits for answers in one turn. On a busy machine each wait is long.
const TURN_WAITS: usize = 100;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    pin(1);
    run_with(SERVERS, "tokio", put, options)?;
    run_with(ASYNC_STD_SERVERS, "async-std", put, options)
}

fn run_with(servers: &[Server], runtime: &str, put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    for connections in CONNECTIONS {
        let cells = DEPTHS.into_iter().flat_map(|depth| SIZES.map(|len| (depth, len))).map(|(depth, len)| {
            (depth, len, format!("{runtime}, {connections} connections, depth {depth}, {}", size(len)))
        });
        let cells: Vec<_> = cells.filter(|(_, _, name)| options.wants(name)).collect();
        if cells.is_empty() {
            continue;
        }
        // Both ends are in this process, and the servers may not have closed the previous connections yet.
        need_open_files(servers.len() * (2 * connections + CONNECTIONS[1]))?;
        // The connections of every server are open all the time. A server that is not measured is idle.
        let mut loads = servers
            .iter()
            .map(|server| {
                server.start().and_then(|at| Load::open(at, connections, |_| Ok(()))).map_err(of(server.name))
            })
            .collect::<io::Result<Vec<_>>>()?;
        for (depth, len, name) in cells {
            let results = cell(servers, &mut loads, depth, len, options.effort.rounds / 3)?;
            let mut goals = Vec::new();
            if runtime == "tokio" {
                let times = match (depth, len) {
                    (1, _) => 1.0,
                    (32, 16_384) => 1.3,
                    _ => 1.0 / 1.1,
                };
                goals.push(Goal::TimesBestPeer(times));
            } else {
                goals.push(Goal::OfReference("raw async-std", 1.0 / 1.1));
            }
            if runtime == "tokio" && depth == 32 && len == 64 {
                goals.push(Goal::OfReference("raw epoll", 1.0 / 1.25));
            }
            put(Case::new("echo", &name, Unit::ServerMicrosAMessage, results, &goals))?;
        }
    }
    Ok(())
}

fn cell(
    servers: &[Server],
    loads: &mut [Load],
    depth: usize,
    len: usize,
    rounds: usize,
) -> io::Result<Vec<(String, Standing, f64)>> {
    let text = text(Script::Ascii, len, &mut Random::new(1));
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let mut random = Random::new(2);
    for _ in 0..depth {
        frame(&mut request, true, 0x1, Some(random.masking_key()), text.as_bytes());
        frame(&mut answer, true, 0x1, None, text.as_bytes());
    }
    let mut times = BTreeMap::<usize, Vec<f64>>::new();
    for (server, load) in servers.iter().zip(loads.iter_mut()) {
        let same = load.check(&request, &answer).map_err(of(server.name))?;
        assert!(same, "{} sends something else back", server.name);
    }
    for round in 0..rounds.max(1) {
        for turn in 0..loads.len() {
            let index = (round + turn) % loads.len();
            let load = &mut loads[index];
            let batch = depth * load.len();
            let batches = TURN_MESSAGES.min(TURN_BYTES / len).div_ceil(batch).min(TURN_WAITS);
            let time = others_during(|| load.ask(&request, answer.len(), batches)).map_err(of(servers[index].name))?;
            let messages = (batches * batch) as f64;
            times.entry(index).or_default().push(time / messages / 1e3);
        }
    }
    Ok(times
        .into_iter()
        .map(|(index, mut times)| (servers[index].name.to_owned(), servers[index].standing, median(&mut times)))
        .collect())
}
