//! Which endings of a connection lead to another attempt, and when (`protocol.md`, Client lifecycle).
//!
//! `Ending::rule` holds the rules. [`ReconnectConfig`] sets how long the client waits.

use core::time::Duration;

use super::config::ReconnectConfig;
use super::disconnect::DisconnectReason;
use crate::random::Random;
#[cfg(feature = "socketio")]
use crate::socketio::SocketIoError;

/// A kind of ending. Each kind has its own rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// HTTP 401, 403 or 404, and a key or a CONNECT that is refused over socket.io.
    RefusedForGood,
    /// HTTP 429 or 503 with `Retry-After`.
    AskedToWait,
    /// The server's certificate is not trusted.
    Certificate,
    /// Close code 1000.
    NormalClose,
    /// Close code 1008.
    PolicyViolation,
    /// Close codes 1002, 1003 and 1007 from either side, 1009 from the server, and a broken rule of socket.io: the peers do
    /// not understand each other.
    Misunderstanding,
    /// The supplier of the URL requested a stop.
    Stopped,
    /// Everything else.
    Other,
}

/// How the client reacts to an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryRule {
    /// Try again after the back-off.
    Retry,
    /// Try again after the back-off and the time that the server requested.
    RetryLater,
    /// Try again unless it is the third such ending in a row.
    RetryTwice,
    /// Try again only when [`ReconnectConfig`] allows it.
    StopUnlessAsked,
    /// Never try again.
    Stop,
}

/// How many misunderstandings in a row end the attempts.
const MISUNDERSTANDINGS: u32 = 3;

impl DisconnectReason {
    /// The kind of ending.
    const fn ending(self) -> Ending {
        match self {
            Self::Refused { status: 401 | 403 | 404, .. } => Ending::RefusedForGood,
            Self::Refused { status: 429 | 503, retry_after: Some(_) } => Ending::AskedToWait,
            Self::TlsCertificate => Ending::Certificate,
            Self::ClosedByPeer { code: Some(1000) } => Ending::NormalClose,
            Self::ClosedByPeer { code: Some(1008) } => Ending::PolicyViolation,
            Self::ClosedByPeer { code: Some(1002 | 1003 | 1007 | 1009) }
            | Self::Violation { code: 1002 | 1003 | 1007 } => Ending::Misunderstanding,
            Self::Stopped => Ending::Stopped,
            #[cfg(feature = "socketio")]
            Self::SocketIo(error) => error.ending(),
            // Also 1009 of the client: one message over its own limit says nothing about those that follow. If it ended the
            // attempts, three large events would stop every client.
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

#[cfg(feature = "socketio")]
impl SocketIoError {
    /// The kind of ending: a refused key is one for good, and a broken rule is a misunderstanding.
    const fn ending(self) -> Ending {
        match self {
            Self::KeyRefused | Self::ConnectRefused => Ending::RefusedForGood,
            // A packet over the client's own limit says nothing about those that follow.
            Self::OpenTimeout
            | Self::ConnectTimeout
            | Self::HeartbeatTimeout
            | Self::Disconnected
            | Self::AttachmentsTooLong => Ending::Other,
            Self::EmptyPacket
            | Self::EngineType
            | Self::PacketType
            | Self::AttachmentCount
            | Self::Namespace
            | Self::ForeignNamespace
            | Self::AckId
            | Self::Json(_)
            | Self::Payload
            | Self::Open
            | Self::NotDue
            | Self::AttachmentDue
            | Self::AttachmentNotDue
            | Self::Placeholder
            | Self::Version => Ending::Misunderstanding,
        }
    }
}

impl Ending {
    /// The rule for this kind of ending.
    pub(crate) const fn rule(self) -> RetryRule {
        match self {
            Self::RefusedForGood | Self::Certificate | Self::Stopped => RetryRule::Stop,
            Self::AskedToWait => RetryRule::RetryLater,
            Self::NormalClose | Self::PolicyViolation => RetryRule::StopUnlessAsked,
            Self::Misunderstanding => RetryRule::RetryTwice,
            Self::Other => RetryRule::Retry,
        }
    }
}

#[cfg(test)]
impl Ending {
    pub(crate) const ALL: [Self; 8] = [
        Self::RefusedForGood,
        Self::AskedToWait,
        Self::Certificate,
        Self::NormalClose,
        Self::PolicyViolation,
        Self::Misunderstanding,
        Self::Stopped,
        Self::Other,
    ];
}

/// Counts attempts and chooses the random wait between them.
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

    /// Counts a new attempt and returns its number, from 1.
    pub(crate) fn attempt(&mut self) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt; `None` when there is no next attempt.
    ///
    /// `ready_for` is how long the lost connection was ready. After a stable connection, all counts restart.
    pub(crate) fn after(&mut self, reason: DisconnectReason, ready_for: Duration) -> Option<Duration> {
        if ready_for >= self.config.stable_after {
            (self.attempts, self.misunderstandings) = (0, 0);
        }
        let ending = reason.ending();
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
        let asked = match reason {
            DisconnectReason::Refused { retry_after: Some(wait), .. } if ending.rule() == RetryRule::RetryLater => wait,
            _ => Duration::ZERO,
        };
        Some(asked.min(self.config.max_retry_after) + self.draw())
    }

    /// Full jitter: a random wait up to the ceiling, so that clients that lost their connections at the same time do
    /// not reconnect at the same time.
    ///
    /// It is at least one millisecond, so that no configuration causes a busy loop.
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

    fn refused(status: u16) -> DisconnectReason {
        DisconnectReason::Refused { status, retry_after: None }
    }

    #[test]
    fn a_close_code_is_printed_in_words() {
        let text = |code| alloc::format!("{}", DisconnectReason::ClosedByPeer { code });
        assert_eq!(text(Some(1001)), "the server closed the connection with code 1001");
        assert_eq!(text(None), "the server closed the connection without a code");
    }

    #[test]
    fn endings_stop_or_retry_as_the_protocol_says() {
        let closed = |code| DisconnectReason::ClosedByPeer { code: Some(code) };
        let stop = [
            refused(401),
            refused(403),
            refused(404),
            closed(1000),
            closed(1008),
            DisconnectReason::TlsCertificate,
            DisconnectReason::Stopped,
        ];
        for reason in stop {
            assert_eq!(backoff(ReconnectConfig::default()).after(reason, Duration::ZERO), None, "{reason:?}");
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
            DisconnectReason::ClosedByPeer { code: None },
            DisconnectReason::Violation { code: 1002 },
            DisconnectReason::BadUpgrade,
            DisconnectReason::Dns,
            DisconnectReason::Io,
            DisconnectReason::Tls,
            DisconnectReason::ConnectTimeout,
            DisconnectReason::UpgradeTimeout,
            DisconnectReason::Eof,
            DisconnectReason::PongTimeout,
            DisconnectReason::Violation { code: 1009 },
        ];
        for reason in retry {
            let mut backoff = backoff(ReconnectConfig::default());
            for _ in 0..2 {
                backoff.attempt();
                assert!(backoff.after(reason, Duration::ZERO).is_some(), "{reason:?}");
            }
        }
    }

    #[test]
    fn a_configuration_can_ask_for_more_after_1000_and_1008() {
        for (code, normal, policy) in [(1000, true, false), (1008, false, true)] {
            let config = ReconnectConfig::new().after_normal_close(normal).after_policy_violation(policy);
            let mut backoff = backoff(config);
            assert!(backoff.after(DisconnectReason::ClosedByPeer { code: Some(code) }, Duration::ZERO).is_some());
            assert!(
                backoff.after(DisconnectReason::ClosedByPeer { code: Some(2008 - code) }, Duration::ZERO).is_none()
            );
        }
    }

    #[test]
    fn the_third_misunderstanding_in_a_row_ends_the_attempts() {
        let mut backoff = backoff(ReconnectConfig::default());
        let mut lost = |reason, ready_for| backoff.after(reason, ready_for).is_some();
        let violation = DisconnectReason::ClosedByPeer { code: Some(1002) };
        assert!(lost(violation, Duration::ZERO) && lost(violation, Duration::ZERO));
        // Another ending breaks the row, and so does a stable connection.
        assert!(lost(DisconnectReason::Io, Duration::ZERO));
        assert!(lost(violation, Duration::ZERO) && lost(DisconnectReason::Violation { code: 1002 }, Duration::ZERO));
        assert!(
            lost(violation, Duration::from_secs(60))
                && lost(DisconnectReason::ClosedByPeer { code: Some(1003) }, Duration::ZERO)
        );
        assert!(!lost(DisconnectReason::ClosedByPeer { code: Some(1007) }, Duration::ZERO));
    }

    #[test]
    fn messages_over_the_limit_of_the_client_never_end_the_attempts() {
        let mut backoff = backoff(ReconnectConfig::default());
        let mut lost = |reason| backoff.after(reason, Duration::ZERO).is_some();
        for _ in 0..10 {
            assert!(lost(DisconnectReason::Violation { code: 1009 }));
        }
        // The server refuses a message of the client: sent again, it is refused again.
        let refused = DisconnectReason::ClosedByPeer { code: Some(1009) };
        assert!(lost(refused) && lost(refused) && !lost(refused));
    }

    #[test]
    fn delays_are_drawn_from_the_whole_range_up_to_the_ceiling() {
        let mut backoff = backoff(ReconnectConfig::default());
        let ceilings = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
        for ceiling in ceilings.map(Duration::from_millis) {
            backoff.attempt();
            let drawn: alloc::vec::Vec<_> =
                (0..200).filter_map(|_| backoff.after(DisconnectReason::Io, Duration::ZERO)).collect();
            assert_eq!(drawn.len(), 200);
            assert!(drawn.iter().all(|delay| *delay <= ceiling && !delay.is_zero()));
            assert!(
                drawn.iter().any(|delay| *delay < ceiling / 10) && drawn.iter().any(|delay| *delay > ceiling * 9 / 10)
            );
        }
        for _ in 0..10_000 {
            backoff.attempt();
        }
        assert!(backoff.after(DisconnectReason::Io, Duration::ZERO).unwrap() <= Duration::from_secs(30));
    }

    #[test]
    fn the_count_starts_again_only_after_a_stable_time() {
        let mut backoff = backoff(ReconnectConfig::new().max_attempts(2));
        backoff.attempt();
        assert!(backoff.after(DisconnectReason::Io, Duration::from_secs(59)).is_some());
        assert_eq!(backoff.attempt(), 2);
        assert!(backoff.after(DisconnectReason::Io, Duration::from_secs(60)).is_some());
        assert_eq!(backoff.attempt(), 1);
        assert!(backoff.after(DisconnectReason::Io, Duration::from_nanos(59_999_999_999)).is_some());
        assert_eq!(backoff.attempt(), 2);
        assert!(backoff.after(DisconnectReason::Io, Duration::ZERO).is_none());
    }

    #[test]
    fn no_configuration_makes_a_busy_loop() {
        let zero = ReconnectConfig::new().initial(Duration::ZERO).factor(0).max(Duration::ZERO);
        assert_eq!(backoff(zero).after(DisconnectReason::Io, Duration::ZERO), Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for_within_a_limit() {
        let mut backoff = backoff(ReconnectConfig::default());
        let mut wait = |status, seconds| {
            let reason = DisconnectReason::Refused { status, retry_after: Some(Duration::from_secs(seconds)) };
            backoff.after(reason, Duration::ZERO).unwrap().as_secs()
        };
        assert_eq!(wait(429, 7), 7);
        assert_eq!(wait(503, 100), 100);
        assert_eq!(wait(503, u64::MAX), 3_600);
        assert_eq!(wait(500, 100), 0);
    }
}
