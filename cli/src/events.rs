//! Events on standard input: one JSON object per line.

use multiwa_ws_core::session::{JsonError, RawJson};
use multiwa_ws_tokio::{PublishError, Publisher};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::output::note;

/// Larger than the default message limit of a server, so that every event that can be received can also be published.
const MAX_LINE_BYTES: usize = 2 << 20;

/// Publishes each line until the input ends. An invalid line is reported with its number, and the next lines are still
/// published.
pub(crate) async fn publish_lines(input: impl AsyncBufRead + Unpin, publisher: &Publisher) {
    let mut lines = Lines { input, line: Vec::new() };
    for number in 1_u64.. {
        let result = match lines.next().await {
            Ok(Next::End) => return,
            Ok(Next::TooLong) => Err(LineError::TooLong),
            Ok(Next::Line(line)) => publish(line, publisher).await,
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

async fn publish(line: &[u8], publisher: &Publisher) -> Result<(), LineError> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let line = Line::parse(line)?;
    let (profile, data) = (line.profile_id.as_deref(), line.data()?);
    match &line.timestamp {
        Some(timestamp) => publisher.publish_at(&line.event, profile, &data, timestamp).await?,
        None => publisher.publish(&line.event, profile, &data).await?,
    };
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
    /// The current time if it is absent.
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
        serde_json::from_slice(line).map_err(|error| LineError::new(&error))
    }

    fn data(&self) -> Result<RawJson<'_>, LineError> {
        Ok(RawJson::parse(self.data.get())?)
    }
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
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
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
        if self.line.len() <= MAX_LINE_BYTES {
            return Ok(Next::Line(&self.line));
        }
        while self.line.last() != Some(&b'\n') && self.read_on().await? {}
        Ok(Next::TooLong)
    }

    /// Reads up to the end of the line or up to the limit. Returns whether there was any input.
    async fn read_on(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        Ok((&mut self.input).take(limit).read_until(b'\n', &mut self.line).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line, String> {
        let line = Line::parse(line.as_bytes()).map_err(|error| error.to_string())?;
        line.data().map_err(|error| error.to_string())?;
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
        let line = parse(r#"{"profileId":null,"event":"e","data":null,"timestamp":"t"}"#).unwrap();
        assert_eq!((line.profile_id, line.timestamp.as_deref()), (None, Some("t")));
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
        let exact = "x".repeat(MAX_LINE_BYTES - 1);
        let text = format!("{exact}\n{exact}xx\n{exact}{exact}{exact}\nlast");
        let mut lines = Lines { input: text.as_bytes(), line: Vec::new() };
        assert!(matches!(lines.next().await.unwrap(), Next::Line(line) if line.len() == MAX_LINE_BYTES));
        assert!(matches!(lines.next().await.unwrap(), Next::TooLong));
        assert!(matches!(lines.next().await.unwrap(), Next::TooLong));
        assert!(matches!(lines.next().await.unwrap(), Next::Line(b"last")));
        assert!(matches!(lines.next().await.unwrap(), Next::End));
    }
}
