//! A server: it accepts clients, holds their connections and publishes events to them.

mod admission;
mod batch;
mod builder;
mod connection;
mod entry;
mod forwarded;
mod handle;
mod hosts;
mod listener;
mod mailbox;
mod observer;
mod origin;
mod permissions;
mod permits;
mod publisher;
mod rate;
mod registry;
mod settings;
mod shared;
mod timeout;
#[cfg(feature = "http")]
mod upgrade;
mod wakers;

pub use builder::ServerBuilder;
pub use forwarded::{InvalidProxyNetwork, TrustedProxy};
pub use handle::Server;
pub use mailbox::SlowReader;
pub use observer::{Observed, Peer};
pub use origin::{InvalidOrigin, Origin};
pub use permissions::{ConnectRequest, Permissions};
pub use publisher::{PublishError, Published, Publisher};
pub use rate::ConnectionRate;
pub(crate) use timeout::within;
#[cfg(feature = "http")]
pub use upgrade::UpgradeTicket;
