//! The whole path from bytes to "this event of this profile, wanted or not", as in a client.

use std::io;

use super::options::{Options, Put};
use crate::corpus::{Keys, Reader, Wire};
use crate::goals::Goal;
use crate::json::{Borrowed, Owned, Router, SimdJson, Sonic, SonicSerde};
use crate::memory::READ;
use crate::race::{self, Contestant};
use crate::report::Case;
use crate::scores::{Unit, size};
use crate::{ours, peers};

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    for (keys, len) in [(Keys::First, 300), (Keys::Last, 300), (Keys::First, 4 << 10), (Keys::Last, 4 << 10)] {
        let order = if keys == Keys::First { "keys first" } else { "keys last" };
        let name = format!("{}, {order}", size(len));
        if !options.wants(&name) {
            continue;
        }
        let wire = Wire::of_events(keys, len);
        let results = race::run(contestants(&wire), wire.messages, options.effort);
        let mut goals =
            vec![Goal::TimesBestOf("serde_json borrowed", 2.0), Goal::TimesBestOf("serde_json borrowed", 4.0)];
        if len == 300 {
            goals.push(Goal::AtMost(200.0));
        }
        put(Case::new("route", &name, Unit::NanosAMessage, results, &goals))?;
    }
    Ok(())
}

fn contestants(wire: &Wire) -> Vec<Contestant> {
    let reader = Reader::Client;
    let borrowed = || Router::new(Borrowed);
    vec![
        Contestant::ours("multiwa-ws core client", ours::router(wire, READ)),
        Contestant::peer("websocket-sans-io + serde_json borrowed", peers::sans_io::decoder(wire, READ, borrowed())),
        Contestant::peer(
            "tokio-websockets + serde_json borrowed",
            peers::tokio_websockets::decoder(wire, reader, borrowed()),
        ),
        Contestant::peer(
            "fastwebsockets + serde_json borrowed",
            peers::fastwebsockets::decoder(wire, reader, borrowed()),
        ),
        Contestant::peer(
            "sockudo-ws Protocol + serde_json borrowed",
            peers::sockudo::protocol_decoder(wire, reader, borrowed()),
        ),
        Contestant::peer("wtx + serde_json borrowed", peers::wtx::decoder(wire, reader, borrowed())),
        Contestant::peer("yawc + serde_json borrowed", peers::yawc::decoder(wire, reader, borrowed())),
        Contestant::peer("tungstenite + serde_json borrowed", peers::tungstenite::decoder(wire, reader, borrowed())),
        Contestant::peer(
            "websocket-sans-io + serde_json Value",
            peers::sans_io::decoder(wire, READ, Router::new(Owned)),
        ),
        Contestant::peer(
            "websocket-sans-io + sonic-rs lazy",
            peers::sans_io::decoder(wire, READ, Router::new(Sonic::new())),
        ),
        Contestant::peer(
            "websocket-sans-io + sonic-rs structs",
            peers::sans_io::decoder(wire, READ, Router::new(SonicSerde)),
        ),
        Contestant::peer(
            "websocket-sans-io + simd-json tape",
            peers::sans_io::decoder(wire, READ, Router::new(SimdJson::default())),
        ),
    ]
}
