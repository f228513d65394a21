//! Wakers and attempts, too, may call any method of the client's handles. `tests/tests/foreign_code.rs` has providers,
//! connectors and streams.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use multiwa_ws_tokio::{Client, ConnectorError};
use tokio::io::duplex;
use tokio::runtime::Builder;

use super::support::{acknowledge, at_once, builder, in_memory, publish, send_ack, streams, subscribed};

/// The client that code of the application calls, once there is one.
type Later = Arc<OnceLock<Client>>;

/// Runs `test` in runtimes of its own, of either kind. A thread that is blocked cannot be ended: it is left behind.
fn returns<F: Future<Output = ()> + Send + 'static>(test: impl Fn() -> F) {
    let single = || Builder::new_current_thread().enable_all().build().unwrap();
    let multi = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for runtime in [single(), multi()] {
        let (done, is_done) = mpsc::channel();
        let test = test();
        thread::spawn(move || {
            runtime.block_on(test);
            let _ = done.send(());
        });
        is_done.recv_timeout(Duration::from_secs(10)).expect("it returns");
    }
}

/// An error that asks its client for its state when it is dropped.
#[derive(Debug)]
struct CuriousError(Later);

impl fmt::Display for CuriousError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not yet")
    }
}

impl Error for CuriousError {}

impl Drop for CuriousError {
    fn drop(&mut self) {
        let _ = self.0.get().map(Client::state);
    }
}

#[test]
fn f_01_an_error_of_a_provider_may_ask_its_client_for_its_state_when_it_is_dropped() {
    returns(|| async {
        let later = Later::default();
        let known = later.clone();
        let provider = move |attempt: u32| {
            let error = CuriousError(known.clone());
            async move { Err(if attempt < 4 { ConnectorError::retry(error) } else { ConnectorError::stop("enough") }) }
        };
        let (client, mut updates) = Client::builder_with(provider).reconnect(at_once()).start().unwrap();
        later.set(client).unwrap();
        while updates.next().await.is_some() {}
    });
}

/// An attempt that never ends, and asks its client for its state when it is given up.
struct GivenUp(Later);

impl Drop for GivenUp {
    fn drop(&mut self) {
        let _ = self.0.get().map(Client::status);
    }
}

#[test]
fn f_01_an_attempt_that_is_given_up_may_ask_its_client_for_its_state() {
    returns(|| async {
        let later = Later::default();
        let known = later.clone();
        let provider = move |_| {
            let attempt = GivenUp(known.clone());
            poll_fn(move |_| {
                let _ = &attempt;
                Poll::Pending
            })
        };
        let (client, _updates) = Client::builder_with(provider).start().unwrap();
        later.set(client.clone()).unwrap();
        tokio::task::yield_now().await;
        client.close().await;
    });
}

/// A waker that asks its client for its state when it wakes, and when it is dropped.
struct CuriousWaker(Client);

impl Wake for CuriousWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _ = self.0.state();
    }
}

impl Drop for CuriousWaker {
    fn drop(&mut self) {
        let _ = self.0.status();
    }
}

/// Polls `future` twice, with a waker that is dropped as soon as nobody keeps it, and the second time with one that is kept.
fn poll_twice<F: Future>(future: Pin<&mut F>, client: &Client) -> Poll<F::Output> {
    let mut future = future;
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(CuriousWaker(client.clone())));
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(output);
        }
    }
    Poll::Pending
}

#[test]
fn f_01_a_waker_may_ask_its_client_for_its_state() {
    returns(|| async {
        let (client, mut updates, mut server) = subscribed(builder(), 1 << 16).await;
        {
            let mut event = pin!(updates.next_event());
            assert!(poll_twice(event.as_mut(), &client).is_pending());
            publish(&mut server, 1).await;
            assert!(event.await.is_some());
        }
        {
            let mut pinged = pin!(client.ping());
            assert!(poll_twice(pinged.as_mut(), &client).is_pending());
            acknowledge(&mut server).await;
            pinged.await.unwrap();
        }
        {
            let mut given_up = Box::pin(client.ping());
            assert!(poll_twice(given_up.as_mut(), &client).is_pending());
            drop(given_up);
        }
        let mut closed = pin!(client.closed());
        assert!(poll_twice(closed.as_mut(), &client).is_pending());
        tokio::join!(client.close(), async { while server.next().await.unwrap().is_some() {} });
        closed.await;
    });
}

#[test]
fn f_01_a_waker_may_ask_a_client_that_is_not_ready_for_its_state() {
    returns(|| async {
        let (near, far) = duplex(4096);
        let (sender, connector) = streams();
        sender.send(near).unwrap();
        let (client, _updates) = builder().start_with(connector).unwrap();
        let mut ready = pin!(client.ready());
        assert!(poll_twice(ready.as_mut(), &client).is_pending());
        let _server = send_ack(far).await;
        ready.await.unwrap();
    });
}

#[test]
fn f_01_requests_that_end_with_their_runtime_may_ask_their_client_for_its_state() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (client, _updates, _server) = runtime.block_on(in_memory(builder(), 4096));
        let mut pinged = pin!(client.ping());
        assert!(poll_twice(pinged.as_mut(), &client).is_pending());
        drop(runtime);
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(10)).expect("it returns");
}
