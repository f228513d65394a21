//! Layer 3: the MultiWA session for both roles, over any transport of text messages.
//!
//! A [`ClientSession`] and a [`ServerSession`] implement the messages, requests and subscriptions of the protocol, and
//! the whole lifecycle of the client. They do not handle frames or sockets: the caller passes in the text of each
//! received message and sends the messages that they return.
//!
//! [`Envelope`], [`Event`], [`SubscriptionSet`] and the `encode_*` functions can also be used on their own.

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
#[cfg(feature = "server")]
mod server;
mod spans;
mod state;
mod subscription;

pub use action::Action;
pub use client::{ClientCounters, ClientSession, CommandError};
pub(crate) use client_event::EventSpans;
pub use client_event::{ClientEvent, CloseCause, FailedSubscription, Gap, LifecycleEvent};
pub use config::{ClientConfig, Dialect, ReconnectConfig, SecondProfile};
#[cfg(feature = "server")]
pub use config::{RequestRate, ServerConfig, SubscribePolicy};
pub use disconnect::DisconnectReason;
pub use envelope::{Envelope, encode_event, encode_message};
pub use event::{Event, EventView, MemberError, MessageAck, MessageReceived, QrUpdated, SessionStatus};
pub use features::Features;
pub use json::{DEFAULT_MAX_DEPTH, RawJson, ToJson};
pub use outcome::{Refusal, RequestOutcome};
pub use request::{RequestId, RequestKind};
pub use scanner::JsonError;
#[cfg(feature = "server")]
pub use server::{ErrorCode, ServerCounters, ServerEvent, ServerSession, SubscribeMode, Ticket, UnknownTicket};
pub use spans::Spans;
pub use state::ClientState;
pub use subscription::{EVERY_EVENT, EventNames, SubscriptionLimit, SubscriptionLimits, SubscriptionSet};
#[cfg(feature = "socketio")]
pub(crate) use {
    json::ObjectWriter,
    request::Ask,
    scanner::{Scanner, Value},
    spans::member,
};
#[cfg(test)]
pub(crate) use {retry::Ending, state::Input};
