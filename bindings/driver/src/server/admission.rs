//! Who is let in, and to what.

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
use super::registry::{Denied, KeyId};

/// How long a client is asked to stay away from a server that is full.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A client that asks to be let in. `Debug` hides its key.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    pub(super) request: UpgradeRequest,
    pub(super) address: Option<SocketAddr>,
    pub(super) forwarded: Option<IpAddr>,
}

impl ConnectRequest {
    /// The key that the client shows.
    #[must_use]
    pub fn api_key(&self) -> Option<ApiKey> {
        self.request.api_key()
    }

    /// The origin of the web page that the client is, as a browser states it; other clients state none, or any.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.request.origin()
    }

    /// The address of the client, or of the last proxy before it; `None` when its stream has none.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address of the client itself: what the [trusted proxies](super::ServerBuilder::trusted_proxies) on its way say, or
    /// else the one that it has connected from.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.forwarded.or(self.address.map(|address| address.ip()))
    }

    /// The whole request.
    #[must_use]
    pub fn request(&self) -> &UpgradeRequest {
        &self.request
    }
}

/// What a client that was let in may subscribe to.
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
    /// Every profile.
    #[must_use]
    pub const fn everything() -> Self {
        Self(None)
    }

    /// These profiles alone.
    #[must_use]
    pub fn profiles<P: Into<String>>(profiles: impl IntoIterator<Item = P>) -> Self {
        let profiles: std::collections::BTreeSet<String> = profiles.into_iter().map(Into::into).collect();
        Self::deciding(
            move |profile, _| {
                if profiles.contains(profile) { Ok(()) } else { Err("This profile is not allowed".to_owned()) }
            },
        )
    }

    /// What `decide` lets pass: it is asked for each subscription, with the profile and the event names, and answers with a
    /// text for a person if it refuses. Events that concern every profile reach whoever subscribes to any.
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

/// The application's own decision.
pub(super) type Authorize = dyn Fn(ConnectRequest) -> Decision + Send + Sync;
pub(super) type Decision = Pin<Box<dyn Future<Output = Result<Permissions, Rejection>> + Send>>;

impl Shared {
    /// Judges a request by everything but the application's own decision.
    pub(super) fn screen(&self, now: Instant, request: &UpgradeRequest) -> Result<Option<KeyId>, Rejection> {
        let settings = &self.settings;
        // First what is cheapest to say: the rate is for storms.
        if let Some(limiter) = &self.limiter {
            limiter.admit(now).map_err(Rejection::unavailable)?;
        }
        if request.path() != settings.path {
            return Err(Rejection::not_found());
        }
        if !settings.hosts.allow(request.host()) {
            return Err(Rejection::forbidden());
        }
        // `protocol.md`, Transport. A client without an origin is no browser, and could state any.
        if let Some(origin) = request.origin()
            && !settings.origins.is_empty()
            && !settings.origins.iter().any(|allowed| allowed.is(origin))
        {
            return Err(Rejection::forbidden());
        }
        self.registry.check_key(request.api_key().as_ref()).map_err(Rejection::from)
    }
}

impl From<Denied> for Rejection {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoRoom => Self::unavailable(FULL_RETRY_AFTER),
            Denied::NoKey => Self::unauthorized(),
        }
    }
}
