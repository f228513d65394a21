//! `demo`: a server and a client in one program.

use std::pin::pin;
use std::time::Duration;

use data_encoding::HEXLOWER;
use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::{Event, ReconnectConfig};
use multiwa_ws_tokio::{Client, Publisher, Server, Updates};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::exit::End;
use crate::generator::{Generator, PROFILES, Rate};
use crate::output::{Output, note};
use crate::ping::millis;
use crate::serve::{SHUTDOWN, url};
use crate::signals::Interrupts;

/// Runs a server and a client: the server publishes events over TCP, and the client prints them
///
/// Ends with a line on standard error: published=N delivered=N lost=0 duplicated=0 rtt_ms=X. The exit code is 1 if an
/// event was lost or delivered twice.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  multiwa-ws demo
  multiwa-ws demo --seconds 2 --rate 1000 > /dev/null")]
pub(crate) struct Args {
    /// How many seconds to publish events
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many events to publish per second
    #[arg(long, value_name = "EVENTS_PER_SECOND", default_value = "10")]
    rate: Rate,
    /// Print each event as one line of JSON
    #[arg(long)]
    json: bool,
}

/// How long to wait for the last events.
const LAST_EVENTS: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args) -> Result<(), End> {
    let mut interrupts = Interrupts::new()?;
    let key = random_key()?;
    let server = Server::builder().api_keys([ApiKey::new(&key)]);
    let bound = server.bind(([127, 0, 0, 1], 0).into()).await;
    let server = bound.map_err(|error| End::Failed(format!("cannot listen on a loopback port: {error}")))?;
    let mut demo = Demo { generator: Generator::default(), tally: Tally::default(), round_trip: None };
    let result = tokio::select! {
        result = demo.run(&args, &server, &key) => result,
        signal = interrupts.next() => Err(End::Signaled(signal)),
    };
    demo.note();
    let result = result.and_then(|()| demo.check());
    End::after_closing(result, interrupts.last(SHUTDOWN * 2, server.shutdown(SHUTDOWN)).await != Some(0))
}

struct Demo {
    generator: Generator,
    tally: Tally,
    round_trip: Option<Duration>,
}

impl Demo {
    async fn run(&mut self, args: &Args, server: &Server, key: &str) -> Result<(), End> {
        let url = url("ws", server, "/ws")?;
        note(&format!("the server listens on {url}"));
        let reconnect = ReconnectConfig::new().enabled(false);
        let mut builder = Client::builder(url).api_key(key).reconnect(reconnect);
        for profile in PROFILES {
            builder = builder.subscribe(profile, ["*"]);
        }
        let (client, updates) = builder.connect().await?;
        self.round_trip = Some(client.ping().await.map_err(|error| End::Failed(error.to_string()))?);

        let Self { generator, tally, .. } = self;
        let publisher = server.publisher();
        let mut receiver = Receiver { updates, output: Output::new(args.json), tally };
        tokio::select! {
            result = publish(args, generator, &publisher) => result?,
            result = receiver.receive(u64::MAX) => result?,
        }
        // Wait for the remaining events. An event that does not arrive in time counts as lost.
        match timeout(LAST_EVENTS, receiver.receive(generator.count())).await {
            Ok(result) => result?,
            Err(_) => note("the last events did not arrive in time"),
        }
        client.close().await;
        Ok(())
    }

    fn note(&self) {
        let rtt_ms = self.round_trip.map_or_else(|| "none".to_owned(), |after| format!("{:.3}", millis(after)));
        note(&format!(
            "published={} delivered={} lost={} duplicated={} rtt_ms={rtt_ms}",
            self.generator.count(),
            self.tally.delivered,
            self.lost(),
            self.tally.duplicated
        ));
    }

    fn check(&self) -> Result<(), End> {
        match (self.lost(), self.tally.duplicated) {
            (0, 0) => Ok(()),
            _ => Err(End::Failed("events were lost or delivered twice".to_owned())),
        }
    }

    fn lost(&self) -> u64 {
        self.generator.count().saturating_sub(self.tally.delivered)
    }
}

async fn publish(args: &Args, generator: &mut Generator, publisher: &Publisher) -> Result<(), End> {
    let mut ticks = args.rate.ticks();
    let mut end = pin!(sleep(Duration::from_secs(args.seconds)));
    loop {
        tokio::select! {
            biased;
            () = &mut end => return Ok(()),
            _ = ticks.tick() => generator.publish(publisher).await?,
        }
    }
}

struct Receiver<'t> {
    updates: Updates,
    output: Output,
    tally: &'t mut Tally,
}

impl Receiver<'_> {
    /// Prints and counts events until `count` were delivered.
    async fn receive(&mut self, count: u64) -> Result<(), End> {
        while self.tally.delivered < count {
            let Some(event) = self.updates.next_event().await else {
                return Err(End::Failed("the connection was lost".to_owned()));
            };
            self.tally.add(&event);
            self.output.event(&event).await?;
        }
        Ok(())
    }
}

/// The count of delivered events, by their sequence numbers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// The number of the next event. Events keep their order, so an event with a smaller number is a duplicate or arrived
    /// out of order.
    next: u64,
    delivered: u64,
    duplicated: u64,
}

impl Tally {
    fn add(&mut self, event: &Event<'_>) {
        /// The member that the generator adds to the data.
        #[derive(Deserialize)]
        struct Numbered {
            sequence: u64,
        }
        // An event without a number does not come from the generator.
        let Ok(Numbered { sequence }) = serde_json::from_str(event.data().unwrap_or_default()) else { return };
        if sequence < self.next {
            self.duplicated += 1;
        } else {
            self.next = sequence + 1;
            self.delivered += 1;
        }
    }
}

/// A secret random key.
fn random_key() -> Result<String, End> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(|error| End::Failed(format!("the operating system did not provide a random key: {error}")))?;
    Ok(HEXLOWER.encode(&key))
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::session::Envelope;

    use super::*;

    fn tally(sequences: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for sequence in sequences {
            let text =
                format!(r#"{{"type":"event","payload":{{"event":"e","data":{{"a":1,"sequence":{sequence}}}}}}}"#);
            tally.add(&Envelope::parse(&text, 64).unwrap().into_event().unwrap());
        }
        tally
    }

    fn checked(published: u64, sequences: &[u64]) -> (u64, u64, bool) {
        let generator = Generator::starting_at(published);
        let demo = Demo { generator, tally: tally(sequences), round_trip: None };
        (demo.lost(), demo.tally.duplicated, demo.check().is_ok())
    }

    #[test]
    fn losses_and_duplicates_are_counted_and_fail_the_demo() {
        assert_eq!(checked(3, &[0, 1, 2]), (0, 0, true));
        assert_eq!(checked(3, &[0, 2]), (1, 0, false));
        assert_eq!(checked(3, &[0, 1]), (1, 0, false));
        assert_eq!(checked(3, &[0, 1, 1, 2]), (0, 1, false));
        assert_eq!(checked(3, &[0, 2, 1]), (1, 1, false));
    }
}
