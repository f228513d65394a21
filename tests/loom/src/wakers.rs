//! Wakers that call the client when they wake and when they are dropped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use multiwa_ws_driver::Client;

use crate::kit::{Still, explore, subscribed};

struct Curious {
    client: Client<Still>,
    waker: Waker,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _ = self.client.state();
        self.waker.wake_by_ref();
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = self.client.state();
    }
}

/// Waits for `future` with a new waker at each poll.
fn curious<F: Future>(client: &Client<Still>, future: F) -> F::Output {
    let mut future = pin!(future);
    block_on(poll_fn(|cx| {
        let waker = Waker::from(Arc::new(Curious { client: client.clone(), waker: cx.waker().clone() }));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }))
}

#[test]
fn the_wakers_of_a_request_and_of_the_driver_may_call_the_client() {
    explore(|| {
        let (driven, client, updates) = subscribed(8, 0);
        drop(updates);
        let asked = client.clone();
        let asking = thread::spawn(move || {
            assert_eq!(curious(&asked, asked.ping()), Ok(Duration::ZERO));
            block_on(asked.close());
        });
        curious(&client, driven.drive());
        asking.join().unwrap();
    });
}

#[test]
fn the_wakers_of_a_reader_and_of_who_waits_for_the_end_may_call_the_client() {
    explore(|| {
        let (driven, client, mut updates) = subscribed(1, 2);
        let asked = client.clone();
        let reading = thread::spawn(move || {
            assert!(curious(&asked, updates.next_event()).is_some());
            assert!(curious(&asked, updates.next_event()).is_some());
            curious(&asked, asked.close());
        });
        block_on(driven.drive());
        reading.join().unwrap();
        drop(client);
    });
}
