//! Finding out whether an event is wanted, with the JSON libraries that peers would use.

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
    /// Hands the first three to `accepts`, and shows the data of what is wanted to the compiler.
    fn text(&mut self, text: &str, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool;

    /// The same for bytes that a peer has checked to be UTF-8.
    fn bytes(&mut self, text: &[u8], accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool;
}

/// Counts what is wanted, with the filter that ours uses.
pub struct Router<P> {
    parser: P,
    subscriptions: SubscriptionSet,
    desired: u64,
}

impl<P: Parse> Router<P> {
    pub fn new(parser: P) -> Self {
        let mut subscriptions = SubscriptionSet::default();
        subscriptions.replace(WANTED, EventNames::every());
        Self { parser, subscriptions, desired: 0 }
    }
}

impl<P: Parse> Look for Router<P> {
    #[inline]
    fn text(&mut self, text: &str) {
        let Self { parser, subscriptions, desired } = self;
        *desired += u64::from(
            parser.text(text, |kind, event, profile| kind == "event" && subscriptions.matches(Some(profile), event)),
        );
    }

    #[inline]
    fn bytes(&mut self, text: &[u8]) {
        let Self { parser, subscriptions, desired } = self;
        *desired += u64::from(
            parser.bytes(text, |kind, event, profile| kind == "event" && subscriptions.matches(Some(profile), event)),
        );
    }

    fn found(&mut self) -> u64 {
        std::mem::take(&mut self.desired)
    }
}

/// `serde_json`, borrowing: one pass, the data left as raw JSON.
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
        let desired = accepts(&self.kind, &self.payload.event, &self.payload.profile_id);
        if desired {
            black_box(self.payload.data.get());
        }
        desired
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

/// `serde_json`, everything owned.
pub struct Owned;

impl Owned {
    fn accepts(value: &serde_json::Value, accepts: impl FnOnce(&str, &str, &str) -> bool) -> bool {
        let payload = &value["payload"];
        let desired = match (value["type"].as_str(), payload["event"].as_str(), payload["profileId"].as_str()) {
            (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
            _ => false,
        };
        if desired {
            black_box(&payload["data"]);
        }
        desired
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

/// `sonic-rs`, lazily: it stops once all members were found, and checks no more than it has passed.
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
        let desired = match (kind.as_str(), event.as_str(), profile.as_str()) {
            (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
            _ => false,
        };
        if desired {
            black_box(data.as_raw_str());
        }
        desired
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
        let desired = accepts(&self.kind, &self.payload.event, &self.payload.profile_id);
        if desired {
            black_box(self.payload.data.as_raw_str());
        }
        desired
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

/// `simd-json`, a tape over buffers that are kept; it parses in place, so it gets a copy.
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
        let desired =
            match (value.get("type").and_then(|kind| kind.into_string()), member("event"), member("profileId")) {
                (Some(kind), Some(event), Some(profile)) => accepts(kind, event, profile),
                _ => false,
            };
        if desired {
            black_box(payload.get("data").is_some());
        }
        desired
    }
}
