//! Measures one server with many connections: see `--help`.

use std::process::ExitCode;
use std::time::Duration;

use multiwa_ws_benches::process::{need_open_files, raise_open_files};
use multiwa_ws_benches::scale::{Load, Measured, SERVE, SERVERS, Server, serve, server};

const HELP: &str = "\
scale [--connections N,N,...] [--seconds S] [--rate EVENTS] [--only NAME]

Publishes events of 300 B to all connections of one server, which is a process of its own on the first processor. The
clients are one thread on the second processor. Each client checks that no event is missing and that all are in order.

  --connections N,...  connections at the same time, 1000,5000,15000 by default
  --seconds S          how long each server publishes, 10 by default
  --rate EVENTS        events a second, each to every connection; by default as many as the clients take, with at most 4
                       on the way, and then half of that
  --only NAME          only this server: ours or raw

Latency is from before the publication to the read of a client, in milliseconds. It needs Linux, for epoll and /proc.";

fn main() -> ExitCode {
    raise_open_files();
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut connections, mut seconds, mut rate, mut only) = (vec![1_000, 5_000, 15_000], 10, None, None);
    while let Some(arg) = args.next() {
        let mut value = |what: &str| args.next().ok_or(format!("{arg} needs {what}"));
        match &*arg {
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            "--connections" => {
                let list = value("numbers")?;
                connections = list.split(',').map(number).collect::<Result<_, _>>()?;
            }
            "--seconds" => seconds = number(&value("a number")?)?,
            "--rate" => rate = Some(number(&value("a number")?)?),
            "--only" => only = Some(server(&value("a name")?)?),
            SERVE => {
                let (name, connections) = (value("a name")?, value("a number")?);
                return serve(server(&name)?, number(&connections)?).map_err(|error| format!("{name}: {error}"));
            }
            _ => return Err(format!("{arg} is unknown\n\n{HELP}")),
        }
    }
    println!("| connections | server | events/s | deliveries/s | CPU us a delivery | p50 | p99 | p99.9 | MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for count in connections {
        need_open_files(count).map_err(|error| error.to_string())?;
        for one in SERVERS.iter().filter(|one| only.is_none_or(|only| only.name == one.name)) {
            measure(one, count, Duration::from_secs(seconds as u64), rate)
                .map_err(|error| format!("{}, {count} connections: {error}", one.name))?;
        }
    }
    Ok(())
}

fn measure(server: &Server, count: usize, time: Duration, rate: Option<usize>) -> std::io::Result<()> {
    let mut load = Load::start(server, count)?;
    let found = match rate {
        Some(rate) => load.publish_at(rate as f64, time)?,
        None => {
            let full = load.publish_all(time)?;
            print(server, count, &full);
            load.publish_at(full.events_a_second() / 2.0, time)?
        }
    };
    print(server, count, &found);
    Ok(())
}

fn print(server: &Server, count: usize, found: &Measured) {
    let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|percentile| found.latency(percentile).as_secs_f64() * 1e3);
    println!(
        "| {count} | {} | {:.1} | {:.0} | {:.2} | {p50:.2} | {p99:.2} | {p999:.2} | {:.1} |",
        server.name,
        found.events_a_second(),
        found.events_a_second() * count as f64,
        found.processor.as_secs_f64() * 1e6 / (found.events * count) as f64,
        found.resident as f64 / f64::from(1 << 20),
    );
}

fn number(text: &str) -> Result<usize, String> {
    text.trim().parse().ok().filter(|number| *number > 0).ok_or(format!("{text} is no whole number above 0"))
}
