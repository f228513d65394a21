//! Growth of what a server does with events and subscriptions.

use std::cell::RefCell;
use std::rc::Rc;

use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope, EventNames, SubscriptionSet};
use multiwa_ws_core::websocket::WebSocket;

use super::{Curve, Plot, Point};
use crate::corpus::{EVENT, Keys, Reader, WANTED, event};
use crate::memory::Sink;
use crate::ours::{Run, socket, write};
use crate::random::Random;

/// Connections that share a profile, but for the one that is published.
const SHARE: usize = 10;
const MOST: usize = 10_000;

/// More and more receivers among always as many connections.
pub fn receivers() -> Plot {
    let cases: Vec<_> = [1, 3, 10, 30, 100, 300, 1000, 3000, MOST].map(|receivers| (receivers, receivers, MOST)).into();
    Plot {
        title: "Publishing to more and more of 10,000 connections",
        axes: ["receivers", "us an event"],
        log: true,
        curves: publishing(&cases),
    }
}

/// Always as many receivers among more and more connections.
pub fn connections() -> Plot {
    let cases: Vec<_> = [100, 300, 1000, 3000, MOST].map(|connections| (connections, 10, connections)).into();
    Plot {
        title: "Publishing to 10 of more and more connections",
        axes: ["connections", "us an event"],
        log: false,
        curves: publishing(&cases),
    }
}

/// What it costs to find the receivers, and to find them and write to each. A case is where it stands on the axis, its
/// receivers and its connections.
fn publishing(cases: &[(usize, usize, usize)]) -> Vec<Curve> {
    let sockets: Rc<RefCell<Vec<_>>> = Rc::new(RefCell::new((0..MOST).map(|_| socket(Reader::Server)).collect()));
    let point = |x, run| Point { x, units: 1000.0, run };
    let finding = cases.iter().map(|&(x, receivers, all)| point(x, finder(hub(receivers, all))));
    let whole = cases
        .iter()
        .map(|&(x, receivers, all)| point(x, publisher(hub(receivers, all), receivers, Rc::clone(&sockets))));
    vec![
        Curve { name: "encode, find, queue and write", points: whole.collect() },
        Curve { name: "find the receivers", points: finding.collect() },
    ]
}

/// A hub whose first `receivers` connections subscribe to [`WANTED`], and the others, by tens, to other profiles.
fn hub(receivers: usize, connections: usize) -> Hub<usize> {
    let mut hub = Hub::new();
    for id in 0..connections {
        hub.update(id, set(if id < receivers { WANTED.to_owned() } else { format!("other-{}", id / SHARE) }));
    }
    hub
}

fn set(profile: String) -> SubscriptionSet {
    let mut set = SubscriptionSet::default();
    set.replace(profile, EventNames::every());
    set
}

fn finder(hub: Hub<usize>) -> Run {
    Box::new(move || hub.receivers(Some(WANTED), EVENT).map(|id| id as u64).sum())
}

fn publisher(hub: Hub<usize>, receivers: usize, sockets: Rc<RefCell<Vec<WebSocket>>>) -> Run {
    let text = event(Keys::First, WANTED, 300, &mut Random::new(1));
    let sink = Sink::default();
    Box::new(move || {
        let event =
            Envelope::parse(&text, DEFAULT_MAX_DEPTH).ok().and_then(Envelope::into_event).expect("it is an event");
        let mut sockets = sockets.borrow_mut();
        let delivered = hub.publish(&event, |id, message| {
            sockets[id].sender().send_shared(message).expect("there is room");
            write(&mut sockets[id], &sink);
        });
        assert_eq!(delivered, receivers);
        sink.taken()
    })
}

/// One connection comes, subscribes, unsubscribes and goes, beside more and more others.
pub fn subscriptions() -> Plot {
    let counts = || [100, 1000, MOST, 10 * MOST];
    let curve = |name, profile: fn(usize) -> String| Curve {
        name,
        points: counts().map(|count| Point { x: count, units: 1.0, run: subscriber(count, profile) }).into(),
    };
    Plot {
        title: "Subscribing and unsubscribing beside other connections",
        axes: ["connections", "ns a subscription that comes and goes"],
        log: false,
        curves: vec![
            curve("10 connections a profile", |id| format!("other-{}", id / SHARE)),
            curve("all at one profile", |_| WANTED.to_owned()),
        ],
    }
}

fn subscriber(connections: usize, profile: fn(usize) -> String) -> Run {
    let mut hub = Hub::new();
    // Every other number is free for those that come.
    for id in 0..connections {
        hub.update(2 * id, set(profile(id)));
    }
    let mut random = Random::new(1);
    let comers: Vec<_> = (0..256)
        .map(|_| {
            let id = random.below(connections);
            (2 * id + 1, set(profile(id)))
        })
        .collect();
    let mut next = 0;
    Box::new(move || {
        let (id, set) = &comers[next % comers.len()];
        next += 1;
        hub.update(*id, set.clone());
        hub.remove(*id);
        hub.len() as u64
    })
}
