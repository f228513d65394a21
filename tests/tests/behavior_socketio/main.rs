//! Clients in the socket.io dialect: every scenario on every binding, against gateways of three makes and against servers
//! that misbehave.
//!
//! The table that this prints stands in `docs/bindings.md`, and the run fails if it is another; `UPDATE_DOCS=1` writes it
//! anew. What needs Node.js and Python is ignored unless `MULTIWA_WS_EXTERNAL` is set.
#![cfg(test)]

mod faulty;
mod relay;
mod whole;

use std::process::ExitCode;

use multiwa_ws_testkit::behavior::Outcome;
use multiwa_ws_testkit::behavior::blocking::Blocking;
use multiwa_ws_testkit::behavior::client::ClientBinding;
use multiwa_ws_testkit::behavior::driver::{ASYNC_STD, SMOL, TOKIO};
use multiwa_ws_testkit::behavior::gateways::GatewayKind;
use multiwa_ws_testkit::behavior::report::Suite;

const CLIENTS: [&dyn ClientBinding; 4] = [&TOKIO, &ASYNC_STD, &SMOL, &Blocking];

const EVERYONE: &[GatewayKind] = &[GatewayKind::SocketIo, GatewayKind::Nest, GatewayKind::Python];
/// Those with the documented envelopes and with orders for faults.
const NODE: &[GatewayKind] = &[GatewayKind::SocketIo, GatewayKind::Nest];
/// What the library does, whatever is built on it.
const PLAIN: &[GatewayKind] = &[GatewayKind::SocketIo];

/// What an application sees of a client that meets a gateway.
type Whole = fn(&dyn ClientBinding, GatewayKind) -> Outcome<&'static str>;

/// What it sees of one that meets a server which the scenario scripts.
type Faulty = fn(&dyn ClientBinding) -> Outcome<&'static str>;

fn main() -> ExitCode {
    let mut suite = Suite::new("socket.io", CLIENTS.map(ClientBinding::name));

    let with_whole: [(&str, &[GatewayKind], Whole); 24] = [
        ("connect, key checked late", EVERYONE, whole::connect),
        ("refuse: wrong key", EVERYONE, whole::wrong_key),
        ("refuse: wrong key, transport closed", NODE, whole::wrong_key_closes),
        ("refuse: expired key", EVERYONE, whole::expired_key),
        ("refuse: CONNECT", PLAIN, whole::connect_error),
        ("refuse: no such namespace", PLAIN, whole::no_namespace),
        ("Forbidden", EVERYONE, whole::forbidden),
        ("two profiles", EVERYONE, whole::two_profiles),
        ("displace", EVERYONE, whole::displace),
        ("events of all kinds", EVERYONE, whole::every_kind_of_event),
        ("documented envelopes beside them", EVERYONE, whole::envelopes),
        ("an event that comes both ways", EVERYONE, whole::event_both_ways),
        ("filter", EVERYONE, whole::filter),
        ("binary events", EVERYONE, whole::binary_event),
        ("a join without an answer", NODE, whole::unanswered_join),
        ("ping", EVERYONE, whole::ping),
        ("key rotation", EVERYONE, whole::key_rotation),
        ("another path", PLAIN, whole::another_path),
        ("server restart: announced", NODE, whole::announced_restart),
        ("server restart: crash", NODE, whole::crash),
        ("heartbeat: the server stops", NODE, whole::server_heart_stops),
        ("heartbeat: the client is not heard", PLAIN, whole::client_not_heard),
        ("2 MB, above `maxPayload`", NODE, whole::large_messages),
        ("close from the client", NODE, whole::close),
    ];
    for (scenario, gateways, run) in with_whole {
        suite.row(scenario);
        for client in CLIENTS {
            for gateway in gateways.iter().copied() {
                suite.trial(client.name(), gateway.name(), true, move || run(client, gateway));
            }
        }
    }

    let with_faulty: [(&str, Faulty); 15] = [
        ("black hole: no open packet", faulty::no_open),
        ("black hole: no answer to the CONNECT", faulty::no_connect_answer),
        ("black hole: no heartbeat", faulty::no_heartbeat),
        ("heartbeat is answered in every state", faulty::heartbeat),
        ("refuse: key, by any end", faulty::key_refused),
        ("refuse: CONNECT, by a text", faulty::connect_refused_by_text),
        ("another version of Engine.IO", faulty::version),
        ("garbage: open packet", faulty::bad_open),
        ("garbage: packets", faulty::bad_packets),
        ("garbage: packets before the CONNECT is answered", faulty::too_early),
        ("garbage: attachments", faulty::bad_attachments),
        ("another namespace", faulty::foreign_namespace),
        ("DISCONNECT, transport kept", faulty::disconnected),
        ("a join without an answer, in any form", faulty::unanswered),
        ("oversized", faulty::oversized),
    ];
    for (scenario, run) in with_faulty {
        suite.row(scenario);
        for client in CLIENTS {
            suite.trial(client.name(), "the kit", false, move || run(client));
        }
    }
    suite.run()
}
