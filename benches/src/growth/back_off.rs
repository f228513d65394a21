//! Growth of the cost of an attempt to connect.

use std::hint::black_box;

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, Config, TransportAction};
use multiwa_ws_core::session::DisconnectReason;

use super::curves::{Curve, Plot, Point, steps};
use crate::ours::{Run, SEED};

/// The number of attempts in a pass.
const PASS: usize = 16;

/// A client with an increasing number of failed attempts.
pub fn attempts() -> Plot {
    let point = |before| Point { x: before, units: PASS as f64, run: failing(before) };
    Plot {
        title: "Failing once more after many attempts",
        axes: ["attempts that failed before", "ns an attempt, its back-off and its timer"],
        log: false,
        curves: vec![Curve { name: "multiwa-ws client", points: steps(1, 8, 1 << 18).map(point).collect() }],
    }
}

fn failing(before: usize) -> Run {
    let mut now = Instant::from_nanos(1);
    let mut client = Client::new(Config::default(), SEED);
    client.connect(now).expect("it is idle");
    for _ in 0..before {
        fail(&mut client, &mut now);
    }
    Box::new(move || {
        // Every pass begins at about the same number of attempts, because a pass is short compared with the attempts
        // before it.
        for _ in 0..PASS {
            fail(&mut client, &mut now);
        }
        now.as_nanos()
    })
}

fn fail(client: &mut Client, now: &mut Instant) {
    // The client drops the transport of the last attempt first.
    let mut latest = None;
    while let Some(action) = client.poll_action() {
        latest = Some(action);
    }
    assert!(matches!(latest, Some(TransportAction::Connect { .. })), "its back-off is over");
    client.connect_failed(*now, DisconnectReason::Io);
    while black_box(client.poll_event()).is_some() {}
    *now = client.poll_timeout().expect("it tries again");
    client.handle_timeout(*now);
}
