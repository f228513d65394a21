//! Who is connected, and who gets what.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::SubscriptionSet;
use slab::Slab;

use super::Shared;
use super::mailbox::{Mailbox, Order, Publication};
use crate::lock;
use crate::sync::Mutex;

/// The connections of a server, those whose upgrade is under way included.
#[derive(Debug)]
pub(super) struct Registry {
    state: Mutex<State>,
    /// Notified when a connection has gone, when an upgrade is done and when the server goes down.
    changed: Event,
}

#[derive(Debug)]
struct State {
    hub: Hub<usize>,
    seats: Slab<Seat>,
    /// Seats whose upgrade was accepted.
    open: usize,
    keys: Keys,
    going_down: bool,
}

#[derive(Debug)]
struct Seat {
    mailbox: Arc<Mailbox>,
    open: bool,
    /// What let the client in.
    key: Option<KeyId>,
}

/// The keys that let clients in.
#[derive(Clone, Debug, Default)]
struct Keys {
    /// `None` lets everybody in.
    known: Option<Arc<[(KeyId, ApiKey)]>>,
    next: u64,
}

/// Names a key from when it becomes known until it is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId(u64);

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There are as many connections as there may be, or the server is going down.
    NoRoom,
    /// It shows no key that is known.
    NoKey,
}

impl Registry {
    pub(super) fn new(keys: Option<Vec<ApiKey>>) -> Self {
        let mut known = Keys::default();
        if let Some(keys) = keys {
            known.replace(keys);
        }
        let state = State { hub: Hub::new(), seats: Slab::new(), open: 0, keys: known, going_down: false };
        Self { state: Mutex::new(state), changed: Event::new() }
    }

    pub(super) fn open(&self) -> usize {
        lock(&self.state).open
    }

    /// Completes once one more upgrade may begin, with `false` when the server goes down first.
    pub(super) async fn room_to_knock(&self, max_handshakes: usize) -> bool {
        self.wait_until(|state| state.going_down || state.seats.len() - state.open < max_handshakes).await;
        !lock(&self.state).going_down
    }

    /// Completes once the server goes down.
    pub(super) async fn going_down(&self) {
        self.wait_until(|state| state.going_down).await;
    }

    /// Completes once every connection has gone.
    pub(super) async fn emptied(&self) {
        self.wait_until(|state| state.seats.is_empty()).await;
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.listen();
            if condition(&lock(&self.state)) {
                return;
            }
            changed.await;
        }
    }

    /// Which of the known keys `shown` is; nothing when every client is let in.
    pub(super) fn check_key(&self, shown: Option<&ApiKey>) -> Result<Option<KeyId>, Denied> {
        let Some(known) = lock(&self.state).keys.known.clone() else { return Ok(None) };
        let shown = shown.ok_or(Denied::NoKey)?;
        // All are compared, so that the time it takes does not tell which one it is.
        let found = known.iter().fold(None, |found, (id, key)| if key == shown { Some(*id) } else { found });
        found.map(Some).ok_or(Denied::NoKey)
    }

    /// Lets in whoever shows one of `keys` from now on, and closes the connections whose key is not among them; returns how
    /// many.
    pub(super) fn replace_keys(&self, keys: Vec<ApiKey>) -> usize {
        let mut state = lock(&self.state);
        state.keys.replace(keys);
        let known = state.keys.ids();
        let withdrawn =
            state.seats.iter().filter(|(_, seat)| seat.open && seat.key.is_none_or(|key| !known.contains(&key)));
        let mut closed = 0;
        for (_, seat) in withdrawn {
            let code = CloseCode::POLICY_VIOLATION;
            seat.mailbox.order(Order::Close { at: Instant::default(), code, reason: "the API key was withdrawn" });
            closed += 1;
        }
        closed
    }

    /// Hands `text` to everybody who subscribes to the event, and says how many they are.
    pub(super) fn publish(&self, shared: &Shared, profile: Option<&str>, name: &str, text: &str) -> usize {
        // An event for nobody is not encoded, and encoding is done without the lock.
        if lock(&self.state).hub.receivers(profile, name).next().is_none() {
            return 0;
        }
        let publication = Arc::new(Publication::new(profile, name, shared.options.encode(text)));
        let (max_queued, policy) = (shared.options.config.websocket.max_queued, shared.options.slow_reader);
        // Under one lock for all receivers, so that all get all events in one order.
        let state = lock(&self.state);
        state
            .hub
            .receivers(profile, name)
            .filter_map(|id| state.seats.get(id))
            .filter(|seat| seat.mailbox.push(&publication, max_queued, policy))
            .count()
    }

    /// Lets nobody in any more. Open connections are told to close, spread over `window`; others end.
    pub(super) fn go_down(&self, now: Instant, window: Duration) {
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.going_down, true) {
            let step = window / u32::try_from(state.open).unwrap_or(u32::MAX).max(1);
            let mut at = now;
            for (_, seat) in &state.seats {
                if !seat.open {
                    seat.mailbox.order(Order::Abort);
                    continue;
                }
                let code = CloseCode::GOING_AWAY;
                seat.mailbox.order(Order::Close { at, code, reason: "the server is shutting down" });
                at += step;
            }
        }
        drop(state);
        self.changed.notify(usize::MAX);
    }

    /// Ends what is left and returns how many of them were open.
    pub(super) fn cut(&self) -> usize {
        let mut state = lock(&self.state);
        state.going_down = true;
        for (_, seat) in &state.seats {
            seat.mailbox.order(Order::Abort);
        }
        let open = state.open;
        drop(state);
        self.changed.notify(usize::MAX);
        open
    }
}

impl Keys {
    /// Keys that stay keep their id.
    fn replace(&mut self, keys: Vec<ApiKey>) {
        let before = self.known.take().unwrap_or_default();
        let known = keys.into_iter().map(|key| {
            let id = before.iter().find(|(_, other)| *other == key).map_or_else(
                || {
                    self.next += 1;
                    KeyId(self.next)
                },
                |(id, _)| *id,
            );
            (id, key)
        });
        self.known = Some(known.collect());
    }

    fn ids(&self) -> BTreeSet<KeyId> {
        self.known.iter().flat_map(|known| known.iter()).map(|(id, _)| *id).collect()
    }
}

/// The place of one connection in the registry. Dropped, the connection has gone.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) shared: Arc<Shared>,
    id: usize,
    pub(super) mailbox: Arc<Mailbox>,
}

impl Entry {
    /// A place for a client that knocks; none when the server is going down.
    pub(super) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let mailbox = Arc::new(Mailbox::default());
        let mut state = lock(&shared.registry.state);
        if state.going_down {
            return None;
        }
        let id = state.seats.insert(Seat { mailbox: mailbox.clone(), open: false, key: None });
        drop(state);
        Some(Self { shared: shared.clone(), id, mailbox })
    }

    /// The client is let in, with the key that [`Registry::check_key`] found.
    pub(super) fn open(&self, key: Option<KeyId>) -> Result<(), Denied> {
        let mut state = lock(&self.shared.registry.state);
        if state.going_down || state.open >= self.shared.options.max_connections {
            return Err(Denied::NoRoom);
        }
        // It may have been withdrawn while the client was judged.
        if state.keys.known.is_some() && !key.is_some_and(|key| state.keys.ids().contains(&key)) {
            return Err(Denied::NoKey);
        }
        let Some(seat) = state.seats.get_mut(self.id) else { return Err(Denied::NoRoom) };
        (seat.open, seat.key) = (true, key);
        state.open += 1;
        drop(state);
        self.shared.registry.changed.notify(usize::MAX);
        Ok(())
    }

    /// The client subscribes to `set` from now on, and to nothing else.
    ///
    /// Its acknowledgement is queued and not yet written. What was published before and waits is delivered behind it if the
    /// client still wants it, and dropped if not (`protocol.md`, Subscriptions: nothing that was published before the `ack`
    /// of a subscription or after that of its removal is delivered for it).
    pub(super) fn subscribe(&self, set: SubscriptionSet) {
        let mut state = lock(&self.shared.registry.state);
        // With the lock held, no publication comes between the two.
        self.mailbox.retain(&set);
        state.hub.update(self.id, set);
    }

    /// Nothing that is published from now on is for this client; what waits still is.
    pub(super) fn unsubscribe(&self) {
        lock(&self.shared.registry.state).hub.remove(self.id);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.registry.state);
        state.hub.remove(self.id);
        if let Some(seat) = state.seats.try_remove(self.id) {
            state.open -= usize::from(seat.open);
        }
        drop(state);
        self.shared.registry.changed.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use multiwa_ws_core::session::EventNames;

    use super::*;
    use crate::server::ServerBuilder;

    fn shared(builder: ServerBuilder<()>) -> Arc<Shared> {
        builder.into_shared()
    }

    fn subscriber(shared: &Arc<Shared>, profile: &str) -> Entry {
        let entry = Entry::new(shared).unwrap();
        entry.open(None).unwrap();
        let mut set = SubscriptionSet::default();
        set.add(profile, EventNames::every());
        entry.subscribe(set);
        entry
    }

    fn taken(entry: &Entry) -> Vec<Arc<Publication>> {
        entry.mailbox.take(&Context::from_waker(Waker::noop()), usize::MAX).publications.into()
    }

    #[test]
    fn an_event_is_encoded_once_for_all_its_receivers() {
        let shared = shared(ServerBuilder::default());
        let entries = [0; 3].map(|_| subscriber(&shared, "p"));
        let other = subscriber(&shared, "q");
        assert_eq!(shared.registry.publish(&shared, Some("p"), "x", "text"), 3);
        let [first, second, third] = entries.map(|entry| taken(&entry));
        assert_eq!(first.len(), 1);
        assert!([second, third].iter().all(|taken| Arc::ptr_eq(&taken[0], &first[0])));
        assert!(taken(&other).is_empty());
    }

    #[test]
    fn whoever_has_gone_gets_nothing() {
        let shared = shared(ServerBuilder::default());
        let entry = subscriber(&shared, "p");
        assert_eq!(shared.registry.open(), 1);
        drop(entry);
        assert_eq!((shared.registry.open(), shared.registry.publish(&shared, Some("p"), "x", "text")), (0, 0));
    }

    #[test]
    fn as_many_are_let_in_as_may_be_and_not_one_more() {
        let shared = shared(ServerBuilder::default().max_connections(2));
        let entries = [0; 3].map(|_| Entry::new(&shared).unwrap());
        assert_eq!(entries.each_ref().map(|entry| entry.open(None)), [Ok(()), Ok(()), Err(Denied::NoRoom)]);
    }

    #[test]
    fn a_key_that_is_withdrawn_while_its_client_is_judged_does_not_let_it_in() {
        let keys = || ["a", "b"].map(ApiKey::new);
        let shared = shared(ServerBuilder::default().api_keys(keys()));
        let checked = keys().map(|key| shared.registry.check_key(Some(&key)).unwrap());
        assert_eq!(shared.registry.replace_keys(vec![ApiKey::new("b")]), 0);
        let entry = Entry::new(&shared).unwrap();
        assert_eq!(checked.map(|key| entry.open(key)), [Err(Denied::NoKey), Ok(())]);
        assert_eq!(entry.open(None), Err(Denied::NoKey));
    }

    #[test]
    fn a_server_that_goes_down_lets_nobody_in() {
        let shared = shared(ServerBuilder::default());
        let entry = Entry::new(&shared).unwrap();
        shared.registry.go_down(Instant::default(), Duration::ZERO);
        assert_eq!(entry.open(None), Err(Denied::NoRoom));
        assert!(Entry::new(&shared).is_none());
    }

    #[test]
    fn the_close_frames_of_a_shutdown_are_spread_over_its_window() {
        let shared = shared(ServerBuilder::default());
        let entries = [0; 4].map(|_| subscriber(&shared, "p"));
        shared.registry.go_down(Instant::from_nanos(1_000), Duration::from_nanos(400));
        let times = entries.map(|entry| match entry.mailbox.take(&Context::from_waker(Waker::noop()), 0).order {
            Some(Order::Close { at, code: CloseCode::GOING_AWAY, .. }) => at.as_nanos(),
            other => panic!("{other:?}"),
        });
        assert_eq!(times, [1_000, 1_100, 1_200, 1_300]);
    }
}
