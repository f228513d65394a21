//! Clients: every scenario on every binding, against whole servers of every make and against servers that misbehave.
//!
//! The table that this prints stands in `docs/bindings.md`, and the run fails if it is another; `UPDATE_DOCS=1` writes it
//! anew. What needs Node.js and Python is ignored unless `MULTIWA_WS_EXTERNAL` is set.
#![cfg(test)]

mod faulty;
mod order;
mod whole;

use std::process::ExitCode;

use multiwa_ws_testkit::behavior::Outcome;
use multiwa_ws_testkit::behavior::blocking::Blocking;
use multiwa_ws_testkit::behavior::client::ClientBinding;
use multiwa_ws_testkit::behavior::driver::{ASYNC_STD, SMOL, TOKIO};
use multiwa_ws_testkit::behavior::peer::PeerKind;
use multiwa_ws_testkit::behavior::programs::Library;
use multiwa_ws_testkit::behavior::report::Suite;

const CLIENTS: [&dyn ClientBinding; 4] = [&TOKIO, &ASYNC_STD, &SMOL, &Blocking];

const OURS: [PeerKind; 3] = [PeerKind::Ours(&TOKIO), PeerKind::Ours(&ASYNC_STD), PeerKind::Ours(&SMOL)];
const PLAIN: [PeerKind; 2] = [PeerKind::Plain(Library::Ws), PeerKind::Plain(Library::Websockets)];

/// What an application sees of a client that meets a whole server.
type Whole = fn(&dyn ClientBinding, PeerKind) -> Outcome<&'static str>;

/// What it sees of one that meets a server which the scenario scripts.
type Faulty = fn(&dyn ClientBinding) -> Outcome<&'static str>;

fn main() -> ExitCode {
    let mut suite = Suite::new("clients", CLIENTS.map(ClientBinding::name));

    let everyone = [&OURS[..], &PLAIN[..]].concat();
    let with_whole: [(&str, &[PeerKind], Whole); 17] = [
        ("connect", &everyone, whole::connect),
        ("refuse: wrong key", &everyone, whole::wrong_key),
        ("refuse: wrong path", &everyone, whole::wrong_path),
        ("subscribe, unsubscribe", &everyone, whole::subscribe),
        ("displace: subscription sets", &OURS, whole::second_profile_with_sets),
        ("displace: no sets", &everyone, whole::second_profile_refused),
        ("displace: no sets, as chosen", &everyone, whole::second_profile_displaces),
        ("events of all kinds", &everyone, whole::every_kind_of_event),
        ("filter", &everyone, whole::filter),
        ("ping", &everyone, whole::ping),
        ("server restart: announced", &everyone, whole::announced_restart),
        ("server restart: crash", &everyone, whole::crash),
        ("close from the client", &everyone, whole::close),
        ("key rotation", &everyone, whole::key_rotation),
        ("compression", &everyone, whole::compression),
        ("TLS", &everyone, whole::tls),
        ("TLS: certificate not trusted", &everyone, whole::certificate_not_trusted),
    ];
    for (scenario, peers, run) in with_whole {
        suite.row(scenario);
        for client in CLIENTS {
            for peer in peers.iter().copied() {
                suite.trial(client.name(), peer.name(), peer.is_external(), move || run(client, peer));
            }
        }
    }

    let with_faulty: [(&str, Faulty); 21] = [
        ("one order: lifecycle and events", order::f_02_lifecycle_and_events_come_in_the_order_of_the_wire),
        ("lost peer: reset", faulty::reset),
        ("half-close", faulty::half_close),
        ("black hole: no upgrade", faulty::no_upgrade),
        ("black hole: silence", faulty::silence),
        ("black hole: no `ack`", faulty::no_ack),
        ("black hole: no answer", faulty::no_answer),
        ("black hole: no Close frame back", faulty::no_close_back),
        ("slow reader: wait", faulty::slow_reader_waits),
        ("slow reader: drop oldest", faulty::slow_reader_drops_oldest),
        ("slow reader: drop newest", faulty::slow_reader_drops_newest),
        ("slow reader: close", faulty::slow_reader_closes),
        ("oversized", faulty::oversized),
        ("garbage: no HTTP", faulty::no_http),
        ("garbage: frames", faulty::bad_frame),
        ("garbage: UTF-8", faulty::bad_utf8),
        ("garbage: binary message", faulty::binary_message),
        ("garbage: JSON", faulty::bad_json),
        ("events not asked for", faulty::leaking_server),
        ("close from the server: 1000, 1008", faulty::close_for_good),
        ("close from the server: others", faulty::close_for_now),
    ];
    for (scenario, run) in with_faulty {
        suite.row(scenario);
        for client in CLIENTS {
            suite.trial(client.name(), "the kit", false, move || run(client));
        }
    }
    suite.run()
}
