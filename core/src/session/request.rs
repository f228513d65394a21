//! Requests of the client that have not ended, in the order in which they are sent.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::subscription::EventNames;
use crate::Instant;

/// Identifies one request of one client. It is unique across all connections of the client.
///
/// [`Display`](fmt::Display) writes it as it is sent: eight random hexadecimal digits for the client, and a number. An
/// unsolicited answer, or an answer to a request of an earlier connection, therefore matches no open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    client: u32,
    number: u64,
}

impl RequestId {
    /// Reads the form that [`fmt::Display`] writes, and no other form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (client, number) = text.split_once('-')?;
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if client.len() != 8 || !client.bytes().all(digits) || number.starts_with(['0', '+']) {
            return None;
        }
        Some(Self { client: u32::from_str_radix(client, 16).ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.client, self.number)
    }
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A `subscribe`.
    Subscribe,
    /// An `unsubscribe`.
    Unsubscribe,
    /// A `ping`.
    Ping,
}

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Subscribe { profile: Arc<str>, events: EventNames },
    Unsubscribe { profile: Option<Arc<str>> },
    Ping,
}

/// Who made a request. It decides who is notified of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Application,
    /// A desired subscription is requested again on a new connection.
    Renewal,
    KeepAlive,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) ask: Ask,
    pub(crate) origin: Origin,
    /// When the request times out. `None` means that it has timed out, or that it is a `ping` of the keep-alive, which
    /// has its own timeout.
    pub(crate) deadline: Option<Instant>,
    /// Whether the transport has accepted it.
    pub(crate) sent: bool,
    /// When its last byte was written.
    pub(crate) written: Option<Instant>,
}

impl Request {
    pub(crate) const fn kind(&self) -> RequestKind {
        match self.ask {
            Ask::Subscribe { .. } => RequestKind::Subscribe,
            Ask::Unsubscribe { .. } => RequestKind::Unsubscribe,
            Ask::Ping => RequestKind::Ping,
        }
    }

    /// Whether its timeout was reported. The request stays in the list, so that a late answer still shows that the
    /// server performed it.
    pub(crate) fn has_timed_out(&self) -> bool {
        self.deadline.is_none() && self.origin != Origin::KeepAlive
    }

    /// Extends the deadline, unless the request has timed out or has none.
    fn restart(&mut self, deadline: Instant) {
        if let Some(due) = &mut self.deadline {
            *due = deadline.max(*due);
        }
    }

    pub(crate) fn took(&self, now: Instant) -> Duration {
        self.written.map_or(Duration::ZERO, |written| now.saturating_duration_since(written))
    }
}

#[derive(Debug)]
pub(crate) struct Requests {
    queue: VecDeque<Request>,
    client: u32,
    next: u64,
}

impl Requests {
    pub(crate) const fn new(client: u32) -> Self {
        Self { queue: VecDeque::new(), client, next: 1 }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.queue.iter()
    }

    pub(crate) fn push(&mut self, ask: Ask, origin: Origin, deadline: Option<Instant>) -> RequestId {
        let id = self.id();
        self.queue.push_back(Request { id, ask, origin, deadline, sent: false, written: None });
        id
    }

    /// Inserts requests before all others, none of which was sent yet.
    pub(crate) fn renew(&mut self, asks: impl DoubleEndedIterator<Item = Ask>, deadline: Instant) {
        for ask in asks.rev() {
            let (id, deadline) = (self.id(), Some(deadline));
            self.queue.push_front(Request { id, ask, origin: Origin::Renewal, deadline, sent: false, written: None });
        }
    }

    /// Whether the application may make one more request. If there are already `max`, it drops the oldest one that was
    /// sent and timed out.
    pub(crate) fn make_room(&mut self, max: usize) -> bool {
        let ours = |request: &&Request| request.origin == Origin::Application;
        if self.queue.iter().filter(ours).count() < max {
            return true;
        }
        let forgettable =
            |request: &Request| request.origin == Origin::Application && request.has_timed_out() && request.sent;
        let Some(index) = self.queue.iter().position(forgettable) else { return false };
        self.queue.remove(index);
        true
    }

    /// The next request to send for which `may_go` is true. At most `max` requests of the application may be unanswered
    /// at a time.
    pub(crate) fn next_unsent(&self, max: usize, may_go: impl Fn(&Request) -> bool) -> Option<Request> {
        let asked =
            |request: &&Request| request.sent && request.origin == Origin::Application && !request.has_timed_out();
        let has_room = self.queue.iter().filter(asked).count() < max;
        let next = |request: &&Request| {
            !request.sent && (has_room || request.origin != Origin::Application) && may_go(request)
        };
        self.queue.iter().find(next).cloned()
    }

    /// The transport has accepted the request. Its timeout restarts.
    pub(crate) fn mark_sent(&mut self, id: RequestId, deadline: Instant) {
        if let Some(request) = self.find(id) {
            request.sent = true;
            request.restart(deadline);
        }
    }

    /// The request was written. Its timeout restarts. Returns whether it is a `ping` of the keep-alive.
    pub(crate) fn mark_written(&mut self, id: RequestId, now: Instant, timeout: Duration) -> bool {
        let Some(request) = self.find(id) else { return false };
        request.written = Some(now);
        request.restart(now + timeout);
        request.origin == Origin::KeepAlive
    }

    /// Bytes before the unwritten requests were written, or a request before them ended: the timeout of all unwritten
    /// requests restarts.
    pub(crate) fn restart_unwritten(&mut self, deadline: Instant) {
        for request in self.queue.iter_mut().filter(|request| request.written.is_none()) {
            request.restart(deadline);
        }
    }

    fn find(&mut self, id: RequestId) -> Option<&mut Request> {
        self.queue.iter_mut().find(|request| request.id == id)
    }

    /// Removes the first request for which `fits` is true.
    pub(crate) fn take(&mut self, fits: impl FnMut(&Request) -> bool) -> Option<Request> {
        let index = self.queue.iter().position(fits)?;
        self.queue.remove(index)
    }

    /// Marks the first request whose deadline has passed as timed out, and returns a copy of it.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Request> {
        let due = |request: &&mut Request| request.deadline.is_some_and(|deadline| deadline <= now);
        let request = self.queue.iter_mut().find(due)?;
        request.deadline = None;
        Some(request.clone())
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.queue.iter().filter_map(|request| request.deadline).min()
    }

    fn id(&mut self) -> RequestId {
        let id = RequestId { client: self.client, number: self.next };
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_in_no_other_form() {
        let id = RequestId { client: 0xab, number: 12 };
        assert_eq!(id.to_string(), "000000ab-12");
        assert_eq!(RequestId::parse("000000ab-12"), Some(id));
        let others = [
            "",
            "-",
            "12",
            "ab-12",
            "000000AB-12",
            "000000ab-012",
            "000000ab-+12",
            "+00000ab-12",
            "000000ab-12 ",
            "000000ab-",
        ];
        for other in others {
            assert_eq!(RequestId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn room_is_made_by_forgetting_the_oldest_that_timed_out() {
        let now = Instant::from_nanos(1);
        let mut requests = Requests::new(1);
        let first = requests.push(Ask::Ping, Origin::Application, Some(now));
        assert!(requests.make_room(2));
        let second = requests.push(Ask::Ping, Origin::Application, Some(now));
        assert!(!requests.make_room(2));
        requests.mark_sent(first, now);
        assert!(!requests.make_room(2));
        assert_eq!(requests.expire(now).map(|request| request.id), Some(first));
        assert!(requests.make_room(2));
        assert_eq!(requests.iter().map(|request| request.id).collect::<alloc::vec::Vec<_>>(), [second]);
    }
}
