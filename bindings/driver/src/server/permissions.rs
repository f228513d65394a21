//! What the application decides about a client: whether it is accepted, and its permissions.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use multiwa_ws_core::handshake::{ApiKey, Rejection, UpgradeRequest};
use multiwa_ws_core::session::EventNames;

/// An upgrade request of a client. `Debug` hides its key.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    pub(super) request: UpgradeRequest,
    pub(super) address: Option<SocketAddr>,
    pub(super) forwarded: Option<IpAddr>,
}

impl ConnectRequest {
    /// The API key that the client sent.
    #[must_use]
    pub fn api_key(&self) -> Option<ApiKey> {
        self.request.api_key()
    }

    /// The origin of the web page, as a browser sends it. Other clients send none, or any value.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.request.origin()
    }

    /// The address of the client, or of the last proxy before it. `None` if the stream has no address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address of the client itself: the one that the [trusted proxies](super::ServerBuilder::trusted_proxies) name,
    /// or else the address of the connection.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.forwarded.or(self.address.map(|address| address.ip()))
    }

    /// The complete upgrade request.
    #[must_use]
    pub fn request(&self) -> &UpgradeRequest {
        &self.request
    }
}

/// The subscriptions that an accepted client may make.
///
/// ```
/// use multiwa_ws_driver::Permissions;
///
/// let one_profile = Permissions::profiles(["profile-123"]);
/// let no_codes = Permissions::deciding(|_profile, events| {
///     if events.matches("qr.updated") { Err("QR codes are not for this key".to_owned()) } else { Ok(()) }
/// });
/// # let _ = (one_profile, no_codes);
/// ```
#[derive(Clone, Default)]
pub struct Permissions(Option<Arc<Decide>>);

type Decide = dyn Fn(&str, &EventNames) -> Result<(), String> + Send + Sync;

impl Permissions {
    /// Allows every profile.
    #[must_use]
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Allows these profiles only.
    #[must_use]
    pub fn profiles<P: Into<String>>(profiles: impl IntoIterator<Item = P>) -> Self {
        let profiles: std::collections::BTreeSet<String> = profiles.into_iter().map(Into::into).collect();
        Self::deciding(
            move |profile, _| {
                if profiles.contains(profile) { Ok(()) } else { Err("This profile is not allowed".to_owned()) }
            },
        )
    }

    /// Calls `decide` for each subscription, with the profile and the event names. To refuse, it returns an error text
    /// for people. A client that may subscribe to any profile also gets the events that concern all profiles.
    #[must_use]
    pub fn deciding(decide: impl Fn(&str, &EventNames) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(decide)))
    }

    pub(super) fn allows(&self, profile: &str, events: &EventNames) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |decide| decide(profile, events))
    }
}

impl From<()> for Permissions {
    fn from((): ()) -> Self {
        Self::everything()
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Permissions(deciding)" } else { "Permissions(everything)" })
    }
}

/// The decision of the application.
pub(super) type Authorize = dyn Fn(ConnectRequest) -> Decision + Send + Sync;
pub(super) type Decision = Pin<Box<dyn Future<Output = Result<Permissions, Rejection>> + Send>>;
