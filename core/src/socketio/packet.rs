//! The packets of Engine.IO 4 and Socket.IO 5 as text messages.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::{MAX_ATTACHMENTS, MAX_NAMESPACE, SocketIoError};

/// An Engine.IO packet: one text message (Engine.IO protocol 4, Packet encoding).
///
/// ```
/// use multiwa_ws_core::socketio::{Engine, Kind, Packet};
///
/// let engine = Engine::parse(r#"42/ws,7["join",{"profileId":"p"}]"#)?;
/// let packet = Packet { kind: Kind::Event, attachments: 0, namespace: "/ws", id: Some(7), json: r#"["join",{"profileId":"p"}]"# };
/// assert_eq!(engine, Engine::Message(packet));
/// assert_eq!(engine.encode(), r#"42/ws,7["join",{"profileId":"p"}]"#);
/// # Ok::<(), multiwa_ws_core::socketio::SocketIoError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine<'t> {
    /// `0`: the first packet of the server, with its JSON.
    Open(&'t str),
    /// `1`: the sender closes the connection.
    Close,
    /// `2`: the server asks for a pong. The text is empty.
    Ping(&'t str),
    /// `3`: the answer of the client, with the text of the ping.
    Pong(&'t str),
    /// `4`: a Socket.IO packet.
    Message(Packet<'t>),
    /// `5`: a change of the transport is complete.
    Upgrade,
    /// `6`: no meaning.
    Noop,
}

/// The type of a Socket.IO packet (Socket.IO protocol 5, Packet types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `0`: connects to a namespace, or says that it is connected.
    Connect,
    /// `1`: ends the connection to a namespace.
    Disconnect,
    /// `2`: an event.
    Event,
    /// `3`: acknowledges an event.
    Ack,
    /// `4`: refuses a connection to a namespace.
    ConnectError,
    /// `5`: an event with attachments.
    BinaryEvent,
    /// `6`: acknowledges an event, with attachments.
    BinaryAck,
}

/// A Socket.IO packet. It borrows from the message that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'t> {
    /// The type.
    pub kind: Kind,
    /// The number of binary messages that follow; only the two binary types have any.
    pub attachments: u32,
    /// The namespace; `/` when the packet names none.
    pub namespace: &'t str,
    /// The acknowledgement id.
    pub id: Option<u64>,
    /// The payload as JSON, which is not checked; empty when there is none.
    pub json: &'t str,
}

impl<'t> Engine<'t> {
    /// Reads a text message. The payload of a Socket.IO packet is not checked.
    ///
    /// # Errors
    /// The rule that `text` breaks.
    pub fn parse(text: &'t str) -> Result<Self, SocketIoError> {
        let (kind, rest) = split_type(text).ok_or(SocketIoError::EmptyPacket)?;
        match kind {
            b'0' => Ok(Self::Open(rest)),
            b'1' if rest.is_empty() => Ok(Self::Close),
            b'2' => Ok(Self::Ping(rest)),
            b'3' => Ok(Self::Pong(rest)),
            b'4' => Packet::parse(rest).map(Self::Message),
            b'5' if rest.is_empty() => Ok(Self::Upgrade),
            b'6' if rest.is_empty() => Ok(Self::Noop),
            _ => Err(SocketIoError::EngineType),
        }
    }

    /// Writes the packet as a text message.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Open(json) => format!("0{json}"),
            Self::Close => "1".into(),
            Self::Ping(text) => format!("2{text}"),
            Self::Pong(text) => format!("3{text}"),
            Self::Message(packet) => format!("4{packet}"),
            Self::Upgrade => "5".into(),
            Self::Noop => "6".into(),
        }
    }
}

impl Kind {
    /// Whether attachments belong to a packet of this type.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    const fn digit(self) -> char {
        match self {
            Self::Connect => '0',
            Self::Disconnect => '1',
            Self::Event => '2',
            Self::Ack => '3',
            Self::ConnectError => '4',
            Self::BinaryEvent => '5',
            Self::BinaryAck => '6',
        }
    }

    const fn of(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }
}

impl<'t> Packet<'t> {
    /// Reads `type [count "-"] [namespace ","] [ack-id] [json]`.
    fn parse(text: &'t str) -> Result<Self, SocketIoError> {
        let (digit, mut rest) = split_type(text).ok_or(SocketIoError::EmptyPacket)?;
        let kind = Kind::of(digit).ok_or(SocketIoError::PacketType)?;
        let mut attachments = 0;
        if kind.is_binary() {
            let (number, behind) = split_number(rest);
            rest = behind.strip_prefix('-').ok_or(SocketIoError::AttachmentCount)?;
            attachments = match number {
                Some(Some(count)) if count <= u64::from(MAX_ATTACHMENTS) => u32::try_from(count).unwrap_or_default(),
                _ => return Err(SocketIoError::AttachmentCount),
            };
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            // Only the longest namespace and its comma are searched.
            let end = rest.bytes().take(MAX_NAMESPACE + 1).position(|byte| byte == b',');
            (namespace, rest) = end.and_then(|end| rest.split_at_checked(end)).ok_or(SocketIoError::Namespace)?;
            rest = rest.get(1..).unwrap_or_default();
        }
        let (number, json) = split_number(rest);
        let id = match number {
            None => None,
            Some(Some(id)) => Some(id),
            Some(None) => return Err(SocketIoError::AckId),
        };
        Ok(Self { kind, attachments, namespace, id, json })
    }
}

/// The packet without the `4` of Engine.IO.
impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.digit())?;
        if self.kind.is_binary() {
            write!(f, "{}-", self.attachments)?;
        }
        // The root is named only where the payload would be read as a namespace.
        if self.namespace != "/" || self.json.starts_with('/') {
            write!(f, "{},", self.namespace)?;
        }
        if let Some(id) = self.id {
            write!(f, "{id}")?;
        }
        f.write_str(self.json)
    }
}

fn split_type(text: &str) -> Option<(u8, &str)> {
    let mut rest = text.chars();
    let first = rest.next()?;
    Some((u8::try_from(first).unwrap_or_default(), rest.as_str()))
}

/// The number at the start of `text`, if there is one, and the rest. `Some(None)` is a number that is too large.
fn split_number(text: &str) -> (Option<Option<u64>>, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.split_at_checked(digits) {
        Some((number, rest)) if !number.is_empty() => (Some(number.parse().ok()), rest),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Result<Packet<'_>, SocketIoError> {
        match Engine::parse(text)? {
            Engine::Message(packet) => Ok(packet),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_packet_of_the_page_is_read_and_written() {
        let packet = |kind, json| Packet { kind, attachments: 0, namespace: "/ws", id: None, json };
        for (text, engine) in [
            (r#"0{"sid":"s"}"#, Engine::Open(r#"{"sid":"s"}"#)),
            ("1", Engine::Close),
            ("2", Engine::Ping("")),
            ("2probe", Engine::Ping("probe")),
            ("3", Engine::Pong("")),
            ("5", Engine::Upgrade),
            ("6", Engine::Noop),
            (r#"40/ws,{"apiKey":"k"}"#, Engine::Message(packet(Kind::Connect, r#"{"apiKey":"k"}"#))),
            ("41/ws,", Engine::Message(packet(Kind::Disconnect, ""))),
            (r#"44/ws,{"message":"m"}"#, Engine::Message(packet(Kind::ConnectError, r#"{"message":"m"}"#))),
            (r#"42/ws,["a",1]"#, Engine::Message(packet(Kind::Event, r#"["a",1]"#))),
            ("43/ws,12[]", Engine::Message(Packet { id: Some(12), ..packet(Kind::Ack, "[]") })),
            (r#"42["a"]"#, Engine::Message(Packet { namespace: "/", ..packet(Kind::Event, r#"["a"]"#) })),
            ("452-/ws,0[]", Engine::Message(Packet { attachments: 2, id: Some(0), ..packet(Kind::BinaryEvent, "[]") })),
            ("460-/ws,[]", Engine::Message(packet(Kind::BinaryAck, "[]"))),
        ] {
            assert_eq!(Engine::parse(text), Ok(engine));
            assert_eq!(engine.encode(), text);
        }
    }

    #[test]
    fn sec_ap_10_each_broken_rule_of_a_packet_has_its_error() {
        let long = format!("42/{},[]", "n".repeat(MAX_NAMESPACE));
        for (text, error) in [
            ("", SocketIoError::EmptyPacket),
            ("4", SocketIoError::EmptyPacket),
            ("7", SocketIoError::EngineType),
            ("b64", SocketIoError::EngineType),
            ("1x", SocketIoError::EngineType),
            ("6x", SocketIoError::EngineType),
            ("\u{131}", SocketIoError::EngineType),
            ("\u{fffd}", SocketIoError::EngineType),
            ("47", SocketIoError::PacketType),
            ("4[]", SocketIoError::PacketType),
            ("4é", SocketIoError::PacketType),
            ("45[]", SocketIoError::AttachmentCount),
            ("45-[]", SocketIoError::AttachmentCount),
            ("451[]", SocketIoError::AttachmentCount),
            ("45/ws,1-[]", SocketIoError::AttachmentCount),
            ("45-1-[]", SocketIoError::AttachmentCount),
            ("451.5-[]", SocketIoError::AttachmentCount),
            ("4611-[]", SocketIoError::AttachmentCount),
            ("454294967297-[]", SocketIoError::AttachmentCount),
            ("4599999999999999999999-[]", SocketIoError::AttachmentCount),
            ("42/ws[]", SocketIoError::Namespace),
            ("41/ws", SocketIoError::Namespace),
            (&long, SocketIoError::Namespace),
            ("42/ws,18446744073709551616[]", SocketIoError::AckId),
        ] {
            assert_eq!(Engine::parse(text), Err(error), "{text}");
        }
        let longest = format!("42/{},[]", "n".repeat(MAX_NAMESPACE - 1));
        assert_eq!(message(&longest).map(|packet| packet.namespace.len()), Ok(MAX_NAMESPACE));
        assert_eq!(message("4510-[]").map(|packet| packet.attachments), Ok(MAX_ATTACHMENTS));
        assert_eq!(message("42/ws,18446744073709551615[]").map(|packet| packet.id), Ok(Some(u64::MAX)));
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        (b'0'..=b'6').prop_map(|digit| Kind::of(digit).unwrap())
    }

    proptest! {
        #[test]
        fn a_packet_that_was_written_is_read_back(
            kind in kinds(),
            count in 0..=MAX_ATTACHMENTS,
            namespace in "/[a-z]{0,20}",
            id in any::<Option<u64>>(),
            json in r#"|\[.{0,20}\]|\{.{0,20}\}|"\PC{0,5}""#,
        ) {
            let attachments = if kind.is_binary() { count } else { 0 };
            let packet = Packet { kind, attachments, namespace: &namespace, id, json: &json };
            let text = Engine::Message(packet).encode();
            prop_assert_eq!(Engine::parse(&text), Ok(Engine::Message(packet)));
        }

        #[test]
        fn whatever_is_read_is_read_the_same_after_it_was_written(text in r"[0-6]?[0-6]?[0-9]{0,3}-?(/[a-z]{0,3},?)?\PC{0,8}") {
            if let Ok(engine) = Engine::parse(&text) {
                let written = engine.encode();
                prop_assert_eq!(Engine::parse(&written), Ok(engine));
            }
        }
    }
}
