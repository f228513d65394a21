//! The random parts of a run: settings, faults, payloads.

use std::time::Duration;

use multiwa_ws_core::session::{
    ClientConfig, ReconnectConfig, RequestRate, SecondProfile, ServerConfig, SubscribePolicy, SubscriptionLimits,
};
use multiwa_ws_core::websocket::{Compression, Config, DeflateParameters, Negotiated};
use multiwa_ws_core::{KeepAlive, client, server};

use crate::link::{Failure, FailureKind, Faults};
use crate::random::Random;

/// A length: usually a short one, sometimes one that needs 64 bits in a frame.
pub(super) fn length(random: &mut Random) -> usize {
    let longest = match random.up_to(99) {
        0..=49 => 20,
        50..=79 => 200,
        80..=97 => 2_000,
        _ => 70_000,
    };
    random.length_up_to(longest)
}

/// Text of about this many bytes, with characters of every length.
pub(super) fn text(random: &mut Random, length: usize) -> String {
    let mut text = String::with_capacity(length + 3);
    while text.len() < length {
        text.push(random.pick(['a', '"', '\u{7f}', 'é', '\u{7ff}', '€', '\u{ffff}', '😀', '\u{10ffff}']));
    }
    text
}

pub(super) fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    // For long texts, not every byte must be random.
    random.bytes::<32>().into_iter().cycle().take(length).collect()
}

/// The limits of one end of a connection: usually such that the connection survives, sometimes at the edge of what
/// works.
pub(super) fn config(random: &mut Random) -> Config {
    let compression = Compression::new().threshold(random.pick([0, 64, 1_000])).level(random.pick([0, 1, 6]));
    if random.happens(700_000) {
        let max_queued = random.pick([2_000, 100_000, 4 << 20]);
        return Config::new()
            .max_queued(max_queued)
            .keep_alive(keep_alive(random, millis(30_000)))
            .compression(compression);
    }
    Config::new()
        .max_message_len(random.pick([0, 1, 125, 2_000, 65_535, 1 << 20]))
        // A control frame must fit.
        .max_frame_len(random.pick([125, 126, 2_000, 65_536, 64 << 20]))
        .max_fragments(random.pick([0, 1, 2, 5, 1 << 20]))
        .max_queued(random.pick([0, 200, 2_000, 100_000]))
        .message_timeout(random.pick([None, Some(millis(1)), Some(millis(60_000))]))
        .close_timeout(random.pick([millis(0), millis(1), millis(5_000)]))
        .keep_alive(keep_alive(random, millis(1)))
        .compression(compression)
}

fn keep_alive(random: &mut Random, interval: Duration) -> KeepAlive {
    let timeout = random.pick([None, Some(interval / 3), Some(millis(10_000))]);
    KeepAlive::new().interval(random.pick([None, Some(interval), Some(millis(30_000))])).timeout(timeout)
}

pub(super) fn negotiated(random: &mut Random) -> Negotiated {
    let deflate = random.happens(300_000).then(|| DeflateParameters {
        server_no_context_takeover: random.happens(500_000),
        client_no_context_takeover: random.happens(500_000),
        server_max_window_bits: random.pick([8, 9, 12, 15]),
        client_max_window_bits: random.pick([8, 9, 12, 15]),
    });
    Negotiated { deflate, ..Negotiated::default() }
}

/// A client with short or long timeouts. It always detects the end of its server.
pub(super) fn client(random: &mut Random) -> client::Config {
    let session = ClientConfig::new()
        .connect_timeout(random.pick([millis(100), millis(10_000), millis(10_000)]))
        .upgrade_timeout(random.pick([millis(500), millis(10_000), millis(10_000)]))
        .ack_timeout(random.pick([None, Some(millis(10)), Some(millis(10_000))]))
        .request_timeout(random.pick([millis(10), millis(1_000), millis(10_000), millis(10_000)]))
        .close_timeout(random.pick([millis(0), millis(5_000)]))
        .second_profile(random.pick([SecondProfile::Refuse, SecondProfile::Displace]))
        .max_requests(random.pick([1, 3, 64]))
        .subscriptions(SubscriptionLimits::new().max_subscriptions(random.pick([1, 3, 256])))
        .reconnect(
            ReconnectConfig::new()
                .after_normal_close(random.happens(500_000))
                .after_policy_violation(random.happens(500_000)),
        );
    let websocket = Config::new().keep_alive(KeepAlive::OFF).max_queued(random.pick([400, 4 << 20]));
    client::Config::new().session(session).websocket(websocket)
}

/// A server with or without the extensions to the source document.
pub(super) fn server(random: &mut Random) -> server::Config {
    let session = ServerConfig::new()
        .subscription_sets(random.happens(700_000))
        .policy(random.pick([SubscribePolicy::AcceptAll, SubscribePolicy::AcceptAll, SubscribePolicy::Ask]))
        .subscriptions(SubscriptionLimits::new().max_subscriptions(random.pick([1, 3, 256])))
        .max_undecided(random.pick([1, 16]))
        .max_queued_bytes(random.pick([300, 4 << 20]))
        .request_rate(random.pick([None, None, Some(RequestRate::new(3, 1))]));
    let websocket = Config::new()
        .max_queued(random.pick([400, 4_000, 4 << 20]))
        .close_timeout(random.pick([millis(0), millis(5_000)]));
    server::Config::new().session(session).websocket(websocket)
}

/// The faults of a transport. Most transports only delay and split.
pub(super) fn faults(random: &mut Random) -> Faults {
    let failure = random.happens(100_000).then(|| Failure {
        after_bytes: random.up_to(5_000),
        kind: random.pick([FailureKind::Eof, FailureKind::Reset, FailureKind::Silence]),
    });
    Faults {
        delay: 0..=random.pick([0, 1_000_000, 100_000_000]),
        longest_piece: random.pick([None, Some(1), Some(7), Some(1_000)]),
        capacity: random.pick([50, 1_000, 100_000, usize::MAX]),
        corrupted_pieces_per_million: random.pick([0, 0, 0, 0, 1_000, 50_000]),
        failure,
        ..Faults::default()
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
