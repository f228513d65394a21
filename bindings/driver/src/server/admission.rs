//! Which clients the server accepts.

use std::net::SocketAddr;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{Rejection, UpgradeRequest};

use super::entry::Entry;
use super::observer::Observed;
use super::permissions::{Authorize, ConnectRequest, Decision};
use super::registry::{Denied, KeyId};
use super::shared::Shared;

/// The `Retry-After` for clients of a server that is full.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The `Retry-After` for clients whose decision took too long or failed.
const UNDECIDED_RETRY_AFTER: Duration = Duration::from_secs(1);

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
            return Err(self.reject_host(request.host()));
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

    /// A proxy in front of a loopback server passes the public name on. The response says what to change, because nothing else
    /// is wrong.
    fn reject_host(&self, host: &str) -> Rejection {
        self.observe(Observed::HostRefused { host });
        let error = format!(
            "The host name {host} is not allowed. If it is a name of this server, allow it: allow_host of the builder, or \
             --allow-host of the program"
        );
        Rejection::json(403, "forbidden", &error)
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
