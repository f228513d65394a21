//! A client in a model, and a server that accepts everything.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{Action, ClientConfig, ClientSession, DisconnectReason, Features};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{Client, Clock, Overflow, QueueConfig, Updates};

/// A clock that always returns the same time.
pub(crate) struct Still;

impl Clock for Still {
    fn now() -> Instant {
        NOW
    }
}

const NOW: Instant = Instant::from_nanos(1 << 40);

/// The maximum number of preemptions: switches away from a thread that could continue.
const PREEMPTIONS: usize = 2;

/// Runs `model` in every order of its steps, up to [`PREEMPTIONS`].
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// The driver of a client, with its server.
pub(crate) struct Driven {
    driver: Driver<ClientSession>,
    /// Messages that the server has sent and the client has not read.
    incoming: VecDeque<String>,
}

/// A client that waits for the `ack` of its connection.
pub(crate) fn opened(events: usize) -> (Driven, Client<Still>, Updates<Still>) {
    let session = ClientSession::new(ClientConfig::default(), [7; 32]);
    let queue = QueueConfig::new().events(events).overflow(Overflow::Wait);
    let (driver, client, updates) = Driver::new(session, queue);
    {
        let mut turn = driver.turn(Waker::noop());
        let session = turn.machine();
        assert!(session.connect(NOW).is_ok());
        assert_eq!(session.poll_action(), Some(Action::Connect { attempt: 1 }));
        session.opened(NOW, Features::default());
        turn.settle(NOW);
    }
    let incoming = VecDeque::from([r#"{"type":"ack","payload":{"clientId":"c"}}"#.to_owned()]);
    (Driven { driver, incoming }, client, updates)
}

/// A client that is ready and subscribed. Its server has published `published` events.
pub(crate) fn subscribed(events: usize, published: usize) -> (Driven, Client<Still>, Updates<Still>) {
    let (mut driven, client, updates) = opened(events);
    let request = client.subscribe("p", ["e"]);
    assert!(!driven.turn(Waker::noop()));
    drop(request);
    let event = r#"{"type":"event","payload":{"event":"e","profileId":"p","data":1}}"#;
    driven.incoming.extend((0..published).map(|_| event.to_owned()));
    (driven, client, updates)
}

impl Driven {
    /// Drives the client until it has closed.
    pub(crate) fn drive(mut self) -> impl Future<Output = ()> {
        poll_fn(move |cx| if self.turn(cx.waker()) { Poll::Ready(()) } else { Poll::Pending })
    }

    /// Does all pending work, like a binding: it locks the client for one step after the other. Returns whether the
    /// client has closed.
    fn turn(&mut self, waker: &Waker) -> bool {
        loop {
            let mut turn = self.driver.turn(waker);
            let settled = turn.settle(NOW);
            let action = turn.machine().poll_action();
            let message = turn.machine().poll_message().map(str::to_owned);
            let over = turn.is_closed();
            drop(turn);
            let moved = match (action, message) {
                (Some(Action::Close { .. }), _) => {
                    self.driver.turn(waker).machine().lost(NOW, DisconnectReason::Eof);
                    true
                }
                (Some(_), _) => true,
                (None, Some(message)) => {
                    self.driver.turn(waker).machine().message_sent(0);
                    self.incoming.push_back(answer(&message));
                    true
                }
                (None, None) => !self.incoming.is_empty() && self.receive(waker),
            };
            if !(settled || moved) {
                return over;
            }
        }
    }

    fn receive(&mut self, waker: &Waker) -> bool {
        let mut turn = self.driver.turn(waker);
        let (session, inbox) = turn.sides();
        let mut received = false;
        while !inbox.is_full()
            && let Some(text) = self.incoming.pop_front()
        {
            received = true;
            let message = &mut Some(text.as_str());
            while let Some(event) = session.handle_message(NOW, message) {
                inbox.receive(NOW, event);
            }
        }
        received
    }
}

fn answer(message: &str) -> String {
    let id = message.split_once(r#""requestId":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id);
    let id = id.expect("a request has an id");
    let reply = if message.contains(r#""type":"ping""#) { "pong" } else { "ack" };
    format!(r#"{{"type":"{reply}","payload":{{}},"requestId":"{id}"}}"#)
}
