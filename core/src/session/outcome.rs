//! How a request ended (`protocol.md`, Client lifecycle).

use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

use super::scanner::Kind;
use super::spans::member;

/// How a request ended. Each request ends exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome<'t> {
    /// The server performed the request.
    Acknowledged {
        /// The time from writing the request to its answer. For a `ping`, this is the round-trip time.
        after: Duration,
    },
    /// The request was refused and changed nothing.
    Refused(Refusal<'t>),
    /// No answer came in time. A subscription stays desired, and becomes active if its answer comes late.
    TimedOut,
    /// The connection ended before the answer came. A subscription stays desired, and the client requests it again.
    ConnectionLost,
}

impl RequestOutcome<'_> {
    pub(crate) fn into_kept(self) -> RequestOutcome<'static> {
        match self {
            Self::Acknowledged { after } => RequestOutcome::Acknowledged { after },
            Self::Refused(refusal) => RequestOutcome::Refused(refusal.into_kept()),
            Self::TimedOut => RequestOutcome::TimedOut,
            Self::ConnectionLost => RequestOutcome::ConnectionLost,
        }
    }
}

/// Who refused a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'t> {
    /// The server answered with an `error`.
    Server {
        /// Text for a person. If the server sent another JSON value in its place, this is the raw JSON. A refusal that
        /// is kept after its message holds the first 1,024 bytes of it.
        error: Cow<'t, str>,
        /// A stable code for programs, if the server sends one.
        code: Option<Cow<'t, str>>,
    },
    /// The server does not support subscription sets, and this subscription would have displaced that of another
    /// profile. The client sent nothing.
    SetsUnsupported,
    /// The server does not support subscription sets, and a later profile displaced this one, as the application
    /// configured.
    Displaced,
}

/// How many bytes of each text of a refusal are kept after its message is dropped.
const KEPT_TEXT: usize = 1_024;

impl<'t> Refusal<'t> {
    /// Reads the payload of an `error`.
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

/// Returns the `error` and the `code`. A value that is not a string is returned as raw JSON. Without an `error`, the
/// whole payload is returned in its place.
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
