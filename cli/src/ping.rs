//! `ping`: measures the response time of the server.

use std::num::NonZeroU32;
use std::time::Duration;

use multiwa_ws_core::session::{CloseCause, ReconnectConfig};
use multiwa_ws_tokio::{BuildError, Client, ConnectError, RequestError};
use tokio::time::{MissedTickBehavior, interval};

use crate::connection::{CLOSE_LIMIT, Connection};
use crate::dialect;
use crate::exit::End;
use crate::output::{Output, note};
use crate::signals::Interrupts;
use crate::values;

/// Measures the round-trip time of the protocol's ping
///
/// Prints a line for each answer, and a summary on standard error.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  MULTIWA_WS_API_KEY=secret multiwa-ws ping ws://127.0.0.1:3001/ws --count 10 --interval 200ms")]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// How many pings to send
    #[arg(long, value_name = "N", default_value = "4")]
    count: NonZeroU32,
    /// The time from one ping to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = values::duration)]
    interval: Duration,
}

pub(crate) async fn run(args: Args) -> Result<(), End> {
    let mut interrupts = Interrupts::new()?;
    let once = ReconnectConfig::new().enabled(false);
    let connect = async {
        let dialect = args.connection.spoken_dialect(once).await?;
        let connected = args.connection.client(once, dialect)?.connect().await;
        connected.map_err(|error| match error {
            BuildError::Connect(ConnectError::Disconnected(ref last)) => {
                dialect::advise(End::disconnected(last), dialect, Some(last))
            }
            error => error.into(),
        })
    };
    let (client, updates) = tokio::select! {
        connected = connect => connected?,
        signal = interrupts.next() => return End::after_closing(Err(End::Signaled(signal)), false),
    };
    // The client has no subscriptions, and the other messages of the server are not needed.
    drop(updates);
    let mut figures = Figures::default();
    let result = tokio::select! {
        result = measure(&client, &args, &mut figures) => result,
        signal = interrupts.next() => Err(End::Signaled(signal)),
    };
    figures.note();
    let closed = interrupts.last(CLOSE_LIMIT, client.close()).await;
    End::after_closing(result, closed.is_none())
}

async fn measure(client: &Client, args: &Args, figures: &mut Figures) -> Result<(), End> {
    let mut output = Output::new(false);
    let mut ticks = interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1..=args.count.get() {
        ticks.tick().await;
        figures.sent += 1;
        match client.ping().await {
            Ok(after) => {
                figures.add(after);
                output.line(format!("ping={number} rtt_ms={:.3}", millis(after))).await?;
            }
            Err(RequestError::TimedOut) => note(&format!("ping {number}: no answer in time")),
            Err(error) => return Err(why(client, &error).await),
        }
    }
    match figures.sent - figures.received {
        0 => Ok(()),
        missing => Err(End::TimedOut(format!("{missing} of {} pings were not answered in time", figures.sent))),
    }
}

/// The reason why a ping failed. If the client has closed, it is the reason for that.
async fn why(client: &Client, error: &RequestError) -> End {
    match error {
        RequestError::Refused { .. } => End::Violation(error.to_string()),
        _ => match client.closed().await {
            CloseCause::Lost(_) => client
                .status()
                .last_disconnect
                .map_or_else(|| End::Unreachable(error.to_string()), |last| End::disconnected(&last)),
            CloseCause::Application => End::Unreachable(error.to_string()),
        },
    }
}

#[derive(Debug, Default)]
struct Figures {
    sent: u32,
    received: u32,
    total: Duration,
    shortest: Option<Duration>,
    longest: Duration,
}

impl Figures {
    fn add(&mut self, after: Duration) {
        self.received += 1;
        self.total += after;
        self.shortest = Some(self.shortest.map_or(after, |shortest| shortest.min(after)));
        self.longest = self.longest.max(after);
    }

    fn note(&self) {
        let counts = format!("sent={} received={}", self.sent, self.received);
        match self.shortest {
            None => note(&counts),
            Some(shortest) => note(&format!(
                "{counts} min_ms={:.3} avg_ms={:.3} max_ms={:.3}",
                millis(shortest),
                millis(self.total / self.received),
                millis(self.longest)
            )),
        }
    }
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
