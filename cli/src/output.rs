//! The output of the program: data on standard output, everything else on standard error.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, Zoned};
use multiwa_ws_core::session::{Event, EventView};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncWriteExt, Stdout, stdout};

use crate::text::{compact, printable, printable_json};

/// Prints a message on standard error. Text from the network is escaped, so it stays on one line.
pub(crate) fn note(text: &str) {
    // A failure cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// Standard output. Each method writes one line and waits until it is written.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: Stdout,
    format: Format,
}

/// How events are written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Plain,
    Colored,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        // Colored only on a terminal, and not if `NO_COLOR` is set.
        let format = match AutoStream::choice(&io::stdout()) {
            _ if json => Format::Json,
            ColorChoice::Never => Format::Plain,
            _ => Format::Colored,
        };
        Self { stdout: stdout(), format }
    }

    pub(crate) async fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let line = match self.format {
            Format::Json => json_line(event, Timestamp::now())?,
            Format::Plain => readable_line(event, &Zoned::now(), &Palette::default()),
            Format::Colored => readable_line(event, &Zoned::now(), &Palette::COLORED),
        };
        self.line(line).await
    }

    pub(crate) async fn line(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        self.stdout.write_all(line.as_bytes()).await?;
        self.stdout.flush().await
    }
}

/// An event as one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'e> {
    received_at: String,
    event: &'e str,
    /// `null` when the event concerns every profile.
    profile_id: Option<&'e str>,
    data: Option<Box<RawValue>>,
    /// Any JSON value.
    timestamp: Option<Box<RawValue>>,
}

fn json_line(event: &Event<'_>, now: Timestamp) -> serde_json::Result<String> {
    let as_it_came = |json: Option<&str>| json.map(|json| RawValue::from_string(compact(json))).transpose();
    let line = serde_json::to_string(&Record {
        received_at: format!("{now:.3}"),
        event: &event.name(),
        profile_id: event.profile_id().as_deref(),
        data: as_it_came(event.data())?,
        timestamp: as_it_came(event.raw_timestamp())?,
    })?;
    Ok(printable_json(&line).into_owned())
}

#[derive(Default)]
struct Palette {
    dim: Style,
    profile: Style,
    name: Style,
}

impl Palette {
    const COLORED: Self =
        Self { dim: Style::new().dimmed(), profile: AnsiColor::Cyan.on_default(), name: AnsiColor::Green.on_default() };
}

fn readable_line(event: &Event<'_>, now: &Zoned, palette: &Palette) -> String {
    let Palette { dim, profile, name } = palette;
    let profile_id = event.profile_id();
    let time = now.strftime("%H:%M:%S");
    let profile_id = printable(profile_id.as_deref().unwrap_or("(every profile)"));
    let event_name = event.name();
    let event_name = printable(&event_name);
    let what = what_happened(event);
    let what = printable(&what);
    format!("{dim}{time}{dim:#} {profile}{profile_id}{profile:#} {name}{event_name}{name:#} {what}")
}

fn what_happened(event: &Event<'_>) -> String {
    match event.view() {
        Ok(EventView::MessageReceived(message)) => {
            let media = if message.has_media { " [media]" } else { "" };
            format!("{}: {}{media}", message.from, message.body)
        }
        Ok(EventView::SessionStatus(status)) => match status.phone {
            Some(phone) => format!("{} ({phone})", status.status),
            None => status.status.into_owned(),
        },
        Ok(EventView::QrUpdated(code)) => code.qr.into_owned(),
        Ok(EventView::MessageAck(ack)) => format!("{} {}", ack.message_id, ack.status),
        // An event without a view, or without the members of its view, is printed unchanged.
        Ok(_) | Err(_) => event.data().map(compact).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use multiwa_ws_core::session::Envelope;

    use super::*;

    fn event(payload: &str) -> Event<'static> {
        let text = format!(r#"{{"type":"event","payload":{payload}}}"#);
        Envelope::parse(&text, 64).unwrap().into_owned().into_event().unwrap()
    }

    fn readable(payload: &str) -> String {
        let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        readable_line(&event(payload), &now, &Palette::default())
    }

    #[test]
    fn each_kind_of_event_is_readable() {
        let cases = [
            (
                r#"{"event":"message.received","profileId":"p","data":{"id":"1","from":"+1","body":"hi","type":"chat","timestamp":"t","hasMedia":true}}"#,
                "00:00:00 p message.received +1: hi [media]",
            ),
            (
                r#"{"event":"session.status","profileId":"p","data":{"status":"connected","phone":"+1"}}"#,
                "00:00:00 p session.status connected (+1)",
            ),
            (r#"{"event":"qr.updated","profileId":"p","data":{"qr":"2@x"}}"#, "00:00:00 p qr.updated 2@x"),
            (
                r#"{"event":"message.ack","profileId":"p","data":{"messageId":"1","status":"read","ack":3}}"#,
                "00:00:00 p message.ack 1 read",
            ),
            (r#"{"event":"other","data":{"a": 1}}"#, r#"00:00:00 (every profile) other {"a":1}"#),
            (r#"{"event":"qr.updated","profileId":"p","data":{}}"#, "00:00:00 p qr.updated {}"),
        ];
        for (payload, line) in cases {
            assert_eq!(readable(payload), line);
        }
    }

    #[test]
    fn sec_ap_09_every_text_of_an_event_is_escaped() {
        let line = readable(
            r#"{"event":"message.received","profileId":"p\u001b","data":{"id":"1","from":"\u001b[1m","body":"a\nb\u009b","type":"chat","timestamp":"t","hasMedia":false}}"#,
        );
        assert_eq!(line, r"00:00:00 p\u{1b} message.received \u{1b}[1m: a\nb\u{9b}");
        assert_eq!(readable(r#"{"event":"e\u001b","data":"\u001b"}"#), r#"00:00:00 (every profile) e\u{1b} "\u001b""#);
        assert_eq!(readable("{\"event\":\"e\",\"data\":\"\u{9b}\"}"), "00:00:00 (every profile) e \"\\u{9b}\"");
    }

    #[test]
    fn on_a_terminal_the_colors_are_ours_alone() {
        let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let event = event(r#"{"event":"qr.updated","profileId":"\u001b[31m","data":{"qr":"\u001b[31m"}}"#);
        let line = readable_line(&event, &now, &Palette::COLORED);
        assert!(line.starts_with("\u{1b}[2m00:00:00\u{1b}[0m \u{1b}["), "{line:?}");
        assert!(!line.contains("\u{1b}[31m"), "{line:?}");
    }

    #[test]
    fn f_25_a_json_line_has_a_timestamp_that_is_no_string_as_it_came() {
        let line = |timestamp: &str| {
            let payload = format!(r#"{{"event":"e","data":1,"timestamp":{timestamp}}}"#);
            json_line(&event(&payload), Timestamp::UNIX_EPOCH).unwrap()
        };
        assert!(line("1760000000.500").ends_with(r#""timestamp":1760000000.500}"#));
        assert!(line("{ \"a\" : [1 ] }").ends_with(r#""timestamp":{"a":[1]}}"#));
        assert!(line("null").ends_with(r#""timestamp":null}"#));
    }

    #[test]
    fn a_json_line_has_every_member_and_the_data_as_it_came() {
        let line =
            json_line(&event("{\"event\":\"e\",\"data\":{\"n\":1.50,\n\"n\":\"\u{9b}\"}}"), Timestamp::UNIX_EPOCH)
                .unwrap();
        assert_eq!(
            line,
            r#"{"receivedAt":"1970-01-01T00:00:00.000Z","event":"e","profileId":null,"data":{"n":1.50,"n":"\u009b"},"timestamp":null}"#
        );
    }
}
