//! What can be set on a session, each limit with its reason.

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
    /// How many redirects an attempt follows, 5 by default: proxies in a row need one or two, and a loop must end. Each may take
    /// the connect and the upgrade timeout anew. 0 follows none.
    pub max_redirects: u8,
    /// How long the connection's `ack` is waited for, 10 s by default. `None` does not wait for it.
    ///
    /// A server that never sends one is usable all the same.
    pub ack_timeout: Option<Duration>,
    /// How long a request may take, from the command on, 10 s by default.
    pub request_timeout: Duration,
    /// How long the transport may take to close, 5 s by default.
    pub close_timeout: Duration,
    /// When the protocol's own `ping` is sent unasked, and how long its `pong` may take.
    pub keep_alive: KeepAlive,
    /// What follows the loss of a connection.
    pub reconnect: ReconnectConfig,
    /// What happens to a second profile on a server without subscription sets.
    pub second_profile: SecondProfile,
    /// Desired subscriptions at most, the defaults being those of the server, which would refuse more.
    pub subscriptions: SubscriptionLimits,
    /// Requests of the application that are sent and not answered, 64 by default; further ones wait for their turn. As many,
    /// and one for each subscription that there may be, may be under way in all: so their memory is bounded.
    pub max_requests: usize,
    /// Nesting of a message, 64 by default and 128 at most, so that applications that recurse over data are safe.
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

/// When a lost connection is tried again (`protocol.md`, Client lifecycle).
///
/// The wait before the next attempt is anything up to a ceiling, which grows with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectConfig {
    /// `false` ends the client with its first connection.
    pub enabled: bool,
    /// The first ceiling, 0.5 s by default.
    pub initial: Duration,
    /// By how much each ceiling is longer than the one before, 2 by default.
    pub factor: u32,
    /// The last ceiling, 30 s by default.
    pub max: Duration,
    /// How long a connection must be ready before attempts are counted anew, 60 s by default.
    pub stable_after: Duration,
    /// How many attempts are made without a stable connection; `None`, the default, is no limit.
    pub max_attempts: Option<u32>,
    /// The longest that a server's `Retry-After` is obeyed, an hour by default: a server must not switch its clients off.
    pub max_retry_after: Duration,
    /// Whether a normal close by the server (1000) is tried again; by default it is not.
    pub after_normal_close: bool,
    /// Whether a close for a policy violation (1008) is tried again; by default it is not.
    pub after_policy_violation: bool,
}

impl ReconnectConfig {
    /// The longest wait after this attempt failed, attempts counted from 1.
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

/// What happens when a second profile is subscribed to and the server knows no subscription sets, so that it would replace
/// the first (`protocol.md`, Subscriptions and filtering).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondProfile {
    /// The second is refused, the first stands.
    #[default]
    Refuse,
    /// The second displaces the first.
    Displace,
}

/// Settings of a [`ServerSession`](super::ServerSession). The limits are those of `protocol.md`, Limits of the server by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Whether the server takes `"mode": "add"` and `profileId` in an `unsubscribe`, on by default. The 101 response must
    /// announce what [`ServerSession::features`](super::ServerSession::features) says.
    pub subscription_sets: bool,
    /// Who decides on a `subscribe`.
    pub policy: SubscribePolicy,
    /// Subscriptions of this connection.
    pub subscriptions: SubscriptionLimits,
    /// Nesting of a message, 64 by default and 128 at most, so that applications that recurse over data are safe.
    pub max_depth: u8,
    /// Bytes of a `requestId`, 8 KiB by default: it is sent back, so it must not serve to make answers large.
    pub max_request_id_bytes: usize,
    /// Messages a second; `None`, the default, is no limit, since each costs about what it costs to send it.
    pub request_rate: Option<RequestRate>,
    /// Refused messages in a row that are answered, 64 by default: the next one is answered and closed with 1008.
    pub max_refused_in_a_row: u32,
    /// Bytes of replies that wait to be sent, 4 MiB by default: a client that asks and does not read is closed with 1013.
    pub max_queued_bytes: usize,
    /// Decisions that the application may owe, 16 by default; one more `subscribe` is refused.
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
    /// Messages at once.
    pub burst: u32,
    /// Messages a second in the long run.
    pub per_second: u32,
}

/// Who decides on a `subscribe` that is in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscribePolicy {
    /// Each is accepted.
    #[default]
    AcceptAll,
    /// The application is asked each time, by
    /// [`ServerEvent::SubscribeRequested`](super::ServerEvent::SubscribeRequested).
    Ask,
}
