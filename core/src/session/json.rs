//! JSON as text: checked values, and a writer for objects.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use serde::de::Deserialize;
use serde::ser::Serialize;

use super::scanner::{JsonError, Scanner, skip_plain};

/// The default limit of nesting in a message (`protocol.md`, Limits of the server by default).
pub const DEFAULT_MAX_DEPTH: u8 = 64;

/// How many levels the data of an event is below the root of a message: it is inside the payload, which is inside the
/// envelope.
const LEVELS_ABOVE_DATA: u8 = 2;

/// One JSON value, checked and kept as its original text.
///
/// It is built by [`RawJson::parse`] or [`RawJson::from_serialize`], so that only valid JSON is inserted into a
/// message. Its limit of nesting is two levels below that of a message by default, because an event puts it two levels
/// down.
///
/// ```
/// use multiwa_ws_core::session::RawJson;
///
/// let data = RawJson::parse(r#"{ "qr": "2@abc" }"#)?;
/// assert_eq!(data.as_str(), r#"{ "qr": "2@abc" }"#);
/// assert!(RawJson::parse("{qr}").is_err());
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson<'t>(Cow<'t, str>);

/// A value that can be the data of an event: anything that implements [`Serialize`], or a [`RawJson`], which is used
/// unchanged.
///
/// ```
/// use multiwa_ws_core::session::{RawJson, ToJson};
/// use std::collections::BTreeMap;
///
/// assert_eq!(BTreeMap::from([("status", "connected")]).to_json()?.as_str(), r#"{"status":"connected"}"#);
/// assert_eq!(RawJson::parse("[1, 2]")?.to_json()?.as_str(), "[1, 2]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ToJson {
    /// The value as JSON.
    ///
    /// # Errors
    /// Those of [`RawJson::from_serialize`].
    fn to_json(&self) -> Result<RawJson<'_>, serde_json::Error>;
}

impl<T: Serialize + ?Sized> ToJson for T {
    fn to_json(&self) -> Result<RawJson<'_>, serde_json::Error> {
        RawJson::from_serialize(self)
    }
}

impl ToJson for RawJson<'_> {
    fn to_json(&self) -> Result<RawJson<'_>, serde_json::Error> {
        Ok(RawJson(Cow::Borrowed(&self.0)))
    }
}

impl<'t> RawJson<'t> {
    /// Checks `text` and keeps it without the white space around it.
    ///
    /// # Errors
    /// When `text` is not exactly one JSON value, or is nested too deeply.
    pub fn parse(text: &'t str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text, DEFAULT_MAX_DEPTH - LEVELS_ABOVE_DATA);
        let value = scanner.value()?;
        scanner.finish()?;
        Ok(Self(Cow::Borrowed(value.raw(text))))
    }

    /// Serializes `value`.
    ///
    /// # Errors
    /// When `value` cannot be serialized, for example a map whose keys are not strings, or when it is nested too
    /// deeply.
    pub fn from_serialize(value: &(impl Serialize + ?Sized)) -> Result<RawJson<'static>, serde_json::Error> {
        let text = serde_json::to_string(value)?;
        RawJson::parse(&text).map_err(serde::ser::Error::custom)?;
        Ok(RawJson(Cow::Owned(text)))
    }

    /// The value as its original text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Deserializes the value into a type of the application.
    ///
    /// # Errors
    /// When the value does not fit that type.
    pub fn deserialize<'d, T: Deserialize<'d>>(&'d self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The same value with an owned text.
    #[must_use]
    pub fn into_owned(self) -> RawJson<'static> {
        RawJson(Cow::Owned(self.0.into_owned()))
    }

    /// Wraps a slice that a [`Scanner`] returned.
    pub(crate) const fn from_scanned(raw: &'t str) -> Self {
        Self(Cow::Borrowed(raw))
    }
}

impl fmt::Display for RawJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes one JSON object member by member.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    pub(crate) fn new(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    pub(crate) fn string(&mut self, name: &str, content: &str) {
        push_string(self.key(name), content);
    }

    /// Writes a member whose value is already JSON.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        /// The text after a long value is short. Reserving room for it avoids one more reallocation, to twice the
        /// capacity.
        const AFTER: usize = 128;

        let out = self.key(name);
        if json.len() > 8 * AFTER {
            out.reserve(json.len() + AFTER);
        }
        out.push_str(json);
    }

    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut inner = ObjectWriter::new(self.key(name));
        write(&mut inner);
        inner.end();
    }

    pub(crate) fn strings<'s>(&mut self, name: &str, contents: impl Iterator<Item = &'s str>) {
        let out = self.key(name);
        out.push('[');
        for (index, content) in contents.enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_string(out, content);
        }
        out.push(']');
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }

    fn key(&mut self, name: &str) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        push_string(self.out, name);
        self.out.push(':');
        self.out
    }
}

fn push_string(out: &mut String, content: &str) {
    if skip_plain(content.as_bytes()).is_empty() {
        out.push('"');
        out.push_str(content);
        out.push('"');
    } else if let Ok(quoted) = serde_json::to_string(content) {
        out.push_str(&quoted);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_json_writes_it(content in any::<String>()) {
            let mut written = String::new();
            push_string(&mut written, &content);
            prop_assert_eq!(written, serde_json::to_string(&content).unwrap());
        }
    }

    #[test]
    fn depth_of_event_data_leaves_room_for_its_envelope() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(RawJson::parse(&nested(62)).is_ok());
        assert_eq!(RawJson::parse(&nested(63)), Err(JsonError::TooDeep { at: 62, limit: 62 }));
        let value = |levels: usize| (1..levels).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
        assert!(RawJson::from_serialize(&value(62)).is_ok());
        assert!(RawJson::from_serialize(&value(63)).is_err());
    }

    #[test]
    fn raw_json_goes_in_and_out_of_serde() {
        let data = RawJson::from_serialize(&("a", 1)).unwrap();
        assert_eq!(data.as_str(), "[\"a\",1]");
        assert_eq!(data.deserialize::<(&str, u8)>().unwrap(), ("a", 1));
        assert_eq!(RawJson::parse(" 1 ").unwrap().into_owned().to_string(), "1");
    }
}
