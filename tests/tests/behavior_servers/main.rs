//! Servers: every scenario on every binding, with clients of every make and with clients that misbehave.
//!
//! The table that this prints stands in `docs/bindings.md`, and the run fails if it is another; `UPDATE_DOCS=1` writes it
//! anew. What needs Node.js, Python and Chromium is ignored unless `MULTIWA_WS_EXTERNAL` is set.
#![cfg(test)]

mod misbehaving;
mod serving;

use std::process::ExitCode;

use multiwa_ws_testkit::behavior::Outcome;
use multiwa_ws_testkit::behavior::driver::{ASYNC_STD, SMOL, TOKIO};
use multiwa_ws_testkit::behavior::programs::Library;
use multiwa_ws_testkit::behavior::raw::RawKind;
use multiwa_ws_testkit::behavior::report::Suite;
use multiwa_ws_testkit::behavior::server::ServerBinding;

const SERVERS: [&dyn ServerBinding; 3] = [&TOKIO, &ASYNC_STD, &SMOL];

const CLIENTS: [RawKind; 3] = [RawKind::Kit, RawKind::Program(Library::Ws), RawKind::Program(Library::Websockets)];

/// What a whole client sees of a server.
type Serving = fn(&dyn ServerBinding, RawKind) -> Outcome<&'static str>;

/// What becomes of a client that the scenario makes misbehave.
type Misbehaving = fn(&dyn ServerBinding) -> Outcome<&'static str>;

fn main() -> ExitCode {
    let mut suite = Suite::new("servers", SERVERS.map(ServerBinding::name));

    let [_, libraries @ ..] = CLIENTS;
    let with_clients: [(&str, &[RawKind], Serving); 12] = [
        ("connect", &CLIENTS, serving::connect),
        ("refuse", &CLIENTS, serving::refuse),
        ("subscribe, unsubscribe", &CLIENTS, serving::subscribe_and_unsubscribe),
        ("displace", &CLIENTS, serving::displace),
        ("events of all kinds", &CLIENTS, serving::every_kind_of_event),
        ("filter", &CLIENTS, serving::filter),
        ("ping", &CLIENTS, serving::ping),
        ("server restart", &CLIENTS, serving::shutdown),
        ("close from the client", &CLIENTS, serving::close),
        ("close from the server: key rotation", &CLIENTS, serving::key_rotation),
        ("garbage: requests", &CLIENTS, serving::refused_requests),
        ("compression", &libraries, serving::compression),
    ];
    for (scenario, clients, run) in with_clients {
        suite.row(scenario);
        for server in SERVERS {
            for client in clients.iter().copied() {
                suite.trial(server.name(), client.name(), client.is_external(), move || run(server, client));
            }
        }
    }
    suite.row("TLS");
    for server in SERVERS {
        for library in [Library::Ws, Library::Websockets] {
            suite.trial(server.name(), library.name(), true, move || serving::tls(server, library));
        }
    }
    suite.row("the document's page");
    for server in SERVERS {
        suite.trial(server.name(), "Chromium", true, move || serving::page(server));
    }

    let with_faults: [(&str, Misbehaving); 14] = [
        ("lost peer: reset", misbehaving::reset),
        ("half-close", misbehaving::half_close),
        ("black hole: no request", misbehaving::no_request),
        ("black hole: silence", misbehaving::silence),
        ("slow reader: close", misbehaving::slow_reader_is_closed),
        ("slow reader: drop oldest", misbehaving::slow_reader_misses_oldest),
        ("slow reader: drop newest", misbehaving::slow_reader_misses_newest),
        ("oversized", misbehaving::oversized),
        ("garbage: no HTTP", misbehaving::no_http),
        ("garbage: frames", misbehaving::bad_frames),
        ("garbage: UTF-8", misbehaving::bad_utf8),
        ("garbage: binary message", misbehaving::binary_message),
        ("garbage: requests without end", misbehaving::refused_in_a_row),
        ("another origin, another name", misbehaving::another_origin),
    ];
    for (scenario, run) in with_faults {
        suite.row(scenario);
        for server in SERVERS {
            suite.trial(server.name(), "the kit", false, move || run(server));
        }
    }
    suite.run()
}
