//! A client whose session is driven by hand: what a binding that does its own I/O relies on.
#![cfg(test)]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{Action, ClientConfig, ClientSession, ClientState, CloseCause, Features, Loss, Notice};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{Client, Clock, Overflow, RequestError, Update, Updates};

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now() -> Instant {
        NOW
    }
}

const NOW: Instant = Instant::from_nanos(1 << 40);

/// Counts how often a driver was called.
#[derive(Default)]
struct Calls(AtomicU32);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Driven {
    driver: Driver<ClientSession>,
    client: Client<Still>,
    updates: Updates<Still>,
    calls: Arc<Calls>,
    waker: Waker,
}

impl Driven {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        let session = ClientSession::new(ClientConfig::default(), [7; 32]);
        let (driver, client, updates) = Driver::new(session, capacity, overflow);
        let calls = Arc::new(Calls::default());
        Self { driver, client, updates, waker: Waker::from(calls.clone()), calls }
    }

    /// A client that is ready.
    fn ready(capacity: usize, overflow: Overflow) -> Self {
        let driven = Self::new(capacity, overflow);
        let mut turn = driven.driver.turn(&driven.waker);
        turn.machine().connect(NOW).unwrap();
        assert_eq!(turn.machine().poll_action(), Some(Action::Connect { attempt: 1 }));
        turn.machine().opened(NOW, Features::default());
        turn.settle(NOW);
        drop(turn);
        driven.receive(r#"{"type":"ack","payload":{"clientId":"c"}}"#);
        driven
    }

    fn receive(&self, text: &str) {
        let mut turn = self.driver.turn(&self.waker);
        let (session, inbox) = turn.sides();
        if let Some(event) = session.handle_message(NOW, text) {
            inbox.receive(event);
        }
        turn.settle(NOW);
    }

    fn receive_event(&self, n: u32) {
        self.receive(&format!(r#"{{"type":"event","payload":{{"event":"e","profileId":"p","data":{n}}}}}"#));
    }

    /// Sends the next message and returns the identifier in it.
    fn send(&self) -> String {
        let mut turn = self.driver.turn(&self.waker);
        let message = turn.machine().poll_message().expect("a message").to_owned();
        turn.machine().message_sent();
        message.split_once(r#""requestId":""#).unwrap().1.split('"').next().unwrap().to_owned()
    }

    fn subscribe(&self) {
        let mut request = pin!(self.client.subscribe("p", ["e"]));
        let id = self.send();
        self.receive(&format!(r#"{{"type":"ack","payload":{{"action":"subscribed"}},"requestId":"{id}"}}"#));
        assert_eq!(poll(request.as_mut()), Poll::Ready(Ok(Duration::ZERO)));
    }

    fn calls(&self) -> u32 {
        self.calls.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_command_calls_the_driver_and_its_answer_ends_the_request() {
    let driven = Driven::ready(8, Overflow::Wait);
    assert_eq!(driven.calls(), 0);
    let mut request = pin!(driven.client.ping());
    assert_eq!((driven.calls(), poll(request.as_mut())), (1, Poll::Pending));

    let id = driven.send();
    driven.receive(&format!(r#"{{"type":"pong","payload":{{}},"requestId":"{id}"}}"#));
    assert_eq!(poll(request), Poll::Ready(Ok(Duration::ZERO)));
}

#[test]
fn a_full_queue_asks_for_a_pause_until_something_is_taken() {
    let mut driven = Driven::ready(1, Overflow::Wait);
    while !matches!(poll(pin!(driven.updates.next())), Poll::Ready(Some(Update::Notice(Notice::Ready { .. })))) {}
    driven.subscribe();
    driven.receive_event(1);
    assert!(driven.driver.turn(&driven.waker).sides().1.is_full());
    let calls = driven.calls();
    assert!(matches!(poll(pin!(driven.updates.next())), Poll::Ready(Some(Update::Event(_)))));
    assert_eq!(driven.calls(), calls + 1);
    assert!(!driven.driver.turn(&driven.waker).sides().1.is_full());
}

#[test]
fn too_many_events_close_a_client_whose_policy_that_is() {
    let driven = Driven::ready(1, Overflow::Close);
    driven.subscribe();
    driven.receive_event(1);
    assert_eq!(driven.client.state(), ClientState::Ready);
    driven.receive_event(2);
    assert_eq!((driven.client.state(), driven.client.status().dropped), (ClientState::Closing, 1));
}

#[test]
fn the_last_handle_to_go_closes_the_client() {
    let Driven { driver, client, updates, calls, waker } = Driven::ready(8, Overflow::Wait);
    let other = client.clone();
    drop((client, updates));
    assert_eq!(driver.turn(&waker).machine().state(), ClientState::Ready);
    let before = calls.0.load(Ordering::Relaxed);
    drop(other);
    assert_eq!(driver.turn(&waker).machine().state(), ClientState::Closing);
    assert_eq!(calls.0.load(Ordering::Relaxed), before + 1);
}

#[test]
fn the_status_counts_from_the_present() {
    let driven = Driven::ready(8, Overflow::Wait);
    driven.subscribe();
    let earlier = NOW + Duration::from_secs(3);
    let mut turn = driven.driver.turn(&driven.waker);
    turn.machine().lost(earlier, Loss::Io);
    turn.settle(earlier);
    drop(turn);
    let status = driven.client.status();
    assert_eq!((status.state, status.last_loss, status.attempt), (ClientState::Backoff, Some(Loss::Io), 1));
    // The clock stands still at the moment of the last message, three seconds before the loss.
    assert_eq!((status.last_traffic, status.gap), (Some(Duration::ZERO), Some(Duration::ZERO)));
    let next = status.next_attempt_in.unwrap();
    assert!((Duration::from_secs(3)..=Duration::from_millis(3500)).contains(&next), "{next:?}");
    assert_eq!((status.live.len(), status.wanted.len()), (0, 1));
}

#[test]
fn a_driver_that_is_dropped_ends_everything() {
    let Driven { driver, client, mut updates, waker, .. } = Driven::ready(8, Overflow::Wait);
    let mut request = pin!(client.ping());
    let mut closed = pin!(client.closed());
    assert!(poll(request.as_mut()).is_pending() && poll(closed.as_mut()).is_pending());
    drop((driver, waker));
    assert_eq!(poll(request), Poll::Ready(Err(RequestError::ConnectionLost)));
    assert_eq!(poll(closed), Poll::Ready(CloseCause::Lost(Loss::Stopped)));
    let mut last = None;
    while let Poll::Ready(Some(update)) = poll(pin!(updates.next())) {
        last = Some(update);
    }
    assert_eq!(last, Some(Update::Notice(Notice::Closed(CloseCause::Lost(Loss::Stopped)))));
}
