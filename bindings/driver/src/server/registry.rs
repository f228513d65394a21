//! The registry of the connections and their subscriptions.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::SubscriptionSet;
use multiwa_ws_core::websocket::SharedMessage;
use slab::Slab;

use super::batch::{Batch, cost};
use super::mailbox::{Mailbox, Order};
use super::permits::{Permit, Permits};
use super::settings::Settings;
use super::wakers::Wakers;
use crate::lock;
use crate::sync::Mutex;

/// The connections of a server, including those whose upgrade is in progress.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) state: Mutex<State>,
}

/// What the lock of a [`Registry`] protects.
#[derive(Debug)]
pub(super) struct State {
    hub: Hub<usize>,
    latest: Option<Latest>,
    pub(super) slots: Slab<Slot>,
    /// The number of slots whose upgrade was accepted.
    pub(super) open: usize,
    pub(super) permits: Permits,
    keys: Keys,
    pub(super) shutting_down: bool,
    /// Tasks that wait until a connection ends, an upgrade completes or the server shuts down.
    pub(super) waiting: Vec<Waker>,
}

/// The latest publication. The next one goes to the same receivers if it is of the same topic.
#[derive(Debug)]
struct Latest {
    batch: Weak<Batch>,
    receivers: usize,
    /// The bytes of events that may be added to the batch: every receiver has room for them.
    room: usize,
}

/// The maximum size of a batch that grows. All of its events stay in memory until the slowest receiver has taken the last
/// one.
const LARGEST_BATCH: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) mailbox: Arc<Mailbox>,
    /// The permit of an upgrade in progress, unless another client took it.
    pub(super) permit: Option<Box<Permit>>,
    pub(super) open: bool,
    /// The API key of the client.
    pub(super) key: Option<KeyId>,
}

/// The API keys that the server accepts.
#[derive(Clone, Debug, Default)]
struct Keys {
    /// `None` accepts every client.
    known: Option<Arc<[(KeyId, ApiKey)]>>,
    next: u64,
}

/// Identifies a key from its addition to its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId(NonZeroU64);

/// Why a client is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The limit of connections or the address's share of permits is used up, the client has lost its permit, or the
    /// server is shutting down.
    NoRoom,
    /// The client sent no valid key.
    NoKey,
}

impl Registry {
    /// An address may hold at most `handshakes_per_address` permits.
    pub(super) fn new(keys: Option<Vec<ApiKey>>, handshakes_per_address: usize) -> Self {
        let mut known = Keys::default();
        if let Some(keys) = keys {
            known.replace(keys);
        }
        let state = State {
            hub: Hub::new(),
            latest: None,
            slots: Slab::new(),
            open: 0,
            permits: Permits::new(handshakes_per_address),
            keys: known,
            shutting_down: false,
            waiting: Vec::new(),
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn open(&self) -> usize {
        lock(&self.state).open
    }

    pub(super) fn subscribers(&self) -> usize {
        lock(&self.state).hub.len()
    }

    /// Waits until a handshake permit is free. Returns `false` if the server shuts down first.
    pub(super) async fn handshake_permit(&self, max_handshakes: usize) -> bool {
        self.wait_until(|state| state.shutting_down || state.handshakes() < max_handshakes).await;
        !lock(&self.state).shutting_down
    }

    /// Waits until the server shuts down.
    pub(super) async fn shutting_down(&self) {
        self.wait_until(|state| state.shutting_down).await;
    }

    /// Waits until every connection has ended.
    pub(super) async fn emptied(&self) {
        self.wait_until(|state| state.slots.is_empty()).await;
    }

    async fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        poll_fn(|cx| self.poll_until(cx, &condition)).await;
    }

    fn poll_until(&self, cx: &Context<'_>, condition: impl Fn(&State) -> bool) -> Poll<()> {
        // The waker is cloned before the lock is taken, and dropped after it is released if it is not needed.
        let mut waker = Some(cx.waker().clone());
        let mut state = lock(&self.state);
        if condition(&state) {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waiting| waiting.will_wake(cx.waker())) {
            state.waiting.extend(waker.take());
        }
        drop(state);
        drop(waker);
        Poll::Pending
    }

    /// Returns the id of the key `shown`, or `None` if the server accepts every client.
    pub(super) fn check_key(&self, shown: Option<&ApiKey>) -> Result<Option<KeyId>, Denied> {
        let Some(known) = lock(&self.state).keys.known.clone() else { return Ok(None) };
        let shown = shown.ok_or(Denied::NoKey)?;
        // All keys are compared, so that the response time does not reveal which one matched.
        let found = known.iter().fold(None, |found, (id, key)| if key == shown { Some(*id) } else { found });
        found.map(Some).ok_or(Denied::NoKey)
    }

    /// Replaces the accepted keys, and closes the connections whose key is not among them. Returns their number.
    pub(super) fn replace_keys(&self, keys: Vec<ApiKey>) -> usize {
        let mut wakers = Wakers::new();
        let mut state = lock(&self.state);
        state.keys.replace(keys);
        let known = state.keys.ids();
        let withdrawn =
            state.slots.iter().filter(|(_, slot)| slot.open && slot.key.is_none_or(|key| !known.contains(&key)));
        let mut closed = 0;
        for (_, slot) in withdrawn {
            let (code, reason) = (CloseCode::POLICY_VIOLATION, "the API key was withdrawn");
            slot.mailbox.order(Order::Close { at: Instant::default(), code, reason }, &mut wakers);
            closed += 1;
        }
        drop(state);
        wakers.wake();
        closed
    }

    /// Queues `text` for all clients that subscribe to the event, and returns their number.
    pub(super) fn publish(&self, settings: &Settings, profile: Option<&str>, name: &str, text: &str) -> usize {
        // An event without receivers is not encoded. The encoding is done without the lock.
        if lock(&self.state).hub.receivers(profile, name).next().is_none() {
            return 0;
        }
        let event = settings.encode(text);
        let mut wakers = Wakers::new();
        // One lock for all receivers gives all of them the same order of events.
        let mut state = lock(&self.state);
        let added = state.add(profile, name, &event);
        let receivers = added.unwrap_or_else(|| state.queue(settings, profile, name, event, &mut wakers));
        drop(state);
        wakers.wake();
        receivers
    }

    /// Stops accepting clients. Open connections get an order to close, spread over `window`; others are aborted.
    pub(super) fn shut_down(&self, now: Instant, window: Duration) {
        let mut wakers = Wakers::new();
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.shutting_down, true) {
            let step = window / u32::try_from(state.open).unwrap_or(u32::MAX).max(1);
            let mut at = now;
            for (_, slot) in &state.slots {
                if !slot.open {
                    slot.mailbox.order(Order::Abort, &mut wakers);
                    continue;
                }
                let (code, reason) = (CloseCode::GOING_AWAY, "the server is shutting down");
                slot.mailbox.order(Order::Close { at, code, reason }, &mut wakers);
                at += step;
            }
        }
        wakers.add(state.waiting.drain(..));
        drop(state);
        wakers.wake();
    }

    /// Aborts all remaining connections and returns how many of them were open.
    pub(super) fn abort(&self) -> usize {
        let mut wakers = Wakers::new();
        let mut state = lock(&self.state);
        state.shutting_down = true;
        for (_, slot) in &state.slots {
            slot.mailbox.order(Order::Abort, &mut wakers);
        }
        let open = state.open;
        wakers.add(state.waiting.drain(..));
        drop(state);
        wakers.wake();
        open
    }
}

impl State {
    /// Replaces the subscriptions of a connection.
    pub(super) fn subscribe(&mut self, id: usize, set: SubscriptionSet) {
        self.latest = None;
        self.hub.update(id, set);
    }

    /// Removes the subscriptions of a connection.
    pub(super) fn unsubscribe(&mut self, id: usize) {
        self.latest = None;
        self.hub.remove(id);
    }

    /// Adds the event to the latest batch, if it has the same receivers and none of them has looked at it yet, and returns
    /// their number. They were woken for the first event.
    fn add(&mut self, profile: Option<&str>, name: &str, event: &SharedMessage) -> Option<usize> {
        let latest = self.latest.as_mut()?;
        let batch = latest.batch.upgrade().filter(|batch| batch.is_of(profile, name))?;
        latest.room = latest.room.checked_sub(cost(event))?;
        batch.add(event).then_some(latest.receivers)
    }

    /// Queues the event for its receivers as a batch, and returns their number.
    fn queue(
        &mut self,
        settings: &Settings,
        profile: Option<&str>,
        name: &str,
        event: SharedMessage,
        wakers: &mut Wakers,
    ) -> usize {
        let (max_queued, policy) = (settings.websocket.get_max_queued(), settings.slow_reader);
        let batch = Batch::new(profile, name, event);
        let (mut receivers, mut room) = (0, LARGEST_BATCH);
        for slot in self.hub.receivers(profile, name).filter_map(|id| self.slots.get(id)) {
            let left = slot.mailbox.push(&batch, max_queued, policy, wakers);
            receivers += usize::from(left.is_some());
            // The policy counts each event that does not fit.
            room = room.min(left.unwrap_or(0));
        }
        self.latest = Some(Latest { batch: Arc::downgrade(&batch), receivers, room });
        receivers
    }

    /// Whether a client with this key, which [`Registry::check_key`] found, is still accepted.
    pub(super) fn accepts(&self, key: Option<KeyId>) -> bool {
        self.keys.known.is_none() || key.is_some_and(|key| self.keys.ids().contains(&key))
    }

    /// The number of upgrades in progress.
    pub(super) fn handshakes(&self) -> usize {
        self.slots.len() - self.open
    }

    /// The number of free permits. It is at least 1: the permit of the client that is being checked.
    pub(super) fn free_permits(&self, max_handshakes: usize) -> usize {
        max_handshakes.saturating_sub(self.handshakes()).max(1)
    }
}

impl Keys {
    /// Keys that remain keep their id.
    fn replace(&mut self, keys: Vec<ApiKey>) {
        let before = self.known.take().unwrap_or_default();
        let known = keys.into_iter().map(|key| {
            let id = before.iter().find(|(_, other)| *other == key).map_or_else(
                || {
                    self.next += 1;
                    KeyId(NonZeroU64::MIN.saturating_add(self.next))
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::{Context, Wake, Waker};
    use std::thread;

    use multiwa_ws_core::session::EventNames;
    use multiwa_ws_core::websocket;

    use super::*;
    use crate::server::entry::Entry;
    use crate::server::shared::Shared;
    use crate::server::{ServerBuilder, SlowReader};

    fn shared(builder: ServerBuilder<()>) -> Arc<Shared> {
        builder.into_shared()
    }

    /// A waker that calls every method of a server handle, when it wakes and when it is dropped.
    struct Hostile {
        shared: Arc<Shared>,
        calls: AtomicUsize,
    }

    impl Hostile {
        fn new(shared: &Arc<Shared>) -> Arc<Self> {
            Arc::new(Self { shared: shared.clone(), calls: AtomicUsize::new(0) })
        }

        fn call_back(&self) {
            // Skip calls made from within its own calls.
            if self.calls.fetch_add(1, Ordering::Relaxed) > 0 {
                return;
            }
            let registry = &self.shared.registry;
            registry.publish(&self.shared.settings, Some("p"), "x", "text");
            registry.replace_keys(Vec::new());
            let _ = (registry.open(), registry.check_key(None));
            let cx = &mut Context::from_waker(Waker::noop());
            let _ = (pin!(registry.emptied()).poll(cx), pin!(registry.shutting_down()).poll(cx));
            drop(newcomer(&self.shared));
            registry.shut_down(Instant::default(), Duration::ZERO);
            registry.abort();
        }
    }

    impl Wake for Hostile {
        fn wake(self: Arc<Self>) {
            self.call_back();
        }
    }

    impl Drop for Hostile {
        fn drop(&mut self) {
            self.call_back();
        }
    }

    #[test]
    fn f_01_wakers_are_woken_and_dropped_without_a_lock() {
        type Act = fn(&Arc<Shared>);
        // Whether each call wakes a connection, and a task that waits for a change of the server.
        let acts: [(&str, Act, [bool; 2]); 5] = [
            ("publish", |shared| _ = shared.registry.publish(&shared.settings, Some("p"), "x", "text"), [true, false]),
            ("replace keys", |shared| _ = shared.registry.replace_keys(vec![ApiKey::new("b")]), [true, false]),
            ("shutdown", |shared| shared.registry.shut_down(Instant::default(), Duration::ZERO), [true, true]),
            ("abort", |shared| _ = shared.registry.abort(), [true, true]),
            ("connect and disconnect", |shared| drop(subscriber(shared, "q")), [false, true]),
        ];
        for (name, act, wakes) in acts {
            for (waits_for_its_mail, wakes) in [true, false].into_iter().zip(wakes) {
                // A deadlock must not block the whole test run.
                let (done, finished) = mpsc::channel();
                thread::spawn(move || {
                    let shared = shared(ServerBuilder::default());
                    let entries = [0; 2].map(|_| subscriber(&shared, "p"));
                    let hostile = Hostile::new(&shared);
                    let waker = Waker::from(hostile.clone());
                    let mut cx = Context::from_waker(&waker);
                    let mut emptied = pin!(shared.registry.emptied());
                    if waits_for_its_mail {
                        entries[0].mailbox.take(&cx, usize::MAX);
                    } else {
                        assert!(emptied.as_mut().poll(&mut cx).is_pending());
                    }
                    act(&shared);
                    done.send(hostile.calls.load(Ordering::Relaxed) > 0).unwrap();
                });
                let finished = finished.recv_timeout(Duration::from_secs(5));
                assert_eq!(finished, Ok(wakes), "{name}, {waits_for_its_mail}");
            }
        }
    }

    #[test]
    fn f_01_a_waker_that_is_replaced_is_dropped_without_a_lock() {
        let (done, finished) = mpsc::channel();
        thread::spawn(move || {
            let shared = shared(ServerBuilder::default());
            let entry = subscriber(&shared, "p");
            for _ in 0..2 {
                let waker = Waker::from(Hostile::new(&shared));
                entry.mailbox.take(&Context::from_waker(&waker), usize::MAX);
            }
            taken(&entry);
            done.send(()).unwrap();
        });
        assert_eq!(finished.recv_timeout(Duration::from_secs(5)), Ok(()));
    }

    fn newcomer(shared: &Arc<Shared>) -> Option<Entry> {
        Entry::new(shared, Instant::default(), None)
    }

    fn subscriber(shared: &Arc<Shared>, profile: &str) -> Entry {
        let entry = newcomer(shared).unwrap();
        entry.open(None).unwrap();
        entry.subscribe(set(&[profile]));
        entry
    }

    /// The events in the mailbox.
    fn taken(entry: &Entry) -> Vec<SharedMessage> {
        take(entry, Waker::noop())
    }

    fn take(entry: &Entry, waker: &Waker) -> Vec<SharedMessage> {
        let mail = entry.mailbox.take(&Context::from_waker(waker), usize::MAX);
        mail.portions.iter().flat_map(|portion| portion.events().to_vec()).collect()
    }

    /// Publishes an event of this profile, and returns the number of its receivers.
    fn publish(shared: &Shared, profile: &str, text: &str) -> usize {
        shared.registry.publish(&shared.settings, Some(profile), "x", text)
    }

    fn events(texts: &[&str]) -> Vec<SharedMessage> {
        texts.iter().map(|text| SharedMessage::text(text)).collect()
    }

    fn set(profiles: &[&str]) -> SubscriptionSet {
        let mut set = SubscriptionSet::default();
        profiles.iter().for_each(|profile| set.add(*profile, EventNames::every()));
        set
    }

    #[test]
    fn an_event_is_encoded_once_for_all_its_receivers() {
        let shared = shared(ServerBuilder::default());
        let entries = [0; 3].map(|_| subscriber(&shared, "p"));
        let other = subscriber(&shared, "q");
        assert_eq!((publish(&shared, "p", "1"), publish(&shared, "p", "2")), (3, 3));
        let lies = |entry: &Entry| taken(entry).iter().map(|event| event.payload().as_ptr()).collect::<Vec<_>>();
        let [first, second, third] = entries.each_ref().map(lies);
        assert_eq!(first.len(), 2);
        assert_eq!((&second, &third), (&first, &first));
        assert!(taken(&other).is_empty());
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_burst_wakes_each_receiver_once() {
        let shared = shared(ServerBuilder::default());
        let entries = [0; 3].map(|_| (subscriber(&shared, "p"), Arc::new(Count::default())));
        let look = || entries.each_ref().map(|(entry, count)| take(entry, &Waker::from(count.clone())));
        look();
        for round in 1..4 {
            for text in ["1", "2", "3"] {
                assert_eq!(publish(&shared, "p", text), 3);
            }
            assert!(entries.iter().all(|(_, count)| count.0.load(Ordering::Relaxed) == round));
            assert!(look().iter().all(|taken| *taken == events(&["1", "2", "3"])));
        }
    }

    #[test]
    fn events_of_several_topics_keep_their_order() {
        let shared = shared(ServerBuilder::default());
        let [one, both] = [&["p"][..], &["p", "q"]].map(|profiles| {
            let entry = subscriber(&shared, "p");
            entry.subscribe(set(profiles));
            entry
        });
        let topics = [("p", "1"), ("p", "2"), ("q", "3"), ("p", "4"), ("nobody", "5"), ("p", "6"), ("q", "7")];
        let receivers = topics.map(|(profile, text)| publish(&shared, profile, text));
        assert_eq!(receivers, [2, 2, 1, 2, 0, 2, 1]);
        assert_eq!(shared.registry.publish(&shared.settings, Some("q"), "y", "8"), 1);
        assert_eq!(shared.registry.publish(&shared.settings, None, "y", "9"), 2);
        assert_eq!(taken(&one), events(&["1", "2", "4", "6", "9"]));
        assert_eq!(taken(&both), events(&["1", "2", "3", "4", "6", "7", "8", "9"]));
    }

    #[test]
    fn a_subscription_in_the_middle_of_a_burst_counts_from_there() {
        let shared = shared(ServerBuilder::default());
        let stays = subscriber(&shared, "p");
        let leaves = subscriber(&shared, "p");
        assert_eq!((publish(&shared, "p", "1"), publish(&shared, "p", "2")), (2, 2));
        let comes = subscriber(&shared, "p");
        assert_eq!((publish(&shared, "p", "3"), publish(&shared, "p", "4")), (3, 3));
        leaves.subscribe(SubscriptionSet::default());
        assert_eq!((publish(&shared, "p", "5"), publish(&shared, "p", "6")), (2, 2));
        leaves.subscribe(set(&["p"]));
        assert_eq!((publish(&shared, "p", "7"), publish(&shared, "p", "8")), (3, 3));
        comes.unsubscribe();
        assert_eq!((publish(&shared, "p", "9"), publish(&shared, "p", "10")), (2, 2));
        assert_eq!(taken(&stays), events(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]));
        assert_eq!(taken(&leaves), events(&["7", "8", "9", "10"]));
        assert_eq!(taken(&comes), events(&["3", "4", "5", "6", "7", "8"]));
    }

    #[test]
    fn a_receiver_that_looks_in_the_middle_of_a_burst_misses_nothing() {
        let shared = shared(ServerBuilder::default());
        let [one, other] = [0; 2].map(|_| subscriber(&shared, "p"));
        assert_eq!((publish(&shared, "p", "1"), publish(&shared, "p", "2")), (2, 2));
        assert_eq!(taken(&one), events(&["1", "2"]));
        assert_eq!((publish(&shared, "p", "3"), publish(&shared, "p", "4")), (2, 2));
        assert_eq!(taken(&one), events(&["3", "4"]));
        assert_eq!(taken(&other), events(&["1", "2", "3", "4"]));
    }

    #[test]
    fn a_burst_is_bounded_for_each_receiver() {
        for (policy, receivers, kept) in [
            (SlowReader::DropNewest, [2, 2, 1, 1], &["1", "2"][..]),
            (SlowReader::DropOldest, [2, 2, 2, 2], &["3", "4"]),
            (SlowReader::Close, [2, 2, 1, 1], &[]),
        ] {
            // Each event counts 65 bytes.
            let config = websocket::Config::new().max_queued(4 * 65);
            let shared = shared(ServerBuilder::default().websocket(config).slow_reader(policy));
            let [fast, slow] = [0; 2].map(|_| subscriber(&shared, "p"));
            // What is being written counts, too.
            slow.mailbox.note_unwritten(2 * 65);
            assert_eq!(["1", "2", "3", "4"].map(|text| publish(&shared, "p", text)), receivers, "{policy:?}");
            assert_eq!(taken(&fast), events(&["1", "2", "3", "4"]));
            assert_eq!(taken(&slow), events(kept), "{policy:?}");
            let dropped = if policy == SlowReader::Close { 3 } else { 2 };
            assert_eq!((fast.mailbox.dropped(), slow.mailbox.dropped()), (0, dropped), "{policy:?}");
        }
    }

    #[test]
    fn a_batch_does_not_grow_without_end() {
        let shared = shared(ServerBuilder::default());
        let entry = subscriber(&shared, "p");
        let text = "e".repeat(LARGEST_BATCH / 4);
        for _ in 0..10 {
            assert_eq!(publish(&shared, "p", &text), 1);
        }
        let mail = entry.mailbox.take(&Context::from_waker(Waker::noop()), usize::MAX);
        let lens: Vec<_> = mail.portions.iter().map(|portion| portion.events().len()).collect();
        assert!(lens.iter().sum::<usize>() == 10 && lens.iter().all(|len| (2..=4).contains(len)), "{lens:?}");
    }

    #[test]
    fn a_connection_that_has_ended_gets_nothing() {
        let shared = shared(ServerBuilder::default());
        let entry = subscriber(&shared, "p");
        assert_eq!(shared.registry.open(), 1);
        drop(entry);
        assert_eq!((shared.registry.open(), shared.registry.publish(&shared.settings, Some("p"), "x", "text")), (0, 0));
    }

    #[test]
    fn as_many_clients_are_accepted_as_the_limit_allows_and_no_more() {
        let shared = shared(ServerBuilder::default().max_connections(2));
        let entries = [0; 3].map(|_| newcomer(&shared).unwrap());
        assert_eq!(entries.each_ref().map(|entry| entry.open(None)), [Ok(()), Ok(()), Err(Denied::NoRoom)]);
    }

    #[test]
    fn a_key_that_is_withdrawn_before_the_decision_is_refused() {
        let keys = || ["a", "b"].map(ApiKey::new);
        let shared = shared(ServerBuilder::default().api_keys(keys()));
        let checked = keys().map(|key| shared.registry.check_key(Some(&key)).unwrap());
        assert_eq!(shared.registry.replace_keys(vec![ApiKey::new("b")]), 0);
        let entry = newcomer(&shared).unwrap();
        assert_eq!(checked.map(|key| entry.open(key)), [Err(Denied::NoKey), Ok(())]);
        assert_eq!(entry.open(None), Err(Denied::NoKey));
    }

    #[test]
    fn a_server_that_shuts_down_accepts_nobody() {
        let shared = shared(ServerBuilder::default());
        let entry = newcomer(&shared).unwrap();
        shared.registry.shut_down(Instant::default(), Duration::ZERO);
        assert_eq!(entry.open(None), Err(Denied::NoRoom));
        assert!(newcomer(&shared).is_none());
    }

    #[test]
    fn the_close_frames_of_a_shutdown_are_spread_over_its_window() {
        let shared = shared(ServerBuilder::default());
        let entries = [0; 4].map(|_| subscriber(&shared, "p"));
        shared.registry.shut_down(Instant::from_nanos(1_000), Duration::from_nanos(400));
        let times = entries.map(|entry| match entry.mailbox.take(&Context::from_waker(Waker::noop()), 0).order {
            Some(Order::Close { at, code: CloseCode::GOING_AWAY, .. }) => at.as_nanos(),
            other => panic!("{other:?}"),
        });
        assert_eq!(times, [1_000, 1_100, 1_200, 1_300]);
    }
}
