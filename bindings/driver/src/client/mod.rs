//! A client that stays connected: the handles, the updates, and the task that drives the client of the core.

mod builder;
mod connector;
mod dial;
mod disconnect;
pub mod drive;
mod endpoint;
mod handle;
mod inbox;
mod machine;
mod proxy;
mod queue;
mod race;
mod request;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod secure;
mod shared;
mod status;
mod stream;
mod target;
mod task;
mod tunnel;
mod updates;

use multiwa_ws_core::session::EventNames;

pub use builder::{BuildError, CONNECT_DEADLINE, ClientBuilder};
pub use connector::{Connector, ConnectorError};
pub use disconnect::{Cause, Disconnect};
pub use endpoint::{Endpoint, InvalidUrl, KeyPlacement};
pub use handle::Client;
pub use proxy::{InvalidProxy, Proxy};
pub use queue::{Overflow, QueueConfig};
pub use race::{ATTEMPT_DELAY, interleave};
pub use request::{Request, RequestError};
#[cfg(feature = "tls")]
pub use secure::tls_disconnect_reason;
pub use status::{ConnectError, Status};
pub use target::{Destination, RedirectError, RequestSettings, Target};
pub use tunnel::{ProxyError, Tunnel};
pub use updates::{Events, Update, Updates};

fn event_names<N: AsRef<str>>(events: impl IntoIterator<Item = N>) -> EventNames {
    events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect()
}
