//! Generated events of every kind, like those of a gateway with a few busy accounts.

use std::time::Duration;

use jiff::Timestamp;
use multiwa_ws_tokio::Publisher;
use serde_json::{Value, json};
use tokio::time::{Interval, interval};

use crate::exit::End;

/// The profiles of the generated events.
pub(crate) const PROFILES: [&str; 3] = ["profile-123", "profile-456", "profile-789"];

/// The phone numbers of the profiles.
const PHONES: [&str; 3] = ["4930901820", "62215200300", "23412700500"];

const PEOPLE: [&str; 4] = ["628123456789@c.us", "4915112345678@c.us", "2348012345678@c.us", "120363041234567890@g.us"];

const TEXTS: [&str; 6] = [
    "Hello! Is the order on its way?",
    "Terima kasih, sudah saya terima 🙏",
    "Können wir morgen um 10 Uhr telefonieren?",
    "Please send the invoice again.",
    "How far? I dey wait for you.",
    "Photo from the site",
];

/// Generates events one after the other. The data of each has its number: `sequence`, from 0.
#[derive(Debug, Default)]
pub(crate) struct Generator {
    sequence: u64,
}

/// A generated event.
#[derive(Debug)]
struct MadeUp {
    name: &'static str,
    profile: &'static str,
    data: Value,
}

impl Generator {
    /// A generator that has already generated `sequence` events.
    #[cfg(test)]
    pub(crate) fn starting_at(sequence: u64) -> Self {
        Self { sequence }
    }

    /// The number of generated events.
    pub(crate) fn count(&self) -> u64 {
        self.sequence
    }

    /// Generates an event and publishes it.
    pub(crate) async fn publish(&mut self, publisher: &Publisher) -> Result<(), End> {
        let MadeUp { name, profile, data } = self.make_up();
        let published = publisher.publish(name, Some(profile), &data).await;
        published.map(|_| ()).map_err(|error| End::Failed(error.to_string()))
    }

    /// The profiles take turns. Each first links its device, then receives messages and sends some.
    fn make_up(&mut self) -> MadeUp {
        let sequence = self.sequence;
        self.sequence += 1;
        let (turn, profile) = (sequence / 3, pick(&PROFILES, sequence));
        // Each profile sends a message every four turns.
        let message = turn / 4 * 3 + sequence % 3;
        let sent = format!("true_{}_3EB0{message:08X}", pick(&PEOPLE, message));
        let (name, data) = match turn {
            0 => ("qr.updated", json!({ "qr": format!("2@{sequence:04}kXb7vQ1yTz,9cLm4PqR,aW5uZXI=") })),
            1 => ("session.status", json!({ "status": "connected", "phone": pick(&PHONES, sequence) })),
            _ => match turn % 4 {
                0 => ("message.ack", json!({ "messageId": sent, "status": "sent", "ack": 1 })),
                1 => ("message.ack", json!({ "messageId": sent, "status": "delivered", "ack": 2 })),
                3 if turn % 8 == 7 => ("message.ack", json!({ "messageId": sent, "status": "read", "ack": 3 })),
                _ => ("message.received", received(sequence)),
            },
        };
        MadeUp { name, profile, data: numbered(data, sequence) }
    }
}

fn received(sequence: u64) -> Value {
    let from = pick(&PEOPLE, sequence);
    let body = pick(&TEXTS, sequence);
    let has_media = body.starts_with("Photo");
    json!({
        "id": format!("false_{from}_3EB0{sequence:08X}"),
        "from": from,
        "body": body,
        "type": if has_media { "image" } else { "chat" },
        "timestamp": format!("{:.3}", Timestamp::now()),
        "hasMedia": has_media,
    })
}

fn numbered(mut data: Value, sequence: u64) -> Value {
    if let Value::Object(members) = &mut data {
        members.insert("sequence".to_owned(), sequence.into());
    }
    data
}

fn pick<'a>(from: &[&'a str], number: u64) -> &'a str {
    let index = usize::try_from(number % from.len() as u64).unwrap_or_default();
    from.get(index).copied().unwrap_or_default()
}

/// The number of events per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(f64);

impl Rate {
    /// More than the fastest machine can publish.
    const MAX: f64 = 1e6;

    /// One tick for each event. Missed ticks follow at once, so that the average rate is kept.
    pub(crate) fn ticks(self) -> Interval {
        interval(Duration::from_secs_f64(1.0 / self.0))
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate) if (0.001..=Self::MAX).contains(&rate) => Ok(Self(rate)),
            _ => Err("write a number of events per second, from 0.001 to 1000000".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use multiwa_ws_core::session::{Envelope, EventView, RawJson, encode_event};

    use super::*;

    #[test]
    fn every_event_reads_as_what_its_name_promises() {
        let mut generator = Generator::default();
        let mut kinds = BTreeSet::new();
        for sequence in 0..100 {
            let MadeUp { name, profile, data } = generator.make_up();
            assert_eq!(data["sequence"], sequence);
            kinds.insert((name, profile));
            let text = encode_event(name, Some(profile), &RawJson::from_serialize(&data).unwrap(), "t");
            let event = Envelope::parse(&text, 64).unwrap().into_owned().into_event().unwrap();
            assert!(!matches!(event.view(), Ok(EventView::Other) | Err(_)), "{name} {data}");
        }
        assert_eq!(generator.count(), 100);
        assert_eq!(kinds.len(), 4 * PROFILES.len());
    }

    #[test]
    fn a_rate_is_positive_and_finite() {
        for wrong in ["0", "-1", "NaN", "inf", "1e7", "fast", ""] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert_eq!("0.5".parse::<Rate>().map(|rate| rate.0), Ok(0.5));
    }
}
