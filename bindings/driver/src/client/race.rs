//! Connects to the first address of a host that answers (RFC 8305, "happy eyeballs").

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::Runtime;
use crate::transport::Timer;

/// The delay before the next address is tried in parallel (RFC 8305 section 5). After a failure the next is tried at
/// once.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Sorts addresses into the order in which to try them: IPv6 and IPv4 alternate, starting with the family of the first
/// address. Within a family the order stays, because it is the system's preference (RFC 8305 section 4).
#[must_use]
pub fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.into_iter().peekable();
    let Some(first) = addresses.peek().copied() else { return Vec::new() };
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv6() == first.is_ipv6());
    let mut sorted = Vec::with_capacity(one.len() + other.len());
    while !(one.is_empty() && other.is_empty()) {
        sorted.extend(one.pop_front());
        sorted.extend(other.pop_front());
    }
    sorted
}

/// Connects to the first of `addresses` that answers, and cancels all other attempts.
///
/// # Errors
/// The last error, if every address failed.
pub(super) async fn race<R, C, F, T>(addresses: Vec<SocketAddr>, connect: C) -> io::Result<T>
where
    R: Runtime,
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut race = Race::<R, F> {
        waiting: interleave(addresses).into(),
        running: Vec::new(),
        timer: Timer::new(),
        next: R::now(),
        failure: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    };
    poll_fn(move |cx| race.poll(cx, &connect)).await
}

struct Race<R: Runtime, F> {
    waiting: VecDeque<SocketAddr>,
    running: Vec<Pin<Box<F>>>,
    timer: Timer<R>,
    /// The time of the next attempt.
    next: multiwa_ws_core::Instant,
    failure: io::Error,
}

impl<R: Runtime, F, T> Race<R, F>
where
    F: Future<Output = io::Result<T>>,
{
    fn poll(&mut self, cx: &mut Context<'_>, connect: impl Fn(SocketAddr) -> F) -> Poll<io::Result<T>> {
        loop {
            if let Some(stream) = self.poll_running(cx) {
                return Poll::Ready(Ok(stream));
            }
            let due = self.running.is_empty() || self.timer.poll_until(cx, self.next).is_ready();
            match self.waiting.front() {
                None if self.running.is_empty() => {
                    return Poll::Ready(Err(std::mem::replace(&mut self.failure, io::ErrorKind::NotFound.into())));
                }
                Some(address) if due => {
                    self.running.push(Box::pin(connect(*address)));
                    self.waiting.pop_front();
                    self.next = R::now() + ATTEMPT_DELAY;
                }
                _ => return Poll::Pending,
            }
        }
    }

    /// Returns the stream of an attempt that succeeded. After a failed attempt the next one may start.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<T> {
        let mut index = 0;
        while let Some(attempt) = self.running.get_mut(index) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => return Some(stream),
                Poll::Ready(Err(error)) => {
                    self.failure = error;
                    self.next = R::now();
                    drop(self.running.remove(index));
                }
                Poll::Pending => index += 1,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use multiwa_ws_core::Instant;
    use tokio::time;

    use super::*;
    use crate::Clock;

    /// tokio's clock, which a test can pause.
    struct Paused;

    impl Clock for Paused {
        fn now() -> Instant {
            let elapsed = time::Instant::now().saturating_duration_since(*EPOCH);
            Instant::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap())
        }
    }

    impl Runtime for Paused {
        type Sleep = time::Sleep;

        fn sleep_until(at: Instant) -> Self::Sleep {
            time::sleep_until(*EPOCH + Duration::from_nanos(at.as_nanos()))
        }
    }

    static EPOCH: std::sync::LazyLock<time::Instant> = std::sync::LazyLock::new(time::Instant::now);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// The address, the delay in milliseconds, and the result of an attempt.
    type Plan = (&'static str, u64, Result<(), io::ErrorKind>);

    /// Returns the winner or the error, and the start time of each attempt.
    async fn run(plans: &[Plan]) -> (io::Result<SocketAddr>, Vec<(SocketAddr, u64)>) {
        let start = time::Instant::now();
        let began = Mutex::new(Vec::new());
        let addresses = plans.iter().map(|(text, ..)| address(text)).collect();
        let connect = |to: SocketAddr| {
            let at = u64::try_from(start.elapsed().as_millis()).unwrap();
            began.lock().unwrap().push((to, at));
            let (_, after, outcome) = *plans.iter().find(|(text, ..)| address(text) == to).unwrap();
            async move {
                time::sleep(Duration::from_millis(after)).await;
                outcome.map(|()| to).map_err(Into::into)
            }
        };
        let result = race::<Paused, _, _, _>(addresses, connect).await;
        (result, began.into_inner().unwrap())
    }

    const NEVER: u64 = 1_000_000;

    #[test]
    fn families_take_turns_beginning_with_the_one_that_the_system_prefers() {
        let sorted = |texts: &[&str]| {
            let sorted = interleave(texts.iter().map(|text| address(text)));
            sorted.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            sorted(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]
        );
        assert_eq!(sorted(&["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"]), ["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]);
        assert_eq!(sorted(&["1.1.1.1:1"]), ["1.1.1.1:1"]);
        assert!(sorted(&[]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_is_overtaken_after_a_quarter_of_a_second() {
        let (result, began) = run(&[("[::1]:1", NEVER, Ok(())), ("1.1.1.1:1", 10, Ok(()))]).await;
        assert_eq!(result.unwrap(), address("1.1.1.1:1"));
        assert_eq!(began, [(address("[::1]:1"), 0), (address("1.1.1.1:1"), 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_go_on_beside_each_other() {
        let (result, began) =
            run(&[("[::1]:1", 600, Ok(())), ("1.1.1.1:1", NEVER, Ok(())), ("[::2]:1", 500, Ok(()))]).await;
        assert_eq!(result.unwrap(), address("[::1]:1"));
        assert_eq!(began.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_followed_by_the_next_address_at_once() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        let (result, began) =
            run(&[("[::1]:1", 20, refused), ("1.1.1.1:1", 30, refused), ("[::2]:1", 5, Ok(()))]).await;
        assert_eq!(result.unwrap(), address("[::2]:1"));
        assert_eq!(began.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 20, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_failure_is_told_once_every_address_has_failed() {
        let (result, began) = run(&[
            ("[::1]:1", 300, Err(io::ErrorKind::TimedOut)),
            ("1.1.1.1:1", 10, Err(io::ErrorKind::ConnectionRefused)),
        ])
        .await;
        assert_eq!((result.unwrap_err().kind(), began.len()), (io::ErrorKind::TimedOut, 2));
        assert_eq!(run(&[]).await.0.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
