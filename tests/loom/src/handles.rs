//! The client closes with its last handle, and tasks that wait for a change of the client are woken.

use loom::future::block_on;
use loom::thread;
use multiwa_ws_core::session::CloseCause;

use crate::kit::{explore, opened, subscribed};

#[test]
fn the_last_of_the_handles_closes_the_client() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let other = client.clone();
        let threads = [client, other].map(|client| {
            thread::spawn(move || {
                let clone = client.clone();
                drop(client);
                let _ = clone.state();
            })
        });
        block_on(driven.drive());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn who_waits_for_a_client_to_be_ready_is_woken() {
    explore(|| {
        let (driven, client, updates) = opened(8);
        let waiting = thread::spawn(move || assert!(block_on(client.ready()).is_ok()));
        drop(updates);
        block_on(driven.drive());
        waiting.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_client_that_another_closes_is_woken() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let other = client.clone();
        let waiting = thread::spawn(move || assert_eq!(block_on(other.closed()), CloseCause::Application));
        let closing = thread::spawn(move || block_on(client.close()));
        block_on(driven.drive());
        waiting.join().unwrap();
        closing.join().unwrap();
    });
}

#[test]
fn a_task_that_waits_for_a_client_learns_that_its_driver_is_gone() {
    explore(|| {
        let (driven, client, updates) = opened(8);
        let waiting = thread::spawn(move || assert!(block_on(client.ready()).is_err()));
        drop(driven);
        waiting.join().unwrap();
        drop(updates);
    });
}
