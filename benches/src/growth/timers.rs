//! Growth of the cost of deadlines.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::WebSocket;
use tokio::time::Sleep;

use super::curves::{Curve, Plot, Point};
use crate::corpus::{Reader, frame};
use crate::memory::Sink;
use crate::ours::{Run, socket, write};

const COUNTS: [usize; 9] = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000];

/// Deadlines of an increasing number of connections.
pub fn deadlines() -> Plot {
    let curve = |name, run: fn(usize) -> Run| Curve {
        name,
        points: COUNTS.map(|count| Point { x: count, units: count as f64, run: run(count) }).into(),
    };
    Plot {
        title: "Deadlines of more and more connections",
        axes: ["connections", "ns a connection"],
        log: true,
        curves: vec![
            curve("keep-alive: deadline, ping, write, pong", keep_alive),
            curve("a timer of tokio, set anew", timers),
            curve("ask for the deadline", ask),
        ],
    }
}

fn sockets(count: usize) -> Vec<WebSocket> {
    (0..count).map(|_| socket(Reader::Server)).collect()
}

fn ask(count: usize) -> Run {
    let sockets = sockets(count);
    Box::new(move || sockets.iter().filter(|socket| black_box(socket.poll_timeout()).is_some()).count() as u64)
}

/// Every connection is idle until it is pinged, and then answers.
fn keep_alive(count: usize) -> Run {
    let mut sockets = sockets(count);
    let sink = Sink::default();
    let mut pong = Vec::new();
    frame(&mut pong, true, 0xA, Some([1, 2, 3, 4]), &[0; 4]);
    let mut input = pong.clone();
    let mut now = Instant::from_nanos(1);
    Box::new(move || {
        let due = sockets[0].poll_timeout().expect("there is a keep-alive");
        now = due.max(now);
        for socket in &mut sockets {
            socket.handle_timeout(now);
            write(socket, &sink);
            input.copy_from_slice(&pong);
            socket.handle_input(now, &mut &mut input[..]).expect("a pong is no fault");
        }
        sink.taken()
    })
}

/// One sleep for each task. A pass resets one sleep after the other to another time.
fn timers(count: usize) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("it needs no more");
    let far = || tokio::time::Instant::now() + Duration::from_secs(3600);
    let mut context = Context::from_waker(Waker::noop());
    let mut sleeps: Vec<Pin<Box<Sleep>>> = {
        let _entered = runtime.enter();
        (0..count).map(|_| Box::pin(tokio::time::sleep_until(far()))).collect()
    };
    for sleep in &mut sleeps {
        assert!(sleep.as_mut().poll(&mut context).is_pending());
    }
    let mut offset = 0;
    Box::new(move || {
        let _entered = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        offset = (offset + 1) % 1000;
        let at = far() + Duration::from_secs(offset);
        for sleep in &mut sleeps {
            sleep.as_mut().reset(at);
            black_box(sleep.as_mut().poll(&mut context).is_pending());
        }
        offset
    })
}
