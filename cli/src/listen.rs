//! `listen`: subscribes to events and prints them.

use std::borrow::Cow;
use std::future::pending;
use std::num::{NonZeroU32, NonZeroU64};
use std::pin::pin;
use std::time::{Duration, Instant};

use multiwa_ws_core::session::{
    CloseCause, Dialect, DisconnectReason, Event, FailedSubscription, Gap, LifecycleEvent, ReconnectConfig, Refusal,
    RequestOutcome,
};
use multiwa_ws_tokio::{Client, Clock, Tokio, Update, Updates};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::connection::{CLOSE_LIMIT, Connection};
use crate::dialect;
use crate::exit::{End, why_lost};
use crate::output::{Output, note};
use crate::signals::Interrupts;
use crate::silence::Silence;
use crate::text::compact;
use crate::values;

/// Subscribes to events, prints them and stays connected
///
/// After a lost connection the program reconnects, with increasing delays. It reports the state of the connection on
/// standard error.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  MULTIWA_WS_API_KEY=secret multiwa-ws listen ws://127.0.0.1:3001/ws --profile profile-123
  multiwa-ws listen ws://127.0.0.1:3001/ws --profile a --profile b --event message.received --json | jq .data.body
  multiwa-ws listen ws://127.0.0.1:3001/ws --profile a --event session.status --count 1 --for 5m --no-reconnect")]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// A profile to subscribe to; may be repeated
    #[arg(long = "profile", value_name = "PROFILE", required = true)]
    profiles: Vec<String>,
    /// An event to subscribe to, or * for all; may be repeated
    #[arg(long = "event", value_name = "EVENT", default_value = "*")]
    events: Vec<String>,
    /// Print each event as one line of JSON: receivedAt, event, profileId, data, timestamp
    #[arg(long)]
    json: bool,
    /// Stop after this many events
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// Stop after this time, such as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = values::duration)]
    limit: Option<Duration>,
    /// Stop with exit code 5 if no event arrives for this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    idle_timeout: Option<Duration>,
    /// Stop when the connection is lost or cannot be opened
    #[arg(long, conflicts_with = "max_attempts")]
    no_reconnect: bool,
    /// Stop after this many attempts to connect. A stable connection restarts the count
    #[arg(long, value_name = "N")]
    max_attempts: Option<NonZeroU32>,
}

pub(crate) async fn run(args: Args) -> Result<(), End> {
    let mut interrupts = Interrupts::new()?;
    let server = args.connection.endpoint()?;
    let reconnect =
        ReconnectConfig::new().enabled(!args.no_reconnect).max_attempts(args.max_attempts.map(NonZeroU32::get));
    let dialect = tokio::select! {
        dialect = args.connection.spoken_dialect(reconnect) => dialect?,
        () = sleep_for(args.limit) => return Err(End::TimedOut("the server did not answer in time".to_owned())),
        signal = interrupts.next() => return End::after_closing(Err(End::Signaled(signal)), false),
    };
    let mut builder = args.connection.client(reconnect, dialect)?;
    for profile in &args.profiles {
        builder = builder.subscribe(profile, &args.events);
    }
    let (client, updates) = builder.start()?;
    note(&format!("connecting to {server}"));
    let silence = Silence::new(&args.profiles);
    let watch = Watch { client, was_ready: false, silence, dialect };
    let mut listener = Listener { updates, output: Output::new(args.json), watch };
    let result = tokio::select! {
        result = listener.listen(args.count, args.idle_timeout) => result,
        () = sleep_for(args.limit) => listener.watch.time_limit_reached(),
        signal = interrupts.next() => Err(End::Signaled(signal)),
    };
    let Listener { updates, watch, .. } = listener;
    let last = watch.client.status().last_disconnect;
    let result = result.map_err(|end| dialect::advise(end, dialect, last.as_ref()));
    // With a full queue of updates, the client would not read the answer to its Close frame.
    drop(updates);
    let closed = interrupts.last(CLOSE_LIMIT, watch.client.close()).await;
    End::after_closing(result, closed.is_none())
}

async fn sleep_for(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => pending().await,
    }
}

struct Listener {
    updates: Updates,
    output: Output,
    watch: Watch,
}

impl Listener {
    /// Prints events until `count` events were printed. All other updates are reported on standard error.
    async fn listen(&mut self, count: Option<NonZeroU64>, idle: Option<Duration>) -> Result<(), End> {
        let mut left = count.map(NonZeroU64::get);
        let mut silence = pin!(sleep_for(idle));
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while left != Some(0) {
            let update = tokio::select! {
                update = self.updates.next() => update,
                _ = checks.tick() => {
                    self.watch.check();
                    continue;
                }
                () = &mut silence => return Err(End::TimedOut("no event arrived in time".to_owned())),
            };
            let Some(update) = update else { return Err(self.watch.closed(CloseCause::Application)) };
            if let Update::Event(event) = update {
                self.watch.received(&event);
                self.output.event(&event).await?;
                left = left.map(|left| left - 1);
                silence.set(sleep_for(idle));
            } else {
                self.watch.report(update)?;
            }
        }
        Ok(())
    }
}

/// How often to look for silence and for events that nobody requested.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Reports the state of the connection on standard error.
struct Watch {
    client: Client,
    was_ready: bool,
    silence: Silence,
    dialect: Dialect,
}

impl Watch {
    /// The client is ready. If the server refused every subscription, no event can arrive.
    fn ready(&mut self, failed: &[FailedSubscription], gap: Option<Gap>) -> Result<(), End> {
        self.was_ready = true;
        self.silence.ready(Instant::now());
        let mut refused = false;
        for FailedSubscription { profile, outcome } in failed {
            let why = match outcome {
                RequestOutcome::Refused(refusal) => {
                    refused = true;
                    why_refused(refusal)
                }
                _ => "the server did not answer in time".into(),
            };
            note(&format!("not subscribed to {profile}: {why}"));
        }
        let status = self.client.status();
        if refused && status.desired.is_empty() {
            return Err(End::Refused("every subscription was refused".to_owned()));
        }
        let profiles: Vec<_> = status.active.iter().map(|(profile, _)| profile.to_owned()).collect();
        note(&match profiles.join(", ") {
            none if none.is_empty() => "ready, but no subscription is active".to_owned(),
            profiles => format!("ready, listening to {profiles}"),
        });
        if let Some(gap) = gap {
            let long = gap.to.saturating_duration_since(gap.from);
            note(&format!("events of the last {long:.1?} may have been missed"));
        }
        Ok(())
    }

    fn report(&mut self, update: Update<'_>) -> Result<(), End> {
        match update {
            Update::Lifecycle(LifecycleEvent::Closed(cause)) => return Err(self.closed(cause)),
            Update::Lifecycle(LifecycleEvent::Ready { failed, gap }) => return self.ready(&failed, gap),
            Update::Lifecycle(LifecycleEvent::Connecting { attempt }) if attempt > 1 => {
                note(&format!("connecting, attempt {attempt}"));
            }
            Update::Lifecycle(LifecycleEvent::Opened) => note("connected"),
            Update::Lifecycle(LifecycleEvent::AckMissing) => {
                note("the server sent no connection ack; the connection is used without it");
            }
            Update::Lifecycle(LifecycleEvent::Backoff { reason, until }) => {
                let wait = until.saturating_duration_since(Tokio::now());
                note(&format!("{}; trying again in {wait:.1?}", self.why(reason)));
            }
            Update::Error { error, .. } => note(&format!("the server reports an error: {error}")),
            Update::Notification(message) => {
                let text = |name| {
                    let text = message.payload_text(name).map(Cow::into_owned);
                    text.or_else(|| message.payload_member(name).map(compact)).unwrap_or_default()
                };
                note(&format!("notification: {} {}", text("title"), text("body")));
            }
            // A message of an unknown type, or an event that cannot be parsed. No other code prints it.
            Update::Unknown(message) => note(&format!("unknown message: {}", compact(message.as_str()))),
            Update::Invalid(error) => note(&format!("the server sent an invalid message: {error}")),
            _ => {}
        }
        Ok(())
    }

    fn received(&mut self, event: &Event<'_>) {
        self.silence.received(event.profile_id().as_deref());
    }

    /// Reports what is strange although nothing failed.
    fn check(&mut self) {
        let now = Instant::now();
        if !self.was_ready {
            return;
        }
        let status = self.client.status();
        if let Some(text) = self.silence.text(now, &status.active) {
            note(&text);
        }
        // Over socket.io, a join brings every event of a profile.
        if self.dialect == Dialect::Document
            && let Some(text) = self.silence.unrequested(now, status.counters.filtered)
        {
            note(&text);
        }
    }

    fn closed(&self, cause: CloseCause) -> End {
        match cause {
            CloseCause::Lost(reason) => self.disconnected().unwrap_or_else(|| End::Unreachable(reason.to_string())),
            CloseCause::Application => End::Unreachable("the client was closed".to_owned()),
        }
    }

    /// The result when the time limit has passed.
    fn time_limit_reached(&self) -> Result<(), End> {
        if self.was_ready {
            return Ok(());
        }
        let disconnected = self.disconnected();
        Err(disconnected.unwrap_or_else(|| End::TimedOut("the server did not answer in time".to_owned())))
    }

    fn disconnected(&self) -> Option<End> {
        self.client.status().last_disconnect.as_ref().map(End::disconnected)
    }

    fn why(&self, reason: DisconnectReason) -> String {
        self.client.status().last_disconnect.as_ref().map_or_else(|| reason.to_string(), why_lost)
    }
}

fn why_refused<'r>(refusal: &'r Refusal<'_>) -> Cow<'r, str> {
    match refusal {
        Refusal::Server { error, .. } => Cow::Borrowed(error),
        Refusal::SetsUnsupported | Refusal::Displaced => {
            Cow::Borrowed("the server supports one profile per connection; start one `listen` for each profile")
        }
    }
}
