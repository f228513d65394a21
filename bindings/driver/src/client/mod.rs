//! A client that stays connected: handles to command it, what it tells, and the task that drives the core's client.

mod builder;
pub mod drive;
mod endpoint;
mod handle;
mod queue;
mod request;
mod status;
mod task;
mod updates;

use multiwa_ws_core::session::EventNames;

pub use builder::{BuildError, ClientBuilder, Connector, ConnectorError, TcpConnector};
pub use endpoint::{Endpoint, InvalidUrl, KeyPlacement};
pub use handle::Client;
pub use queue::{Overflow, QueueConfig};
pub use request::{Request, RequestError};
pub use status::{ConnectError, Status};
pub use updates::{Events, Update, Updates};

fn event_names<N: AsRef<str>>(events: impl IntoIterator<Item = N>) -> EventNames {
    events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect()
}
