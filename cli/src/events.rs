//! Events that are written on standard input, one a line, in JSON.

use multiwa_ws_core::session::{JsonError, RawJson};
use multiwa_ws_tokio::Publisher;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::output::note;

/// More than a server takes in one message by default, so that whatever can be received can be published.
const MAX_LINE_BYTES: usize = 2 << 20;

/// Publishes each line until the input ends. What is wrong with a line is told with its number, and the rest goes on.
pub(crate) async fn publish_lines(input: impl AsyncBufRead + Unpin, publisher: &Publisher) {
    let mut lines = Lines { input, line: Vec::new() };
    for number in 1_u64.. {
        let result = match lines.next().await {
            Ok(Next::End) => return,
            Ok(Next::TooLong) => Err(LineError::TooLong),
            Ok(Next::Line(line)) => publish(line, publisher),
            Err(error) => {
                note(&format!("standard input cannot be read any more: {error}"));
                return;
            }
        };
        if let Err(error) = result {
            note(&format!("line {number}: {error}"));
        }
    }
}

fn publish(line: &[u8], publisher: &Publisher) -> Result<(), LineError> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let line = Line::parse(line)?;
    let (profile, data) = (line.profile_id.as_deref(), line.data()?);
    match &line.timestamp {
        Some(timestamp) => publisher.send_at(&line.event, profile, &data, timestamp),
        None => publisher.send(&line.event, profile, &data),
    };
    Ok(())
}

/// An event as it is written on a line. A member that is not known is a mistake: taken as absent, a misspelt `profileId`
/// would send the event to every profile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    /// An explicit `null` means every profile.
    #[serde(deserialize_with = "required")]
    profile_id: Option<String>,
    event: String,
    data: Box<RawValue>,
    /// The present if it is absent.
    timestamp: Option<String>,
}

impl Line {
    fn parse(line: &[u8]) -> Result<Self, LineError> {
        // Some editors put a byte order mark before the first line, and several files may follow each other.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        // serde would take an array of the members, too.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(LineError::NoObject);
        }
        serde_json::from_slice(line).map_err(|error| LineError::new(&error))
    }

    fn data(&self) -> Result<RawJson<'_>, LineError> {
        Ok(RawJson::parse(self.data.get())?)
    }
}

/// With a function of its own, an optional member must be there.
fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Why a line is not published.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("write an event as {{\"profileId\":\"p\",\"event\":\"message.received\",\"data\":{{}}}}")]
    NoObject,
    #[error("{what}, at column {column}")]
    Syntax { what: String, column: usize },
    #[error("the data cannot be sent: {0}")]
    Data(#[from] JsonError),
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
}

impl LineError {
    /// The parser has seen one line only, and would call it the first.
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

    /// Reads up to the end of the line, within the limit; whether there was anything.
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
