//! The settings of a session, each limit with its reason.

use core::time::Duration;

use super::json::DEFAULT_MAX_DEPTH;
use super::subscription::SubscriptionLimits;
use crate::KeepAlive;

/// Settings of a [`ClientSession`](super::ClientSession). The deadlines are those of `protocol.md`, Client lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long the transport may take to connect, 10 s by default.
    pub connect_timeout: Duration,
    /// How long the upgrade may take once the transport is connected, 10 s by default.
    pub upgrade_timeout: Duration,
    /// How many redirects one attempt follows, 5 by default: a chain of proxies needs one or two, and a loop must end.
    /// The connect timeout and the upgrade timeout restart for each redirect. With 0, the client follows none.
    pub max_redirects: u8,
    /// How long the client waits for the connection ack, 10 s by default. With `None`, it does not wait.
    ///
    /// A server that never sends one can still be used.
    pub ack_timeout: Option<Duration>,
    /// How long a request may take, 10 s by default. The time counts from the command. Until the request is written,
    /// each write of bytes and each end of an earlier request restarts it.
    pub request_timeout: Duration,
    /// How long the transport may take to close, 5 s by default.
    pub close_timeout: Duration,
    /// When the client sends the protocol's own `ping` as keep-alive, and how long its `pong` may take.
    pub keep_alive: KeepAlive,
    /// When the client reconnects after a lost connection.
    pub reconnect: ReconnectConfig,
    /// Whether a second profile is refused or displaces the first, on a server without subscription sets.
    pub second_profile: SecondProfile,
    /// The limits of the desired subscriptions. The defaults are those of the server, which would refuse more.
    pub subscriptions: SubscriptionLimits,
    /// How many requests of the application may be sent and unanswered at a time, 64 by default; further requests wait.
    /// The total number of open requests is limited to this number plus [`SubscriptionLimits::max_subscriptions`], so
    /// that their memory is bounded.
    pub max_requests: usize,
    /// How many levels deep a message may be nested, 64 by default and 128 at most, so that applications that process
    /// data recursively are safe.
    pub max_depth: u8,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            max_redirects: 5,
            ack_timeout: Some(Duration::from_secs(10)),
            request_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            keep_alive: KeepAlive::default(),
            reconnect: ReconnectConfig::default(),
            second_profile: SecondProfile::Refuse,
            subscriptions: SubscriptionLimits::default(),
            max_requests: 64,
            max_depth: DEFAULT_MAX_DEPTH,
        }
    }
}

/// When the client reconnects after a lost connection (`protocol.md`, Client lifecycle).
///
/// The wait before the next attempt is random, up to a ceiling that grows with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectConfig {
    /// With `false`, the client ends when its first connection or attempt ends.
    pub enabled: bool,
    /// The first ceiling, 0.5 s by default.
    pub initial: Duration,
    /// The factor between each ceiling and the one before, 2 by default.
    pub factor: u32,
    /// The last ceiling, 30 s by default.
    pub max: Duration,
    /// How long a connection must be ready before the count of attempts restarts, 60 s by default.
    pub stable_after: Duration,
    /// How many attempts the client makes without a stable connection. `None`, the default, means no limit.
    pub max_attempts: Option<u32>,
    /// The longest `Retry-After` that the client honors, one hour by default: a server must not be able to disable its
    /// clients.
    pub max_retry_after: Duration,
    /// Whether the client reconnects after a normal close by the server (1000); by default it does not.
    pub after_normal_close: bool,
    /// Whether the client reconnects after a close for a policy violation (1008); by default it does not.
    pub after_policy_violation: bool,
}

impl ReconnectConfig {
    /// The longest wait after this attempt has failed. Attempts are counted from 1.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let growth = self.factor.max(1).saturating_pow(attempt.saturating_sub(1));
        self.initial.saturating_mul(growth).min(self.max)
    }
}

impl Default for ReconnectConfig {
    fn default() -> Self {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Whether the server accepts `"mode": "add"` in a `subscribe` and `profileId` in an `unsubscribe`, on by default.
    /// The 101 response must announce the features of [`ServerSession::features`](super::ServerSession::features).
    pub subscription_sets: bool,
    /// Who decides on a `subscribe`.
    pub policy: SubscribePolicy,
    /// The limits of the subscriptions of one connection.
    pub subscriptions: SubscriptionLimits,
    /// How many levels deep a message may be nested, 64 by default and 128 at most, so that applications that process
    /// data recursively are safe.
    pub max_depth: u8,
    /// The longest `requestId` in bytes, 8 KiB by default. The server sends it back, so the limit keeps answers small.
    pub max_request_id_bytes: usize,
    /// How many messages a client may send. `None`, the default, means no limit: a message costs the server about as
    /// much as it costs the client to send it.
    pub request_rate: Option<RequestRate>,
    /// How many messages in a row may be refused, 64 by default. If one more is refused, the server answers it and
    /// closes the connection with 1008.
    pub max_refused_in_a_row: u32,
    /// How many bytes of replies may wait to be sent, 4 MiB by default. If a client sends requests and does not read
    /// the replies, the server closes the connection with 1013.
    pub max_queued_bytes: usize,
    /// How many `subscribe` requests may wait for a decision of the application, 16 by default. One more is refused.
    pub max_undecided: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            subscription_sets: true,
            policy: SubscribePolicy::AcceptAll,
            subscriptions: SubscriptionLimits::default(),
            max_depth: DEFAULT_MAX_DEPTH,
            max_request_id_bytes: 8 * 1_024,
            request_rate: None,
            max_refused_in_a_row: 64,
            max_queued_bytes: 4 * 1_024 * 1_024,
            max_undecided: 16,
        }
    }
}

/// How many messages a client may send: `burst` at once, and `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// How many messages may come at once.
    pub burst: u32,
    /// How many messages per second may come in the long run.
    pub per_second: u32,
}

/// Who decides on a valid `subscribe`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscribePolicy {
    /// The session accepts each one.
    #[default]
    AcceptAll,
    /// The application decides on each one after
    /// [`ServerEvent::SubscribeRequested`](super::ServerEvent::SubscribeRequested).
    Ask,
}
