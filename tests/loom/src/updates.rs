//! A task that waits for an update is woken by the next one. The driver is woken by room in a full queue.

use std::pin::pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;
use multiwa_ws_core::session::{CloseCause, LifecycleEvent};
use multiwa_ws_driver::Update;

use crate::kit::{explore, subscribed};

#[test]
fn every_event_goes_through_a_queue_that_is_always_full() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(1, 3);
        let reader = thread::spawn(move || {
            for _ in 0..3 {
                assert!(block_on(updates.next_event()).is_some());
            }
        });
        drop(client);
        block_on(driven.drive());
        reader.join().unwrap();
    });
}

/// The reader takes two events at once, and returns them without the lock.
#[test]
fn a_reader_that_holds_events_makes_room_for_the_next_ones() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(2, 4);
        let reader = thread::spawn(move || {
            for _ in 0..4 {
                assert!(block_on(updates.next_event()).is_some());
            }
        });
        drop(client);
        block_on(driven.drive());
        reader.join().unwrap();
    });
}

#[test]
fn the_last_update_says_that_the_client_is_closed() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(8, 1);
        let reader = thread::spawn(move || {
            let mut last = None;
            while let Some(update) = block_on(updates.next()) {
                last = Some(update.into_owned());
            }
            assert_eq!(last, Some(Update::Lifecycle(LifecycleEvent::Closed(CloseCause::Application))));
        });
        let closer = thread::spawn(move || block_on(client.close()));
        block_on(driven.drive());
        reader.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn a_reader_learns_that_its_driver_is_gone() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(8, 0);
        let reader = thread::spawn(move || while block_on(updates.next()).is_some() {});
        drop(driven);
        reader.join().unwrap();
        drop(client);
    });
}

#[test]
fn a_reader_that_changes_its_waker_is_woken_by_the_last_one() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(8, 1);
        let reader = thread::spawn(move || {
            let mut event = pin!(updates.next_event());
            if event.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                assert!(block_on(event).is_some());
            }
        });
        drop(client);
        block_on(driven.drive());
        reader.join().unwrap();
    });
}
