//! Growth of the cost of events and subscriptions for a server.

use std::cell::RefCell;
use std::rc::Rc;

use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{EventNames, SubscriptionSet};
use multiwa_ws_core::websocket::{SharedMessage, WebSocket};

use super::curves::{Curve, Plot, Point};
use crate::corpus::{EVENT, Keys, Reader, WANTED, event};
use crate::memory::Sink;
use crate::ours::{Run, socket, write};
use crate::random::Random;

/// The number of connections that share a profile, except for the published profile.
const SHARE: usize = 10;
const MOST: usize = 10_000;

/// An increasing number of receivers among a constant number of connections.
pub fn receivers() -> Plot {
    let cases: Vec<_> = [1, 3, 10, 30, 100, 300, 1000, 3000, MOST].map(|receivers| (receivers, receivers, MOST)).into();
    Plot {
        title: "Publishing to more and more of 10,000 connections",
        axes: ["receivers", "us an event"],
        log: true,
        curves: publishing(&cases),
    }
}

/// A constant number of receivers among an increasing number of connections.
pub fn connections() -> Plot {
    let cases: Vec<_> = [100, 300, 1000, 3000, MOST].map(|connections| (connections, 10, connections)).into();
    Plot {
        title: "Publishing to 10 of more and more connections",
        axes: ["connections", "us an event"],
        log: false,
        curves: publishing(&cases),
    }
}

/// The cost of finding the receivers, and of finding them and writing to each. A case is its position on the axis, its
/// number of receivers and its number of connections.
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

/// A hub in which the first `receivers` connections subscribe to [`WANTED`]. The others subscribe to other profiles,
/// ten to each.
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
        let message = SharedMessage::text(&text);
        let mut sockets = sockets.borrow_mut();
        let mut delivered = 0;
        for id in hub.receivers(Some(WANTED), EVENT) {
            sockets[id].sender().send_shared(&message).expect("there is room");
            write(&mut sockets[id], &sink);
            delivered += 1;
        }
        assert_eq!(delivered, receivers);
        sink.taken()
    })
}

/// One connection is added, subscribes, unsubscribes and is removed, among an increasing number of others.
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
    // Every second number is free for new connections.
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
