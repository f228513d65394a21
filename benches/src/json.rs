//! Decides whether an event is wanted, with the JSON libraries that an application of a peer would use.

use std::borrow::Cow;
use std::hint::black_box;

use multiwa_ws_core::session::{EventNames, SubscriptionSet};
use serde::Deserialize;
use serde_json::value::RawValue;
use simd_json::prelude::ValueIntoString;
use sonic_rs::{JsonValueTrait, PointerTree};

use crate::corpus::WANTED;
use crate::ours::Look;

/// Reads the type, the event, the profile and the data of a message.
pub trait Parse: 'static {
    /// Passes the first three to `accepts`. If the event is wanted, the compiler must keep its data.
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool;

    /// The same for bytes whose UTF-8 the peer has checked.
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool;
}

/// Counts the wanted events, with the same filter as ours.
pub struct Router<P> {
    parser: P,
    subscriptions: SubscriptionSet,
    wanted: u64,
}

impl<P: Parse> Router<P> {
    pub fn new(parser: P) -> Self {
        let mut subscriptions = SubscriptionSet::default();
        subscriptions.replace(WANTED, EventNames::every());
        Self { parser, subscriptions, wanted: 0 }
    }
}

impl<P: Parse> Look for Router<P> {
    #[inline]
    fn text(&mut self, text: &str) {
        let Self { parser, subscriptions, wanted } = self;
        *wanted += u64::from(
            parser.text(text, |kind, event, profile| kind == "event" && subscriptions.matches(Some(profile), event)),
        );
    }

    #[inline]
    fn bytes(&mut self, text: &[u8]) {
        let Self { parser, subscriptions, wanted } = self;
        *wanted += u64::from(
            parser.bytes(text, |kind, event, profile| kind == "event" && subscriptions.matches(Some(profile), event)),
        );
    }

    fn found(&mut self) -> u64 {
        std::mem::take(&mut self.wanted)
    }
}

/// Counts the events, with `serde_json` borrowed. It has no filter: the server sends only what was subscribed to.
#[derive(Debug, Default)]
pub struct Events(u64);

impl Look for Events {
    #[inline]
    fn text(&mut self, text: &str) {
        self.0 += u64::from(Borrowed.text(text, |kind, _, _| kind == "event"));
    }

    #[inline]
    fn bytes(&mut self, text: &[u8]) {
        self.0 += u64::from(Borrowed.bytes(text, |kind, _, _| kind == "event"));
    }

    fn found(&mut self) -> u64 {
        std::mem::take(&mut self.0)
    }
}

/// `serde_json`, borrowing: one pass. The data stays raw JSON.
pub struct Borrowed;

#[derive(Deserialize)]
struct Envelope<'t> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'t, str>,
    #[serde(borrow)]
    payload: Payload<'t>,
}

#[derive(Deserialize)]
struct Payload<'t> {
    #[serde(borrow)]
    event: Cow<'t, str>,
    #[serde(borrow, rename = "profileId")]
    profile_id: Cow<'t, str>,
    #[serde(borrow)]
    data: &'t RawValue,
}

impl Envelope<'_> {
    fn accepts(&self, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        let wanted = accepts(&self.kind, &self.payload.event, &self.payload.profile_id);
        if wanted {
            black_box(self.payload.data.get());
        }
        wanted
    }
}

impl Parse for Borrowed {
    #[inline]
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        serde_json::from_str::<Envelope<'_>>(text).expect("it is an event").accepts(accepts)
    }

    #[inline]
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        serde_json::from_slice::<Envelope<'_>>(text).expect("it is an event").accepts(accepts)
    }
}

/// `serde_json`, with owned values.
pub struct Owned;

impl Owned {
    fn accepts(value: &serde_json::Value, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        let payload = &value["payload"];
        let wanted = match (value["type"].as_str(), payload["event"].as_str(), payload["profileId"].as_str()) {
            (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
            _ => false,
        };
        if wanted {
            black_box(&payload["data"]);
        }
        wanted
    }
}

impl Parse for Owned {
    #[inline]
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        Self::accepts(&serde_json::from_str(text).expect("it is JSON"), accepts)
    }

    #[inline]
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        Self::accepts(&serde_json::from_slice(text).expect("it is JSON"), accepts)
    }
}

/// `sonic-rs`, lazily: it stops once it has found all members, and does not check the rest.
pub struct Sonic {
    tree: PointerTree,
}

impl Sonic {
    pub fn new() -> Self {
        let mut tree = PointerTree::new();
        tree.add_path(["type"].iter());
        tree.add_path(["payload", "event"].iter());
        tree.add_path(["payload", "profileId"].iter());
        tree.add_path(["payload", "data"].iter());
        Self { tree }
    }
}

impl Default for Sonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Parse for Sonic {
    #[inline]
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        let found = sonic_rs::get_many(text, &self.tree).expect("it is an event");
        let [Some(kind), Some(event), Some(profile), Some(data)] = &found[..] else { return false };
        let wanted = match (kind.as_str(), event.as_str(), profile.as_str()) {
            (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
            _ => false,
        };
        if wanted {
            black_box(data.as_raw_str());
        }
        wanted
    }

    #[inline]
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        self.text(simdutf8::basic::from_utf8(text).expect("it is text"), accepts)
    }
}

/// `sonic-rs` into the same borrowing structs as [`Borrowed`], with the data as a lazy value.
pub struct SonicSerde;

#[derive(Deserialize)]
struct SonicEnvelope<'t> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'t, str>,
    #[serde(borrow)]
    payload: SonicPayload<'t>,
}

#[derive(Deserialize)]
struct SonicPayload<'t> {
    #[serde(borrow)]
    event: Cow<'t, str>,
    #[serde(borrow, rename = "profileId")]
    profile_id: Cow<'t, str>,
    #[serde(borrow)]
    data: sonic_rs::LazyValue<'t>,
}

impl SonicEnvelope<'_> {
    fn accepts(&self, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        let wanted = accepts(&self.kind, &self.payload.event, &self.payload.profile_id);
        if wanted {
            black_box(self.payload.data.as_raw_str());
        }
        wanted
    }
}

impl Parse for SonicSerde {
    #[inline]
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        sonic_rs::from_str::<SonicEnvelope<'_>>(text).expect("it is an event").accepts(accepts)
    }

    #[inline]
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        sonic_rs::from_slice::<SonicEnvelope<'_>>(text).expect("it is an event").accepts(accepts)
    }
}

/// `simd-json`, with a tape over reused buffers. It parses in place, so it gets a copy.
#[derive(Default)]
pub struct SimdJson {
    scratch: Vec<u8>,
    buffers: simd_json::Buffers,
}

impl Parse for SimdJson {
    #[inline]
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        self.bytes(text.as_bytes(), accepts)
    }

    #[inline]
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        self.scratch.clear();
        self.scratch.extend_from_slice(text);
        let tape = simd_json::to_tape_with_buffers(&mut self.scratch, &mut self.buffers).expect("it is JSON");
        let value = tape.as_value();
        let Some(payload) = value.get("payload") else { return false };
        let member = |name| payload.get(name).and_then(|value| value.into_string());
        let wanted = match (value.get("type").and_then(|kind| kind.into_string()), member("event"), member("profileId"))
        {
            (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
            _ => false,
        };
        if wanted {
            black_box(payload.get("data").is_some());
        }
        wanted
    }
}
