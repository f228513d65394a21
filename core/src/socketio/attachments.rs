//! Binary attachments of a packet (Socket.IO protocol 5, Packet encoding).

use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use serde_json::Value;

use super::{Kind, MAX_ATTACHED_BYTES, SocketIoError};

/// The longest payload of a packet with attachments, in bytes. Its parsed form takes several times as much memory, and media
/// is in the attachments.
const MAX_HEADER: usize = 1 << 20;

/// A packet whose attachments have not all come.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) kind: Kind,
    pub(crate) id: Option<u64>,
    json: String,
    expected: usize,
    /// In base64; `None` once a placeholder has taken it.
    attachments: Vec<Option<String>>,
    len: usize,
}

impl Collected {
    pub(crate) fn new(kind: Kind, id: Option<u64>, json: &str, expected: u32) -> Result<Self, SocketIoError> {
        if json.len() > MAX_HEADER {
            return Err(SocketIoError::AttachmentsTooLong);
        }
        let expected = expected as usize;
        Ok(Self { kind, id, json: json.into(), expected, attachments: Vec::new(), len: json.len() })
    }

    /// Adds the next attachment. Returns whether it was the last one.
    pub(crate) fn add(&mut self, attachment: &[u8]) -> Result<bool, SocketIoError> {
        self.len += attachment.len();
        if self.len > MAX_ATTACHED_BYTES {
            return Err(SocketIoError::AttachmentsTooLong);
        }
        self.attachments.push(Some(BASE64.encode(attachment)));
        Ok(self.attachments.len() == self.expected)
    }

    /// The payload, with each placeholder replaced by its attachment in base64.
    pub(crate) fn into_json(mut self) -> Result<String, SocketIoError> {
        // The caller has checked the JSON, so what `serde_json` refuses here is a number out of its range.
        let mut value = serde_json::from_str(&self.json).map_err(|_| SocketIoError::Payload)?;
        self.fill(&mut value)?;
        if self.attachments.iter().any(Option::is_some) {
            // An attachment without a placeholder.
            return Err(SocketIoError::Placeholder);
        }
        serde_json::to_string(&value).map_err(|_| SocketIoError::Payload)
    }

    fn fill(&mut self, value: &mut Value) -> Result<(), SocketIoError> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill(item)),
            Value::Object(members) if members.get("_placeholder") == Some(&Value::Bool(true)) => {
                let number = members.get("num").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
                let attachment = number.and_then(|number| self.attachments.get_mut(number)?.take());
                *value = Value::String(attachment.ok_or(SocketIoError::Placeholder)?);
                Ok(())
            }
            Value::Object(members) => members.values_mut().try_for_each(|member| self.fill(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(json: &str, attachments: &[&[u8]]) -> Result<String, SocketIoError> {
        let count = u32::try_from(attachments.len()).unwrap();
        let mut collected = Collected::new(Kind::BinaryEvent, None, json, count)?;
        for (number, attachment) in (1..).zip(attachments) {
            assert_eq!(collected.add(attachment)?, number == attachments.len());
        }
        collected.into_json()
    }

    #[test]
    fn each_placeholder_becomes_its_attachment_in_base64() {
        let json = r#"["a",{"x":{"_placeholder":true,"num":1},"y":[{"_placeholder":true,"num":0}]}]"#;
        assert_eq!(filled(json, &[b"hi", b"you"]).unwrap(), r#"["a",{"x":"eW91","y":["aGk="]}]"#);
    }

    #[test]
    fn sec_ap_10_a_placeholder_out_of_range_or_missing_is_an_error() {
        for number in ["1", "-1", "1.5", "\"0\"", "18446744073709551616"] {
            let json = alloc::format!(r#"["a",{{"_placeholder":true,"num":{number}}}]"#);
            assert_eq!(filled(&json, &[b"x"]), Err(SocketIoError::Placeholder), "{number}");
        }
        assert_eq!(filled(r#"["a",{"_placeholder":true}]"#, &[b"x"]), Err(SocketIoError::Placeholder));
        assert_eq!(filled(r#"["a"]"#, &[b"x"]), Err(SocketIoError::Placeholder));
        let twice = r#"["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#;
        assert_eq!(filled(twice, &[b"x"]), Err(SocketIoError::Placeholder));
    }

    #[test]
    fn sec_ap_10_attachments_are_bounded_together() {
        let mut collected = Collected::new(Kind::BinaryEvent, None, "[]", 10).unwrap();
        let half = alloc::vec![0; MAX_ATTACHED_BYTES / 2];
        assert_eq!(collected.add(&half), Ok(false));
        assert_eq!(collected.add(&half), Err(SocketIoError::AttachmentsTooLong));
        let long = " ".repeat(MAX_HEADER + 1);
        assert!(matches!(Collected::new(Kind::BinaryEvent, None, &long, 1), Err(SocketIoError::AttachmentsTooLong)));
    }
}
