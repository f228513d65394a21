//! How a request ended (`protocol.md`, Client lifecycle).

use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

use super::envelope::member;
use super::scanner::Kind;

/// How a request ended. Each ends exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome<'t> {
    /// The server did as asked.
    Acknowledged {
        /// From when the request was written to its answer: for a `ping`, the round-trip time.
        after: Duration,
    },
    /// It was refused, and changed nothing.
    Refused(Refusal<'t>),
    /// No answer in time. A subscription stays desired, and counts should its answer come late.
    TimedOut,
    /// The connection ended before the answer. A subscription stays desired, and is asked for again.
    ConnectionLost,
}

/// Who refused a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'t> {
    /// The server answered with an `error`.
    Server {
        /// Text for a person; what is written in its place if that is no string. Where a refusal is kept, the first 1,024
        /// bytes of it.
        error: Cow<'t, str>,
        /// A stable word for a program, if the server sends one.
        code: Option<Cow<'t, str>>,
    },
    /// The server knows no subscription sets: another profile stands, and this one would have displaced it. Nothing was
    /// sent.
    SetsUnsupported,
    /// The server knows no subscription sets, and the application chose that a later profile displaces this one.
    Displaced,
}

/// How many bytes of a refusal's texts are kept beyond the message they came in.
const KEPT_TEXT: usize = 1_024;

impl<'t> Refusal<'t> {
    /// What the payload of an `error` says.
    pub(crate) fn read(payload: &'t str) -> Self {
        let (error, code) = read_error(payload);
        Self::Server { error, code }
    }

    pub(crate) fn into_kept(self) -> Refusal<'static> {
        match self {
            Self::Server { error, code } => Refusal::Server { error: keep(&error), code: code.as_deref().map(keep) },
            Self::SetsUnsupported => Refusal::SetsUnsupported,
            Self::Displaced => Refusal::Displaced,
        }
    }
}

fn keep(text: &str) -> Cow<'static, str> {
    let kept = (0..=KEPT_TEXT.min(text.len())).rev().find_map(|end| text.get(..end));
    Cow::Owned(String::from(kept.unwrap_or_default()))
}

/// What is no string is reported as it was written, and without an `error` the payload is what is known.
pub(super) fn read_error(payload: &str) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    let text = |name| {
        let (raw, value) = member(payload, name).filter(|(_, value)| value.kind() != Kind::Null)?;
        Some(value.string(payload).unwrap_or(Cow::Borrowed(raw)))
    };
    (text("error").unwrap_or(Cow::Borrowed(payload)), text("code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_25_an_error_whose_members_are_no_strings_says_what_was_written() {
        for (payload, error, code) in [
            (r#"{"error":"e","code":"c"}"#, "e", Some("c")),
            (r#"{"error":{"reason":"e"},"code":429}"#, r#"{"reason":"e"}"#, Some("429")),
            (r#"{"error":404}"#, "404", None),
            (r#"{"error":null,"code":null}"#, r#"{"error":null,"code":null}"#, None),
            (r#"{"error":"\ud800","code":"\ud800"}"#, r#""\ud800""#, Some(r#""\ud800""#)),
            (r#"{"message":"e"}"#, r#"{"message":"e"}"#, None),
            (r#""e""#, r#""e""#, None),
            ("", "", None),
        ] {
            let (error, code) = (Cow::Borrowed(error), code.map(Cow::Borrowed));
            assert_eq!(Refusal::read(payload), Refusal::Server { error, code }, "{payload}");
        }
    }
}
