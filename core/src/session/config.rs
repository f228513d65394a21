//! The settings of a session, each limit with its reason.

use core::time::Duration;

#[cfg(feature = "server")]
use super::features::Features;
use super::json::DEFAULT_MAX_DEPTH;
use super::subscription::SubscriptionLimits;
use crate::KeepAlive;

/// Settings of a [`ClientSession`](super::ClientSession). The deadlines are those of `protocol.md`, Client lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) max_redirects: u8,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) request_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) reconnect: ReconnectConfig,
    pub(crate) second_profile: SecondProfile,
    pub(crate) subscriptions: SubscriptionLimits,
    pub(crate) max_requests: usize,
    pub(crate) max_depth: u8,
    pub(crate) dialect: Dialect,
}

impl ClientConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            max_redirects: 5,
            ack_timeout: Some(Duration::from_secs(10)),
            request_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            keep_alive: KeepAlive::new(),
            reconnect: ReconnectConfig::new(),
            second_profile: SecondProfile::Refuse,
            subscriptions: SubscriptionLimits::new(),
            max_requests: 64,
            max_depth: DEFAULT_MAX_DEPTH,
            dialect: Dialect::Document,
        }
    }

    /// How long the transport may take to connect, 10 s by default. A host that drops packets would otherwise hold the
    /// attempt for the minutes that TCP tries.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the upgrade may take once the transport is connected, 10 s by default. A server that accepts connections
    /// but does not answer must not hold the attempt.
    #[must_use]
    pub const fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.upgrade_timeout = timeout;
        self
    }

    /// How many redirects one attempt follows, 5 by default: a chain of proxies needs one or two, and a loop must end.
    /// The connect timeout and the upgrade timeout restart for each redirect. With 0, the client follows none.
    #[must_use]
    pub const fn max_redirects(mut self, redirects: u8) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// How long the client waits for the connection ack, 10 s by default. With `None`, it does not wait.
    ///
    /// A server that never sends one can still be used.
    #[must_use]
    pub fn ack_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.ack_timeout = timeout.into();
        self
    }

    /// How long a request may take, 10 s by default. The time counts from the command. Until the request is written,
    /// each write of bytes and each end of an earlier request restarts it.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long the transport may take to close, 5 s by default. A server that does not answer must not keep the client
    /// from closing.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// When the client sends the protocol's own `ping` as keep-alive, and how long its `pong` may take. Default
    /// [`KeepAlive::new`].
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// When the client reconnects after a lost connection. Default [`ReconnectConfig::new`].
    #[must_use]
    pub const fn reconnect(mut self, config: ReconnectConfig) -> Self {
        self.reconnect = config;
        self
    }

    /// Whether a second profile is refused or displaces the first, on a server without subscription sets. By default it
    /// is refused, so that no subscription ends unnoticed.
    #[must_use]
    pub const fn second_profile(mut self, rule: SecondProfile) -> Self {
        self.second_profile = rule;
        self
    }

    /// The limits of the desired subscriptions. The defaults are those of the server, which would refuse more.
    #[must_use]
    pub const fn subscriptions(mut self, limits: SubscriptionLimits) -> Self {
        self.subscriptions = limits;
        self
    }

    /// How many requests of the application may be sent and unanswered at a time, 64 by default; further requests wait.
    /// The total number of open requests is limited to this number plus [`SubscriptionLimits::max_subscriptions`], so
    /// that their memory is bounded.
    #[must_use]
    pub const fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// How many levels deep a message may be nested, 64 by default and 128 at most, so that applications that process
    /// data recursively are safe.
    #[must_use]
    pub const fn max_depth(mut self, levels: u8) -> Self {
        self.max_depth = levels;
        self
    }

    /// What the client speaks, [`Dialect::Document`] by default.
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The value of [`dialect`](Self::dialect).
    #[must_use]
    pub const fn get_dialect(&self) -> Dialect {
        self.dialect
    }

    /// The value of [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub const fn get_connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a client and its server speak over WebSocket (`protocol.md`, Dialects).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The protocol of the source document: each text message is one envelope.
    #[default]
    Document,
    /// The dialect of a deployed gateway: the same session over socket.io.
    ///
    /// The client joins each profile, and several at once. The key goes into the CONNECT, not into the URL. The heartbeat
    /// of the server takes the place of [`ClientConfig::keep_alive`], and [`ClientConfig::ack_timeout`] is the time for
    /// the server's open packet, and again for its answer to the CONNECT; `None` means the default.
    /// [`SecondProfile::Displace`] still lets a second profile displace the first.
    #[cfg(feature = "socketio")]
    SocketIo,
}

/// When the client reconnects after a lost connection (`protocol.md`, Client lifecycle).
///
/// The wait before the next attempt is random, up to a ceiling that grows with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectConfig {
    pub(crate) enabled: bool,
    pub(crate) initial: Duration,
    pub(crate) factor: u32,
    pub(crate) max: Duration,
    pub(crate) stable_after: Duration,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_retry_after: Duration,
    pub(crate) after_normal_close: bool,
    pub(crate) after_policy_violation: bool,
}

impl ReconnectConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enabled: true,
            initial: Duration::from_millis(500),
            factor: 2,
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
            max_attempts: None,
            max_retry_after: Duration::from_secs(3_600),
            after_normal_close: false,
            after_policy_violation: false,
        }
    }

    /// Whether the client reconnects at all, on by default. With `false`, the client ends when its first connection or
    /// attempt ends.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The first ceiling, 0.5 s by default: one lost connection is hardly noticed.
    #[must_use]
    pub const fn initial(mut self, ceiling: Duration) -> Self {
        self.initial = ceiling;
        self
    }

    /// The factor between each ceiling and the one before, 2 by default. 0 counts as 1, which keeps the first ceiling.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// The last ceiling, 30 s by default: a server that was down for long is found again within half a minute.
    #[must_use]
    pub const fn max(mut self, ceiling: Duration) -> Self {
        self.max = ceiling;
        self
    }

    /// How long a connection must be ready before the count of attempts restarts, 60 s by default. Otherwise a server that
    /// accepts each client and drops it at once would get an attempt every half second.
    #[must_use]
    pub const fn stable_after(mut self, duration: Duration) -> Self {
        self.stable_after = duration;
        self
    }

    /// How many attempts the client makes without a stable connection. `None`, the default, means no limit.
    #[must_use]
    pub fn max_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.max_attempts = attempts.into();
        self
    }

    /// The longest `Retry-After` that the client honors, one hour by default: a server must not be able to disable its
    /// clients.
    #[must_use]
    pub const fn max_retry_after(mut self, duration: Duration) -> Self {
        self.max_retry_after = duration;
        self
    }

    /// Whether the client reconnects after a normal close by the server (1000); by default it does not.
    #[must_use]
    pub const fn after_normal_close(mut self, enabled: bool) -> Self {
        self.after_normal_close = enabled;
        self
    }

    /// Whether the client reconnects after a close for a policy violation (1008); by default it does not.
    #[must_use]
    pub const fn after_policy_violation(mut self, enabled: bool) -> Self {
        self.after_policy_violation = enabled;
        self
    }

    /// The longest wait after this attempt has failed. Attempts are counted from 1.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let growth = self.factor.max(1).saturating_pow(attempt.saturating_sub(1));
        self.initial.saturating_mul(growth).min(self.max)
    }
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// How the client handles a second profile on a server that does not support subscription sets, where the second would
/// replace the first (`protocol.md`, Subscriptions and filtering).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondProfile {
    /// The second is refused and the first stays active.
    #[default]
    Refuse,
    /// The second displaces the first.
    Displace,
}

/// Settings of a [`ServerSession`](super::ServerSession). The default limits are those of `protocol.md`, Limits of the
/// server by default.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    pub(crate) subscription_sets: bool,
    pub(crate) policy: SubscribePolicy,
    pub(crate) subscriptions: SubscriptionLimits,
    pub(crate) max_depth: u8,
    pub(crate) max_request_id_bytes: usize,
    pub(crate) request_rate: Option<RequestRate>,
    pub(crate) max_refused_in_a_row: u32,
    pub(crate) max_queued_bytes: usize,
    pub(crate) max_undecided: usize,
}

#[cfg(feature = "server")]
impl ServerConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            subscription_sets: true,
            policy: SubscribePolicy::AcceptAll,
            subscriptions: SubscriptionLimits::new(),
            max_depth: DEFAULT_MAX_DEPTH,
            max_request_id_bytes: 8 * 1_024,
            request_rate: None,
            max_refused_in_a_row: 64,
            max_queued_bytes: 4 * 1_024 * 1_024,
            max_undecided: 16,
        }
    }

    /// Whether the server accepts `"mode": "add"` in a `subscribe` and `profileId` in an `unsubscribe`, on by default.
    /// The 101 response must announce [`features`](Self::features).
    #[must_use]
    pub const fn subscription_sets(mut self, enabled: bool) -> Self {
        self.subscription_sets = enabled;
        self
    }

    /// Who decides on a `subscribe`. By default the session accepts each one.
    #[must_use]
    pub const fn policy(mut self, policy: SubscribePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The limits of the subscriptions of one connection. Default [`SubscriptionLimits::new`].
    #[must_use]
    pub const fn subscriptions(mut self, limits: SubscriptionLimits) -> Self {
        self.subscriptions = limits;
        self
    }

    /// How many levels deep a message may be nested, 64 by default and 128 at most, so that applications that process
    /// data recursively are safe.
    #[must_use]
    pub const fn max_depth(mut self, levels: u8) -> Self {
        self.max_depth = levels;
        self
    }

    /// The longest `requestId` in bytes, 8 KiB by default. The server sends it back, so the limit keeps answers small.
    #[must_use]
    pub const fn max_request_id_bytes(mut self, bytes: usize) -> Self {
        self.max_request_id_bytes = bytes;
        self
    }

    /// How many messages a client may send. `None`, the default, means no limit: a message costs the server about as
    /// much as it costs the client to send it.
    #[must_use]
    pub fn request_rate(mut self, rate: impl Into<Option<RequestRate>>) -> Self {
        self.request_rate = rate.into();
        self
    }

    /// How many messages in a row may be refused, 64 by default. If one more is refused, the server answers it and
    /// closes the connection with 1008.
    #[must_use]
    pub const fn max_refused_in_a_row(mut self, messages: u32) -> Self {
        self.max_refused_in_a_row = messages;
        self
    }

    /// How many bytes of replies may wait to be sent, 4 MiB by default. If a client sends requests and does not read
    /// the replies, the server closes the connection with 1013.
    #[must_use]
    pub const fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// How many `subscribe` requests may wait for a decision of the application, 16 by default. One more is refused.
    #[must_use]
    pub const fn max_undecided(mut self, requests: usize) -> Self {
        self.max_undecided = requests;
        self
    }

    /// The features that the 101 response must announce for this configuration.
    #[must_use]
    pub const fn features(&self) -> Features {
        Features { subscription_sets: self.subscription_sets }
    }
}

#[cfg(feature = "server")]
impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// How many messages a client may send: `burst` at once, and `per_second` in the long run.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    pub(crate) burst: u32,
    pub(crate) per_second: u32,
}

#[cfg(feature = "server")]
impl RequestRate {
    /// A limit of `burst` messages at once, and of `per_second` messages per second in the long run.
    #[must_use]
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second }
    }
}

/// Who decides on a valid `subscribe`.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscribePolicy {
    /// The session accepts each one.
    #[default]
    AcceptAll,
    /// The application decides on each one after
    /// [`ServerEvent::SubscribeRequested`](super::ServerEvent::SubscribeRequested).
    Ask,
}
