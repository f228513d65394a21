//! Which endings of a connection are tried again, and when (`protocol.md`, Client lifecycle).
//!
//! The rules are the table [`RETRY_RULES`]; how long the client waits is [`ReconnectConfig`].

use core::fmt;
use core::time::Duration;

use super::config::ReconnectConfig;
use crate::random::Random;

/// Why a connection, or the attempt at one, ended: the transport tells it to
/// [`ClientSession::lost`](super::ClientSession::lost).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The server answered the upgrade with another status than 101.
    #[error("the server answered with HTTP status {status}")]
    Refused {
        /// The status.
        status: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The answer to the upgrade was no valid one.
    #[error("the server's answer to the upgrade is invalid")]
    BadUpgrade,
    /// The name of the server could not be resolved.
    #[error("the name of the server could not be resolved")]
    Dns,
    /// The transport could not be opened, or broke.
    #[error("the transport failed")]
    Io,
    /// The server's certificate is not to be trusted.
    #[error("the server's certificate is not to be trusted")]
    TlsCertificate,
    /// TLS failed in another way.
    #[error("TLS failed")]
    Tls,
    /// No transport in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The transport was there, and the answer to the upgrade did not come in time.
    #[error("no answer to the upgrade in time")]
    UpgradeTimeout,
    /// The transport ended without a closing handshake. A gateway that speaks socket.io does this instead of an answer
    /// to the upgrade.
    #[error("the server ended the transport without a closing handshake")]
    Eof,
    /// No `pong` came in time.
    #[error("the server did not answer a ping in time")]
    PongTimeout,
    /// The server closed, with this code or without one.
    #[error("the server closed the connection {}", WithCode(*.code))]
    ClosedByPeer {
        /// The close code, RFC 6455 section 7.4.
        code: Option<u16>,
    },
    /// The server broke the protocol and was closed with this code.
    #[error("the server broke the protocol and was closed with code {code}")]
    Violation {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
    },
    /// Whoever supplies the URL and the key does not want another attempt.
    #[error("no further attempt was wanted")]
    Stopped,
}

/// A close code in words.
struct WithCode(Option<u16>);

impl fmt::Display for WithCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "with code {code}"),
            None => f.write_str("without a code"),
        }
    }
}

/// A kind of ending that has a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// HTTP 401, 403 or 404.
    RefusedForGood,
    /// HTTP 429 or 503 with `Retry-After`.
    AskedToWait,
    /// The server's certificate is not to be trusted.
    Certificate,
    /// Close code 1000.
    NormalClose,
    /// Close code 1008.
    PolicyViolation,
    /// Close codes 1002, 1003, 1007 and 1009, from either side: the peers do not understand each other.
    Misunderstanding,
    /// The supplier of the URL said stop.
    Stopped,
    /// Everything else.
    Other,
}

/// What follows an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRule {
    /// Tried again after the back-off.
    Retry,
    /// Tried again after the back-off and the time that the server asked for.
    RetryLater,
    /// Tried again unless it is the third such ending in a row.
    RetryTwice,
    /// Tried again only when [`ReconnectConfig`] says so.
    StopUnlessAsked,
    /// Never tried again.
    Stop,
}

/// Which rule each kind of ending follows.
pub const RETRY_RULES: [(Ending, RetryRule); 8] = [
    (Ending::RefusedForGood, RetryRule::Stop),
    (Ending::AskedToWait, RetryRule::RetryLater),
    (Ending::Certificate, RetryRule::Stop),
    (Ending::NormalClose, RetryRule::StopUnlessAsked),
    (Ending::PolicyViolation, RetryRule::StopUnlessAsked),
    (Ending::Misunderstanding, RetryRule::RetryTwice),
    (Ending::Stopped, RetryRule::Stop),
    (Ending::Other, RetryRule::Retry),
];

/// How many misunderstandings in a row end the attempts.
const MISUNDERSTANDINGS: u32 = 3;

impl Loss {
    /// Which kind of ending this is.
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::Refused { status: 401 | 403 | 404, .. } => Ending::RefusedForGood,
            Self::Refused { status: 429 | 503, retry_after: Some(_) } => Ending::AskedToWait,
            Self::TlsCertificate => Ending::Certificate,
            Self::ClosedByPeer { code: Some(1000) } => Ending::NormalClose,
            Self::ClosedByPeer { code: Some(1008) } => Ending::PolicyViolation,
            Self::ClosedByPeer { code: Some(1002 | 1003 | 1007 | 1009) }
            | Self::Violation { code: 1002 | 1003 | 1007 | 1009 } => Ending::Misunderstanding,
            Self::Stopped => Ending::Stopped,
            Self::Refused { .. }
            | Self::BadUpgrade
            | Self::Dns
            | Self::Io
            | Self::Tls
            | Self::ConnectTimeout
            | Self::UpgradeTimeout
            | Self::Eof
            | Self::PongTimeout
            | Self::ClosedByPeer { .. }
            | Self::Violation { .. } => Ending::Other,
        }
    }
}

impl Ending {
    /// The rule of [`RETRY_RULES`] for this kind of ending.
    #[must_use]
    pub fn rule(self) -> RetryRule {
        RETRY_RULES.iter().find(|(ending, _)| *ending == self).map_or(RetryRule::Stop, |(_, rule)| *rule)
    }
}

/// Counts attempts and draws the time between them.
#[derive(Debug)]
pub(crate) struct Backoff {
    config: ReconnectConfig,
    random: Random,
    /// Attempts made since the last stable connection.
    attempts: u32,
    misunderstandings: u32,
}

impl Backoff {
    pub(crate) const fn new(config: ReconnectConfig, random: Random) -> Self {
        Self { config, random, attempts: 0, misunderstandings: 0 }
    }

    /// The number of the attempt that is made now, from 1.
    pub(crate) fn attempt(&mut self) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt; `None` when there is none.
    ///
    /// `ready_for` is how long the lost connection was ready: after a stable one everything is counted anew.
    pub(crate) fn after(&mut self, loss: Loss, ready_for: Duration) -> Option<Duration> {
        if ready_for >= self.config.stable_after {
            (self.attempts, self.misunderstandings) = (0, 0);
        }
        let ending = loss.ending();
        self.misunderstandings = if ending == Ending::Misunderstanding { self.misunderstandings + 1 } else { 0 };
        let again = match ending.rule() {
            RetryRule::Retry | RetryRule::RetryLater => true,
            RetryRule::RetryTwice => self.misunderstandings < MISUNDERSTANDINGS,
            RetryRule::StopUnlessAsked if ending == Ending::NormalClose => self.config.after_normal_close,
            RetryRule::StopUnlessAsked => self.config.after_policy_violation,
            RetryRule::Stop => false,
        };
        let exhausted = self.config.max_attempts.is_some_and(|max| self.attempts >= max);
        if !again || !self.config.enabled || exhausted {
            return None;
        }
        let asked = match loss {
            Loss::Refused { retry_after: Some(wait), .. } if ending.rule() == RetryRule::RetryLater => wait,
            _ => Duration::ZERO,
        };
        Some(asked.min(self.config.max_retry_after) + self.draw())
    }

    /// Full jitter: anything up to the ceiling, so that clients that were lost together do not return together.
    ///
    /// A millisecond at least, so that no configuration makes a busy loop.
    fn draw(&mut self) -> Duration {
        let ceiling = self.config.ceiling(self.attempts.max(1));
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.up_to(nanos)).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(config: ReconnectConfig) -> Backoff {
        Backoff::new(config, Random::new([3; 32]))
    }

    fn refused(status: u16) -> Loss {
        Loss::Refused { status, retry_after: None }
    }

    #[test]
    fn a_close_code_is_told_in_words() {
        let told = |code| alloc::format!("{}", Loss::ClosedByPeer { code });
        assert_eq!(told(Some(1001)), "the server closed the connection with code 1001");
        assert_eq!(told(None), "the server closed the connection without a code");
    }

    #[test]
    fn each_kind_of_ending_has_one_rule() {
        for (index, (ending, rule)) in RETRY_RULES.iter().enumerate() {
            assert_eq!(RETRY_RULES.iter().position(|(other, _)| other == ending), Some(index));
            assert_eq!(ending.rule(), *rule);
        }
    }

    #[test]
    fn endings_stop_or_retry_as_the_protocol_says() {
        let closed = |code| Loss::ClosedByPeer { code: Some(code) };
        let stop =
            [refused(401), refused(403), refused(404), closed(1000), closed(1008), Loss::TlsCertificate, Loss::Stopped];
        for loss in stop {
            assert_eq!(backoff(ReconnectConfig::default()).after(loss, Duration::ZERO), None, "{loss:?}");
        }
        let retry = [
            refused(400),
            refused(426),
            refused(429),
            refused(500),
            refused(503),
            closed(1001),
            closed(1002),
            closed(1011),
            closed(1013),
            closed(4000),
            Loss::ClosedByPeer { code: None },
            Loss::Violation { code: 1002 },
            Loss::BadUpgrade,
            Loss::Dns,
            Loss::Io,
            Loss::Tls,
            Loss::ConnectTimeout,
            Loss::UpgradeTimeout,
            Loss::Eof,
            Loss::PongTimeout,
        ];
        for loss in retry {
            let mut backoff = backoff(ReconnectConfig::default());
            for _ in 0..2 {
                backoff.attempt();
                assert!(backoff.after(loss, Duration::ZERO).is_some(), "{loss:?}");
            }
        }
    }

    #[test]
    fn a_configuration_can_ask_for_more_after_1000_and_1008() {
        for (code, normal, policy) in [(1000, true, false), (1008, false, true)] {
            let config =
                ReconnectConfig { after_normal_close: normal, after_policy_violation: policy, ..Default::default() };
            let mut backoff = backoff(config);
            assert!(backoff.after(Loss::ClosedByPeer { code: Some(code) }, Duration::ZERO).is_some());
            assert!(backoff.after(Loss::ClosedByPeer { code: Some(2008 - code) }, Duration::ZERO).is_none());
        }
    }

    #[test]
    fn the_third_misunderstanding_in_a_row_ends_the_attempts() {
        let mut backoff = backoff(ReconnectConfig::default());
        let mut lost = |loss, ready_for| backoff.after(loss, ready_for).is_some();
        let violation = Loss::ClosedByPeer { code: Some(1002) };
        assert!(lost(violation, Duration::ZERO) && lost(violation, Duration::ZERO));
        // Another ending breaks the row, and so does a stable connection.
        assert!(lost(Loss::Io, Duration::ZERO));
        assert!(lost(violation, Duration::ZERO) && lost(Loss::Violation { code: 1009 }, Duration::ZERO));
        assert!(
            lost(violation, Duration::from_secs(60)) && lost(Loss::ClosedByPeer { code: Some(1003) }, Duration::ZERO)
        );
        assert!(!lost(Loss::ClosedByPeer { code: Some(1007) }, Duration::ZERO));
    }

    #[test]
    fn delays_are_drawn_from_the_whole_range_up_to_the_ceiling() {
        let mut backoff = backoff(ReconnectConfig::default());
        let ceilings = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
        for ceiling in ceilings.map(Duration::from_millis) {
            backoff.attempt();
            let drawn: alloc::vec::Vec<_> = (0..200).filter_map(|_| backoff.after(Loss::Io, Duration::ZERO)).collect();
            assert_eq!(drawn.len(), 200);
            assert!(drawn.iter().all(|delay| *delay <= ceiling && !delay.is_zero()));
            assert!(
                drawn.iter().any(|delay| *delay < ceiling / 10) && drawn.iter().any(|delay| *delay > ceiling * 9 / 10)
            );
        }
        for _ in 0..10_000 {
            backoff.attempt();
        }
        assert!(backoff.after(Loss::Io, Duration::ZERO).unwrap() <= Duration::from_secs(30));
    }

    #[test]
    fn the_count_starts_again_only_after_a_stable_time() {
        let mut backoff = backoff(ReconnectConfig { max_attempts: Some(2), ..Default::default() });
        backoff.attempt();
        assert!(backoff.after(Loss::Io, Duration::from_secs(59)).is_some());
        assert_eq!(backoff.attempt(), 2);
        assert!(backoff.after(Loss::Io, Duration::from_secs(60)).is_some());
        assert_eq!(backoff.attempt(), 1);
        assert!(backoff.after(Loss::Io, Duration::from_nanos(59_999_999_999)).is_some());
        assert_eq!(backoff.attempt(), 2);
        assert!(backoff.after(Loss::Io, Duration::ZERO).is_none());
    }

    #[test]
    fn no_configuration_makes_a_busy_loop() {
        let zero = ReconnectConfig { initial: Duration::ZERO, factor: 0, max: Duration::ZERO, ..Default::default() };
        assert_eq!(backoff(zero).after(Loss::Io, Duration::ZERO), Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for_within_a_limit() {
        let mut backoff = backoff(ReconnectConfig::default());
        let mut wait = |status, seconds| {
            let loss = Loss::Refused { status, retry_after: Some(Duration::from_secs(seconds)) };
            backoff.after(loss, Duration::ZERO).unwrap().as_secs()
        };
        assert_eq!(wait(429, 7), 7);
        assert_eq!(wait(503, 100), 100);
        assert_eq!(wait(503, u64::MAX), 3_600);
        assert_eq!(wait(500, 100), 0);
    }
}
