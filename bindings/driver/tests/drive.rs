//! A client whose session is driven by hand: what a binding that does its own I/O relies on.
#![cfg(test)]

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{
    Action, ClientConfig, ClientSession, ClientState, CloseCause, DisconnectReason, Event, Features, LifecycleEvent,
};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{Client, Clock, Overflow, QueueConfig, RequestError, Update, Updates};

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
    fn new(events: usize, overflow: Overflow) -> Self {
        let session = ClientSession::new(ClientConfig::default(), [7; 32]);
        let (driver, client, updates) = Driver::new(session, QueueConfig::new().events(events).overflow(overflow));
        let calls = Arc::new(Calls::default());
        Self { driver, client, updates, waker: Waker::from(calls.clone()), calls }
    }

    /// A client that is ready.
    fn ready(events: usize, overflow: Overflow) -> Self {
        let driven = Self::new(events, overflow);
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
        let message = &mut Some(text);
        while let Some(event) = session.handle_message(NOW, message) {
            inbox.receive(NOW, event);
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
        turn.machine().message_sent(0);
        message.split_once(r#""requestId":""#).unwrap().1.split('"').next().unwrap().to_owned()
    }

    fn subscribe(&self) {
        let mut request = pin!(self.client.subscribe("p", ["e"]));
        let id = self.send();
        self.receive(&format!(r#"{{"type":"ack","payload":{{"action":"subscribed"}},"requestId":"{id}"}}"#));
        assert_eq!(poll(request.as_mut()), Poll::Ready(Ok(Duration::ZERO)));
    }

    /// Takes what a client that has become ready tells.
    fn pass_lifecycle(&mut self) {
        while let Poll::Ready(Some(update)) = poll(pin!(self.updates.next())) {
            assert!(matches!(update, Update::Lifecycle(_)), "{update:?}");
        }
    }

    fn calls(&self) -> u32 {
        self.calls.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
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
    driven.pass_lifecycle();
    driven.subscribe();
    driven.receive_event(1);
    assert!(driven.driver.turn(&driven.waker).sides().1.is_full());
    let calls = driven.calls();
    assert!(matches!(poll(pin!(driven.updates.next())), Poll::Ready(Some(Update::Event(_)))));
    assert_eq!(driven.calls(), calls + 1);
    assert!(!driven.driver.turn(&driven.waker).sides().1.is_full());
}

#[test]
fn the_streams_give_what_the_lending_calls_give() {
    let driven = Driven::ready(8, Overflow::Wait);
    driven.subscribe();
    (1..=3).for_each(|n| driven.receive_event(n));
    let Driven { updates, client: _client, driver: _driver, .. } = driven;
    let data = |event: &Event<'_>| event.data().map(str::to_owned);

    let mut events = updates.into_events();
    let Poll::Ready(Some(event)) = poll_next(&mut events) else { panic!("no event") };
    assert_eq!(data(&event).as_deref(), Some("1"));
    let mut updates = events.into_updates();
    let Poll::Ready(Some(Update::Event(event))) = poll_next(&mut updates) else { panic!("no event") };
    assert_eq!(data(&event).as_deref(), Some("2"));
    let Poll::Ready(Some(event)) = poll(pin!(updates.next_event())) else { panic!("no event") };
    assert_eq!(data(&event).as_deref(), Some("3"));
    assert!(poll_next(&mut updates).is_pending());
}

#[test]
fn receiving_and_taking_events_allocates_nothing() {
    let mut driven = Driven::ready(1024, Overflow::Wait);
    driven.subscribe();
    let text = r#"{"type":"event","payload":{"event":"e","profileId":"p","data":{"body":"hello"}}}"#;
    // Bursts, so that a queue that does not keep what it needs would show.
    let mut burst = |len: u32| {
        (0..len).for_each(|_| driven.receive(text));
        let mut taken = 0;
        while let Poll::Ready(Some(event)) = poll(pin!(driven.updates.next_event())) {
            assert!(event.as_str() == text);
            taken += 1;
        }
        assert_eq!(taken, len);
    };
    burst(300);
    let allocated = allocation_counter::measure(|| (0..10).for_each(|_| burst(300)));
    assert_eq!(allocated.count_total, 0);
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
    turn.machine().lost(earlier, DisconnectReason::Io);
    turn.settle(earlier);
    drop(turn);
    let status = driven.client.status();
    assert_eq!(
        (status.state, status.last_disconnect.map(|last| last.reason()), status.attempt),
        (ClientState::Backoff, Some(DisconnectReason::Io), 1)
    );
    // The clock stands still at the moment of the last message, three seconds before the loss.
    assert_eq!((status.last_traffic, status.gap), (Some(Duration::ZERO), Some(Duration::ZERO)));
    let next = status.next_attempt_in.unwrap();
    assert!((Duration::from_secs(3)..=Duration::from_millis(3500)).contains(&next), "{next:?}");
    assert_eq!((status.active.len(), status.desired.len()), (0, 1));
}

#[test]
fn a_driver_that_is_dropped_ends_everything() {
    let Driven { driver, client, mut updates, waker, .. } = Driven::ready(8, Overflow::Wait);
    let mut request = pin!(client.ping());
    let mut closed = pin!(client.closed());
    assert!(poll(request.as_mut()).is_pending() && poll(closed.as_mut()).is_pending());
    drop((driver, waker));
    assert_eq!(poll(request), Poll::Ready(Err(RequestError::ConnectionLost)));
    assert_eq!(poll(closed), Poll::Ready(CloseCause::Lost(DisconnectReason::Stopped)));
    assert_eq!((client.state(), client.status().state), (ClientState::Closed, ClientState::Closed));
    let mut last = None;
    while let Poll::Ready(Some(update)) = poll(pin!(updates.next())) {
        last = Some(update.into_owned());
    }
    assert_eq!(last, Some(Update::Lifecycle(LifecycleEvent::Closed(CloseCause::Lost(DisconnectReason::Stopped)))));
}

/// Asks a client for its state when it wakes, and when it is dropped.
struct Curious(Client<Still>);

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _ = self.0.state();
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = self.0.state();
    }
}

#[test]
fn f_01_the_waker_of_a_driver_may_ask_its_client_for_its_state() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let driven = Driven::ready(1, Overflow::Wait);
        let curious = || Waker::from(Arc::new(Curious(driven.client.clone())));
        // The first one is replaced, the second one woken, and dropped with the driver.
        for waker in [curious(), curious()] {
            assert!(!driven.driver.turn(&waker).is_closed());
        }
        drop(driven.client.ping());
        drop(driven.client.clone());
        let Driven { driver, client, updates, .. } = driven;
        drop(updates);
        drop(driver);
        assert_eq!(client.state(), ClientState::Closed);
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(10)).expect("it returns");
}
