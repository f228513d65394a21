//! Layer 3: the MultiWA session, both roles, over any transport of text messages.
//!
//! A [`ClientSession`] and a [`ServerSession`] know the protocol's messages, requests and subscriptions, and the client's
//! whole lifecycle. They know no frames and no sockets: they are handed the text of each message, and say what to send.
//!
//! [`Message`], [`Event`], [`SubscriptionSet`] and the `encode_*` functions serve whoever needs only a part.

mod client;
mod config;
mod envelope;
mod event;
mod features;
mod json;
mod notice;
mod outline;
mod request;
mod retry;
mod scanner;
mod server;
mod state;
mod subscription;
mod wanted;

pub use client::{ClientCounters, ClientSession, CommandError};
pub use config::{ClientConfig, ReconnectConfig, RequestRate, SecondProfile, ServerConfig, SubscribePolicy};
pub use envelope::{Message, encode_event, encode_message};
pub use event::{Event, EventView, MemberError, MessageAck, MessageReceived, QrUpdated, SessionStatus};
pub use features::Features;
pub use json::{DEFAULT_MAX_DEPTH, RawJson};
pub(crate) use notice::Located;
pub use notice::{Action, ClientEvent, CloseCause, FailedSubscription, Gap, Notice, Refusal, RequestOutcome};
pub use outline::Outline;
pub use request::{RequestId, RequestKind};
pub use retry::{Ending, Loss, RETRY_RULES, RetryRule};
pub use scanner::JsonError;
pub use server::{ErrorCode, ServerCounters, ServerEvent, ServerSession, SubscribeMode, Ticket, UnknownTicket};
pub use state::{ClientState, TRANSITIONS, Trigger};
pub use subscription::{EVERY_EVENT, EventNames, SubscriptionLimit, SubscriptionLimits, SubscriptionSet};
