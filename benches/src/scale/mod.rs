//! One server with many connections: the events that it delivers, and how long each takes.
//!
//! The server is a process of its own. Each line of its standard input is a number of events to publish. An event
//! carries its number and the time before its publication.

mod event;
mod receivers;
mod serve;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::process::{processor_time, resident};
use crate::servers::pin;
use receivers::{PATIENCE, Receivers};

pub use serve::{SERVERS, Server, serve, server};

/// The argument with which this program runs as a server.
pub const SERVE: &str = "--serve";

/// The largest number of events on the way.
const WINDOW: usize = 4;

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The number of events that were published.
    pub events: usize,
    time: Duration,
    latency: Histogram<u64>,
    /// The processor time of the server.
    pub processor: Duration,
    /// The resident memory of the server in bytes, at the end.
    pub resident: u64,
}

impl Measured {
    pub fn events_a_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }

    /// The time from the publication to the client, which this percentage of the deliveries does not exceed.
    pub fn latency(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_percentile(percentile))
    }
}

/// A running server with its clients.
pub struct Load {
    server: Child,
    orders: ChildStdin,
    receivers: Receivers,
}

impl Load {
    /// Starts the server and connects `count` clients.
    pub fn start(server: &Server, count: usize) -> io::Result<Self> {
        pin(1);
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, server.name, &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { server: child, orders, receivers: Receivers::connect(port, count, server.subscribe)? })
    }

    /// Publishes for this time as fast as the clients receive.
    pub fn publish_all(&mut self, time: Duration) -> io::Result<Measured> {
        self.publish(time, |events, received, _| events.saturating_sub(received) < WINDOW)
    }

    /// Publishes this number of events a second for this time.
    pub fn publish_at(&mut self, rate: f64, time: Duration) -> io::Result<Measured> {
        self.publish(time, |events, _, passed| (events as f64) < passed.as_secs_f64() * rate)
    }

    /// Publishes an event whenever `is_due`, which gets the number of published events, of those that all clients have,
    /// and the time since the start.
    fn publish(&mut self, time: Duration, is_due: impl Fn(usize, usize, Duration) -> bool) -> io::Result<Measured> {
        let process = self.server.id().to_string();
        let before = processor_time(&process)?;
        let (start, mut events) = (Instant::now(), 0);
        self.receivers.reset();
        let mut last = start;
        loop {
            let passed = start.elapsed();
            while passed < time && is_due(events, self.receivers.events(), passed) {
                self.orders.write_all(b"1\n")?;
                events += 1;
            }
            if passed >= time && self.receivers.events() == events {
                break;
            }
            if self.receivers.poll(Duration::from_millis(1))? {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                let missing = events * self.receivers.len() - self.receivers.deliveries();
                return Err(io::Error::other(format!("{missing} deliveries are missing")));
            }
        }
        Ok(Measured {
            events,
            time: start.elapsed(),
            latency: self.receivers.take_latency(),
            processor: processor_time(&process)? - before,
            resident: resident(&process)?,
        })
    }
}

/// The server ends with its input.
impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
