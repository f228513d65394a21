//! How a client reaches its server: what it dials, and the one state machine that decides each step.
//!
//! [`Dialer`] holds the settings and starts a [`Dialing`] for each attempt and each redirect. A `Dialing` does no I/O and
//! reads no clock: it says what to do next ([`Action`]) and takes the results. So an asynchronous and a blocking binding
//! try the same addresses in the same order, at the same times, and report the same reasons. The async side is
//! in `open`; `multiwa-ws-tungstenite` has the blocking one.

mod connector;
mod dialer;
mod endpoint;
mod open;
mod proxy;
mod race;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod secure;
mod stream;
mod target;
mod tunnel;

pub use connector::{Connector, ConnectorError};
pub use dialer::{Action, Dial, DialSettings, Dialer, Dialing, Route, Source};
pub use endpoint::{Endpoint, InvalidUrl, KeyPlacement};
#[cfg(unix)]
pub(crate) use open::connect_any;
pub(crate) use open::{Connect, NetConnector, Provider, connect_tcp};
pub use proxy::{InvalidProxy, Proxy};
pub use race::Address;
#[cfg(feature = "tls")]
pub use secure::tls_disconnect_reason;
pub use secure::{Secure, TlsSettings};
pub(crate) use stream::Dynamic;
pub use target::{Destination, DialerError, RedirectError, RequestSettings, Target};
pub use tunnel::{ProxyError, Tunnel};

#[cfg(test)]
mod tests;
