//! The input of the contestants: texts, events, and the frames that carry them.

use std::sync::Arc;

use crate::random::Random;

/// The role of the reader. Frames to a server are masked (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Server,
    Client,
}

/// The content of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// ASCII words.
    Ascii,
    /// Latin with accents, Cyrillic, Arabic, Devanagari, Chinese, Japanese, emoji, and ASCII between them.
    Mixed,
}

/// A text of exactly `len` bytes.
pub fn text(script: Script, len: usize, random: &mut Random) -> String {
    const WORDS: &[&str] = &[
        "message",
        "received",
        "order",
        "invoice",
        "tomorrow",
        "at",
        "the",
        "station",
        "thanks",
        "please",
        "call",
        "me",
        "back",
        "12:30",
        "EUR",
        "49.90",
        "street",
        "delivery",
        "confirmed",
        "picture",
    ];
    const MIXED: &[&str] = &[
        "café",
        "Grüße",
        "señor",
        "привет",
        "завтра",
        "спасибо",
        "مرحبا",
        "شكرا",
        "नमस्ते",
        "धन्यवाद",
        "你好",
        "谢谢",
        "こんにちは",
        "ありがとう",
        "👍",
        "🎉🎉",
        "👩‍👩‍👧‍👦",
        "😀",
        "ok",
        "order 12",
    ];
    let words = match script {
        Script::Ascii => WORDS,
        Script::Mixed => MIXED,
    };
    let mut text = String::with_capacity(len + 32);
    while text.len() < len {
        text.push_str(words[random.below(words.len())]);
        text.push(' ');
    }
    while text.len() > len {
        text.pop();
    }
    // Fills the gap of a character that did not fit.
    while text.len() < len {
        text.push('.');
    }
    text
}

/// The position of the members that decide about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Before the data.
    First,
    /// After the data.
    Last,
}

/// The name of every wanted event, and of every other event.
pub const EVENT: &str = "message.received";
/// The subscribed profile.
pub const WANTED: &str = "profile-123";
/// A profile that is not subscribed.
pub const UNWANTED: &str = "profile-456";

/// An event of exactly `len` bytes.
pub fn event(keys: Keys, profile: &str, len: usize, random: &mut Random) -> String {
    let write = |body: &str| {
        let data = format!(
            r#"{{"id":"3EB0{:08X}","from":"49151{:08}@c.us","body":"{body}","type":"chat","timestamp":"2026-02-05T10:00:00.000Z","hasMedia":false}}"#,
            0x5EED_u32, 12_345_678
        );
        let at = "2026-02-05T10:00:00.123Z";
        match keys {
            Keys::First => format!(
                r#"{{"type":"event","payload":{{"event":"{EVENT}","profileId":"{profile}","data":{data},"timestamp":"{at}"}}}}"#
            ),
            Keys::Last => format!(
                r#"{{"payload":{{"timestamp":"{at}","data":{data},"profileId":"{profile}","event":"{EVENT}"}},"type":"event"}}"#
            ),
        }
    };
    let body = text(Script::Ascii, len - write("").len(), random);
    write(&body)
}

/// `count` events of exactly `len` bytes, as a gateway sends them one after the other. The parts that identify an event
/// differ, and the rest repeats.
pub fn stream(count: usize, len: usize, random: &mut Random) -> Vec<String> {
    const EVENTS: [&str; 4] = ["message.received", "message.sent", "message.ack", "message.reaction"];
    (0..count)
        .map(|index| {
            let event = EVENTS[random.below(EVENTS.len())];
            let profile = random.below(8);
            let id = random.draw();
            let from = 49_151_000_000_000 + random.below(100_000_000);
            let (minute, second, millis) = (index / 60 % 60, index % 60, random.below(1000));
            let write = |body: &str| {
                format!(
                    r#"{{"type":"event","payload":{{"event":"{event}","profileId":"profile-{profile}","data":{{"id":"{id:016X}","from":"{from}@c.us","body":"{body}","type":"chat"}},"timestamp":"2026-02-05T10:{minute:02}:{second:02}.{millis:03}Z"}}}}"#
                )
            };
            let body = text(Script::Ascii, len - write("").len(), random);
            write(&body)
        })
        .collect()
}

/// The bytes of one direction of a connection, a whole number of text messages, each in one frame.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    pub bytes: Arc<[u8]>,
    pub messages: usize,
}

impl Wire {
    /// Frames `texts` for `reader`.
    pub fn new(reader: Reader, texts: &[String], random: &mut Random) -> Self {
        let mut bytes = Vec::new();
        for text in texts {
            let key = match reader {
                Reader::Server => Some(random.masking_key()),
                Reader::Client => None,
            };
            frame(&mut bytes, true, 0x1, key, text.as_bytes());
        }
        Self { bytes: bytes.into(), messages: texts.len() }
    }

    /// Some 200 KiB of messages of `len` bytes, at least four.
    pub fn of_texts(reader: Reader, script: Script, len: usize) -> Self {
        let mut random = Random::new(len as u64);
        let texts: Vec<_> = (0..messages(len)).map(|_| text(script, len, &mut random)).collect();
        Self::new(reader, &texts, &mut random)
    }

    /// Some 200 KiB of events of `len` bytes to a client. Every second event is wanted.
    pub fn of_events(keys: Keys, len: usize) -> Self {
        let profiles = [WANTED, UNWANTED].into_iter().cycle();
        Self::of_profiles(keys, profiles, len)
    }

    /// Some 200 KiB of events of `len` bytes to a client, all of them wanted.
    pub fn of_wanted_events(keys: Keys, len: usize) -> Self {
        Self::of_profiles(keys, std::iter::repeat(WANTED), len)
    }

    fn of_profiles(keys: Keys, profiles: impl Iterator<Item = &'static str>, len: usize) -> Self {
        let mut random = Random::new(len as u64);
        let events: Vec<_> =
            profiles.take(messages(len)).map(|profile| event(keys, profile, len, &mut random)).collect();
        Self::new(Reader::Client, &events, &mut random)
    }
}

/// More than three reads of 64 KiB, so that each read of a pass except for the last ends inside a message, as on a
/// socket.
fn messages(len: usize) -> usize {
    ((200 << 10) / (len + 8)).max(4) & !1
}

/// Appends one frame (RFC 6455 section 5.2).
pub fn frame(bytes: &mut Vec<u8>, fin: bool, opcode: u8, key: Option<[u8; 4]>, payload: &[u8]) {
    bytes.push(if fin { 0x80 } else { 0 } | opcode);
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => bytes.push(mask_bit | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&key.unwrap_or_default()[..if key.is_some() { 4 } else { 0 }]);
    match key {
        Some(key) => bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key)),
        None => bytes.extend_from_slice(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_events_have_the_length_that_was_asked_for() {
        let mut random = Random::new(1);
        for len in [300, 301, 302, 303, 4096] {
            assert_eq!(text(Script::Ascii, len, &mut random).len(), len);
            assert_eq!(text(Script::Mixed, len, &mut random).len(), len);
            for keys in [Keys::First, Keys::Last] {
                assert_eq!(event(keys, WANTED, len, &mut random).len(), len);
            }
            assert!(stream(9, len, &mut random).iter().all(|event| event.len() == len));
        }
    }
}
