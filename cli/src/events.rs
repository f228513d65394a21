//! Events on standard input: one JSON object per line.

use jiff::Timestamp;
use multiwa_ws_core::session::{JsonError, RawJson, encode_event};
use multiwa_ws_tokio::{PublishError, Publisher};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::output::note;

/// Publishes each line until the input ends. An invalid line is reported with its number, and the next lines are still
/// published. No line, and no message that is made of one, may have more than `max_len` bytes.
pub(crate) async fn publish_lines(input: impl AsyncBufRead + Unpin, publisher: &Publisher, max_len: usize) {
    let mut lines = Lines { input, line: Vec::new(), max_len };
    for number in 1_u64.. {
        let result = match lines.next().await {
            Ok(Next::End) => return,
            Ok(Next::TooLong) => Err(LineError::LineTooLong { max_len }),
            Ok(Next::Line(line)) => publish(line, publisher, max_len).await,
            Err(error) => {
                note(&format!("cannot read standard input: {error}"));
                return;
            }
        };
        if let Err(error) = result {
            note(&format!("line {number}: {error}"));
        }
    }
}

async fn publish(line: &[u8], publisher: &Publisher, max_len: usize) -> Result<(), LineError> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let Line { profile_id, event, data, timestamp } = Line::parse(line)?;
    let (profile, data) = (profile_id.as_deref(), RawJson::parse(data.get())?);
    let timestamp = timestamp.unwrap_or_else(|| format!("{:.3}", Timestamp::now()));
    // A client closes the connection when it receives a longer message, and then misses other events.
    let len = encode_event(&event, profile, &data, &timestamp).len();
    if len > max_len {
        return Err(LineError::EventTooLong { event, len, max_len });
    }
    publisher.publish_at(&event, profile, &data, &timestamp).await?;
    Ok(())
}

/// An event on a line. An unknown member is an error. If it were ignored, a misspelled member would have no effect without
/// a warning.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    /// An explicit `null` means every profile.
    #[serde(deserialize_with = "required")]
    profile_id: Option<String>,
    event: String,
    data: Box<RawValue>,
    /// RFC 3339. The current time if it is absent.
    timestamp: Option<String>,
}

impl Line {
    fn parse(line: &[u8]) -> Result<Self, LineError> {
        // Some editors add a byte order mark before the first line, and the input may consist of several files.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        // serde would also accept an array of the members.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(LineError::NoObject);
        }
        let line: Self = serde_json::from_slice(line).map_err(|error| LineError::new(&error))?;
        match &line.timestamp {
            Some(timestamp) if !is_rfc3339(timestamp) => Err(LineError::Timestamp(timestamp.clone())),
            _ => Ok(line),
        }
    }
}

/// Whether a text is a date and time of RFC 3339 section 5.6. `jiff` checks the ranges. It also accepts other forms of ISO
/// 8601, which other programs may not read.
fn is_rfc3339(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, expected)| match expected {
                b'0' => byte.is_ascii_digit(),
                _ => byte.eq_ignore_ascii_case(&expected),
            })
    };
    let Some((time, rest)) = text.split_at_checked(19) else { return false };
    let (fraction, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
    shape(time, "0000-00-00T00:00:00")
        && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits))
        && (shape(offset, "Z") || shape(offset, "+00:00") || shape(offset, "-00:00"))
        && text.parse::<Timestamp>().is_ok()
}

/// With a custom function, serde requires an optional member to be present.
fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// The reason why a line is not published.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("write an event as {{\"profileId\":\"p\",\"event\":\"message.received\",\"data\":{{}}}}")]
    NoObject,
    #[error("{what}, at column {column}")]
    Syntax { what: String, column: usize },
    #[error("the data cannot be sent: {0}")]
    Data(#[from] JsonError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the timestamp {0:?} is not RFC 3339: write it as 2026-02-05T10:00:00.000Z")]
    Timestamp(String),
    #[error("longer than {max_len} bytes: see --max-message")]
    LineTooLong { max_len: usize },
    #[error("{event} has {len} bytes with its envelope, and the limit is {max_len}: see --max-message")]
    EventTooLong { event: String, len: usize, max_len: usize },
}

impl LineError {
    /// Removes the line number: the parser gets a single line, so its number is always 1.
    fn new(error: &serde_json::Error) -> Self {
        let (what, column) = (error.to_string(), error.column());
        let position = format!(" at line {} column {column}", error.line());
        Self::Syntax { what: what.strip_suffix(&position).unwrap_or(&what).to_owned(), column }
    }
}

struct Lines<R> {
    input: R,
    line: Vec<u8>,
    max_len: usize,
}

enum Next<'l> {
    Line(&'l [u8]),
    TooLong,
    End,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    async fn next(&mut self) -> std::io::Result<Next<'_>> {
        if !self.read_on().await? {
            return Ok(Next::End);
        }
        if self.line.strip_suffix(b"\n").unwrap_or(&self.line).len() <= self.max_len {
            return Ok(Next::Line(&self.line));
        }
        while self.line.last() != Some(&b'\n') && self.read_on().await? {}
        Ok(Next::TooLong)
    }

    /// Reads up to the end of the line or up to the limit. Returns whether there was any input.
    async fn read_on(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        // One more for the line break.
        let limit = self.max_len as u64 + 1;
        Ok((&mut self.input).take(limit).read_until(b'\n', &mut self.line).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line, String> {
        let line = Line::parse(line.as_bytes()).map_err(|error| error.to_string())?;
        RawJson::parse(line.data.get()).map_err(|error| LineError::from(error).to_string())?;
        Ok(line)
    }

    #[test]
    fn a_line_has_the_members_of_an_event() {
        let line = parse(r#" {"profileId":"p","event":"e","data":{"a" : 1}} "#).unwrap();
        assert_eq!(
            (line.profile_id.as_deref(), line.event.as_str(), line.data.get()),
            (Some("p"), "e", r#"{"a" : 1}"#)
        );
        assert_eq!(line.timestamp, None);
        let line = parse(r#"{"profileId":null,"event":"e","data":null,"timestamp":"2026-02-05T10:00:00Z"}"#).unwrap();
        assert_eq!((line.profile_id, line.timestamp.as_deref()), (None, Some("2026-02-05T10:00:00Z")));
    }

    #[test]
    fn a_timestamp_is_rfc_3339() {
        let right = [
            "2026-02-05T10:00:00Z",
            "2026-02-05T10:00:00.000Z",
            "2026-02-05t10:00:00.123456789z",
            "2026-02-05T10:00:00+01:00",
            "2024-02-29T23:59:59.5-08:00",
        ];
        for text in right {
            assert!(is_rfc3339(text), "{text}");
        }
        let wrong = [
            "",
            "yesterday",
            "t",
            "1770285600",
            "2026-02-05",
            "2026-02-05T10:00:00",
            "2026-02-05T10:00Z",
            "2026-02-05 10:00:00Z",
            "20260205T100000Z",
            "2026-02-05T10:00:00,5Z",
            "2026-02-05T10:00:00.Z",
            "2026-02-05T10:00:00+01",
            "2026-02-05T10:00:00+0100",
            "2026-02-05T10:00:00Z[UTC]",
            "2026-02-30T10:00:00Z",
            "2026-02-05T25:00:00Z",
            "2026-02-05T10:00:00+99:00",
            "2026-02-05T10:00:0\u{e9}Z",
            " 2026-02-05T10:00:00Z",
        ];
        for text in wrong {
            assert!(!is_rfc3339(text), "{text}");
        }
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        let deep = format!(r#"{{"profileId":"p","event":"e","data":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        let cases = [
            (r#"["p","e",{},null]"#, "write an event as"),
            ("hello", "write an event as"),
            (r#"{"event":"e","data":{}}"#, "missing field `profileId`"),
            (r#"{"profileID":"p","event":"e","data":{}}"#, "`data`, `timestamp`, at column 12"),
            (r#"{"profileId":"p","data":{}}"#, "missing field `event`"),
            (r#"{"profileId":"p","event":"e"}"#, "missing field `data`"),
            (r#"{"profileId":"p","event":"e","data":{}"#, "EOF"),
            (r#"{"profileId":"p","event":"e","data":{}} x"#, "trailing"),
            (r#"{"profileId":"p","event":"e","data":{},"timestamp":"yesterday"}"#, "\"yesterday\" is not RFC 3339"),
            (deep.as_str(), "the data cannot be sent"),
        ];
        for (line, message) in cases {
            let error = parse(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
        assert!(matches!(Line::parse(b"{\"profileId\":\"\xff\"}"), Err(LineError::Syntax { .. })));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_and_the_next_one_read() {
        const MAX: usize = 1_000;
        let exact = "x".repeat(MAX);
        let text = format!("{exact}\n{exact}x\n{exact}{exact}{exact}\nlast");
        let mut lines = Lines { input: text.as_bytes(), line: Vec::new(), max_len: MAX };
        assert!(matches!(lines.next().await.unwrap(), Next::Line(line) if line.len() == MAX + 1));
        assert!(matches!(lines.next().await.unwrap(), Next::TooLong));
        assert!(matches!(lines.next().await.unwrap(), Next::TooLong));
        assert!(matches!(lines.next().await.unwrap(), Next::Line(b"last")));
        assert!(matches!(lines.next().await.unwrap(), Next::End));
    }
}
