//! Layer 3: the MultiWA session, both roles, over any transport of text messages.
//!
//! A [`ClientSession`] and a [`ServerSession`] know the protocol's messages, requests and subscriptions, and the client's
//! whole lifecycle. They know no frames and no sockets: they are handed the text of each message, and say what to send.
//!
//! [`Envelope`], [`Event`], [`SubscriptionSet`] and the `encode_*` functions serve whoever needs only a part.

mod action;
mod client;
mod client_event;
mod config;
mod desired;
mod disconnect;
mod envelope;
mod event;
mod features;
mod json;
mod outcome;
mod request;
mod retry;
mod scanner;
mod server;
mod spans;
mod state;
mod subscription;

pub use action::Action;
pub use client::{ClientCounters, ClientSession, CommandError};
pub(crate) use client_event::EventSpans;
pub use client_event::{ClientEvent, CloseCause, FailedSubscription, Gap, LifecycleEvent};
pub use config::{ClientConfig, ReconnectConfig, RequestRate, SecondProfile, ServerConfig, SubscribePolicy};
pub use disconnect::DisconnectReason;
pub use envelope::{Envelope, encode_event, encode_message};
pub use event::{Event, EventView, MemberError, MessageAck, MessageReceived, QrUpdated, SessionStatus};
pub use features::Features;
pub use json::{DEFAULT_MAX_DEPTH, RawJson};
pub use outcome::{Refusal, RequestOutcome};
pub use request::{RequestId, RequestKind};
pub use scanner::JsonError;
pub use server::{ErrorCode, ServerCounters, ServerEvent, ServerSession, SubscribeMode, Ticket, UnknownTicket};
pub use spans::Spans;
pub use state::ClientState;
pub use subscription::{EVERY_EVENT, EventNames, SubscriptionLimit, SubscriptionLimits, SubscriptionSet};
#[cfg(test)]
pub(crate) use {retry::Ending, state::Input};
