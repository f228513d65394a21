//! Which clients the server accepts, and their permissions.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{ApiKey, Rejection, UpgradeRequest};
use multiwa_ws_core::session::EventNames;

use super::Shared;
use super::registry::{Denied, Entry, KeyId};

/// The `Retry-After` for clients of a server that is full.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The `Retry-After` for clients whose decision took too long or failed.
const UNDECIDED_RETRY_AFTER: Duration = Duration::from_secs(1);

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

impl Shared {
    /// Makes all checks of a request except the decision of the application. If the request was `routed`, a router has
    /// compared the path.
    fn screen(&self, now: Instant, request: &UpgradeRequest, routed: bool) -> Result<Option<KeyId>, Rejection> {
        let settings = &self.settings;
        // The rate limit is checked first: it is the cheapest check, and its purpose is to limit bursts.
        if let Some(limiter) = &self.limiter {
            limiter.admit(now).map_err(Rejection::unavailable)?;
        }
        if !routed && request.path() != settings.path {
            return Err(Rejection::not_found());
        }
        if !settings.hosts.allow(request.host()) {
            return Err(Rejection::forbidden());
        }
        // `protocol.md`, Transport. A client without an origin is not a browser, and could send any origin.
        if let Some(origin) = request.origin()
            && !settings.origins.is_empty()
            && !settings.origins.iter().any(|allowed| allowed.is(origin))
        {
            return Err(Rejection::forbidden());
        }
        self.registry.check_key(request.api_key().as_ref()).map_err(Rejection::from)
    }
}

impl Entry {
    /// Checks the request of a client. Returns the key of the client, and the decision of the application if it decides
    /// too.
    pub(super) fn evaluate(
        &self,
        now: Instant,
        request: &UpgradeRequest,
        address: Option<SocketAddr>,
        routed: bool,
    ) -> Result<(Option<KeyId>, Option<Decision>), Rejection> {
        let settings = &self.shared.settings;
        let forwarded = address.and_then(|address| settings.trusted_proxies.client(address.ip(), request.headers()));
        self.requested(forwarded)?;
        let key = self.shared.screen(now, request, routed)?;
        let ask = |authorize: &Authorize| authorize(ConnectRequest { request: request.clone(), address, forwarded });
        Ok((key, settings.authorize.as_deref().map(ask)))
    }

    /// Accepts the client and returns its id.
    pub(super) fn admit(&self, key: Option<KeyId>) -> Result<String, Rejection> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| undecided())?;
        self.open(key)?;
        Ok(format!("{:032x}", u128::from_ne_bytes(id)))
    }
}

/// The response to a client whose decision took too long or failed.
pub(super) fn undecided() -> Rejection {
    Rejection::unavailable(UNDECIDED_RETRY_AFTER)
}

pub(super) fn internal_error() -> Rejection {
    Rejection::json(500, "internal_error", "The server could not answer")
}

impl From<Denied> for Rejection {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoRoom => Self::unavailable(FULL_RETRY_AFTER),
            Denied::NoKey => Self::unauthorized(),
        }
    }
}
