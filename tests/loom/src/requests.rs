//! Each request ends exactly once, and the task that waits for it is woken.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use multiwa_ws_core::session::CommandError;
use multiwa_ws_driver::RequestError;

use crate::kit::{explore, subscribed};

#[test]
fn requests_of_two_threads_are_both_answered() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let other = client.clone();
        let threads = [client, other].map(|client| {
            thread::spawn(move || {
                let mut request = client.ping();
                assert_eq!(block_on(&mut request), Ok(Duration::ZERO));
                // The result does not change.
                assert_eq!(block_on(&mut request), Ok(Duration::ZERO));
            })
        });
        block_on(driven.drive());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_request_ends_when_its_driver_is_gone() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        let thread = thread::spawn(move || {
            let outcome = block_on(client.ping());
            assert!(
                matches!(outcome, Err(RequestError::ConnectionLost | RequestError::Command(CommandError::Closed))),
                "{outcome:?}"
            );
        });
        drop(driven);
        thread.join().unwrap();
        drop(updates);
    });
}

#[test]
fn a_request_may_be_left_while_it_ends() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let thread = thread::spawn(move || {
            let mut request = Box::pin(client.ping());
            let poll = request.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(poll, Poll::Pending | Poll::Ready(Ok(_))));
        });
        block_on(driven.drive());
        thread.join().unwrap();
    });
}

#[test]
fn a_request_that_changes_its_waker_is_woken_by_the_last_one() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let thread = thread::spawn(move || {
            let mut request = pin!(client.ping());
            let _ = request.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(block_on(request), Ok(Duration::ZERO));
        });
        block_on(driven.drive());
        thread.join().unwrap();
    });
}

#[test]
fn a_request_is_answered_while_another_thread_takes_updates() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(1, 2);
        let reader = thread::spawn(move || {
            assert!(block_on(updates.next_event()).is_some());
            let asking = thread::spawn(move || assert_eq!(block_on(client.ping()), Ok(Duration::ZERO)));
            assert!(block_on(updates.next_event()).is_some());
            asking.join().unwrap();
        });
        block_on(driven.drive());
        reader.join().unwrap();
    });
}

#[test]
fn a_request_of_the_thread_that_leaves_updates_unread_ends() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(1, 2);
        let thread = thread::spawn(move || {
            let mut request = client.ping();
            assert_eq!(block_on(&mut request), Err(RequestError::UpdatesUnread));
            assert!(block_on(updates.next_event()).is_some());
            assert!(block_on(updates.next_event()).is_some());
            // The result does not change, even if the server answers later.
            assert_eq!(block_on(&mut request), Err(RequestError::UpdatesUnread));
        });
        block_on(driven.drive());
        thread.join().unwrap();
    });
}

#[test]
fn a_full_queue_that_is_dropped_holds_up_no_request() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(1, 2);
        let reader = thread::spawn(move || {
            // This shows the client which thread takes updates.
            assert!(block_on(updates.next_event()).is_some());
            let asking = thread::spawn(move || assert_eq!(block_on(client.ping()), Ok(Duration::ZERO)));
            drop(updates);
            asking.join().unwrap();
        });
        block_on(driven.drive());
        reader.join().unwrap();
    });
}
