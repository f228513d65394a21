//! Which address of a host is tried when (RFC 8305, "happy eyeballs"). This module does no I/O.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::Instant;

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address for TCP.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    #[cfg(unix)]
    Unix(Arc<Path>),
}

/// The delay before the next address is tried in parallel (RFC 8305 section 5). After a failure the next is tried at
/// once.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The addresses that are still to be tried, and how many attempts run.
#[derive(Debug)]
pub(super) struct Race {
    waiting: VecDeque<Address>,
    running: usize,
    /// The time of the next attempt. `None`: at once.
    next: Option<Instant>,
}

impl Race {
    /// Tries one address only.
    #[cfg(unix)]
    pub(super) fn single(address: Address) -> Self {
        Self { waiting: [address].into(), running: 0, next: None }
    }

    /// Tries `addresses`. IPv6 and IPv4 alternate, starting with the family of the first address. Within a family the order
    /// stays, because it is the system's preference (RFC 8305 section 4). Returns `None` if there is no address.
    pub(super) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Option<Self> {
        let mut addresses = addresses.into_iter().peekable();
        let first = *addresses.peek()?;
        let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
            addresses.partition(|address| address.is_ipv6() == first.is_ipv6());
        let mut waiting = VecDeque::with_capacity(one.len() + other.len());
        while !(one.is_empty() && other.is_empty()) {
            waiting.extend(one.pop_front().map(Address::Tcp));
            waiting.extend(other.pop_front().map(Address::Tcp));
        }
        Some(Self { waiting, running: 0, next: None })
    }

    /// The next address, if it is to be tried now.
    pub(super) fn poll_address(&mut self, now: Instant) -> Option<Address> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.running += 1;
        self.next = Some(now + ATTEMPT_DELAY);
        Some(address)
    }

    /// When the next address is to be tried, if one is left and it must wait.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next.filter(|_| !self.waiting.is_empty())
    }

    /// Processes the failure of an attempt. The next one may start at once.
    ///
    /// # Errors
    /// The same error, if it was the last attempt and no address is left.
    pub(super) fn failed(&mut self, error: io::Error) -> io::Result<()> {
        self.running = self.running.saturating_sub(1);
        self.next = None;
        if self.running == 0 && self.waiting.is_empty() { Err(error) } else { Ok(()) }
    }
}
