//! The entry of one connection in the registry.

use std::net::IpAddr;
use std::sync::Arc;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::SubscriptionSet;

use super::mailbox::{Mailbox, Order};
use super::observer::Observed;
use super::permits::ShareHeld;
use super::registry::{Denied, KeyId, Slot, State};
use super::shared::Shared;
use super::wakers::Wakers;
use crate::lock;

/// The entry of one connection in the registry. Dropping it removes the connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) shared: Arc<Shared>,
    id: usize,
    pub(super) mailbox: Arc<Mailbox>,
}

impl Entry {
    /// Makes an entry for a client from `address` that starts an upgrade. Returns `None` if the server is shutting down,
    /// or the address holds its share of permits. This client may take the permit of another client.
    pub(super) fn new(shared: &Arc<Shared>, now: Instant, address: Option<IpAddr>) -> Option<Self> {
        Self::take(shared, now, address, usize::MAX)
    }

    /// Makes an entry for a client whose request has arrived already, so it cannot wait for a permit. Also returns `None`
    /// if no permit is free.
    #[cfg(feature = "http")]
    pub(super) fn for_request(shared: &Arc<Shared>, now: Instant, address: Option<IpAddr>) -> Option<Self> {
        Self::take(shared, now, address, shared.settings.max_handshakes)
    }

    fn take(shared: &Arc<Shared>, now: Instant, address: Option<IpAddr>, max_handshakes: usize) -> Option<Self> {
        // Connections of a trusted proxy count for the addresses of its clients.
        let counted = address.filter(|address| !shared.settings.trusted_proxies.trust(*address));
        let mailbox = Arc::new(Mailbox::default());
        let mut wakers = Wakers::new();
        let mut state = lock(&shared.registry.state);
        if state.shutting_down || state.handshakes() >= max_handshakes {
            return None;
        }
        let (id, free) = (state.slots.vacant_key(), state.free_permits(shared.settings.max_handshakes));
        let taken = state.permits.take(now, id, counted, free);
        let evicted = match &taken {
            Ok((_, evicted)) => evicted.and_then(|evicted| state.slots.get_mut(evicted)),
            Err(ShareHeld) => None,
        };
        if let Some(evicted) = evicted {
            evicted.permit = None;
            evicted.mailbox.order(Order::Abort, &mut wakers);
        }
        let share_held = !matches!(taken, Ok((_, None)));
        let entry = taken.ok().map(|(permit, _)| {
            state.slots.insert(Slot {
                mailbox: mailbox.clone(),
                permit: Some(Box::new(permit)),
                open: false,
                key: None,
            });
            Self { shared: shared.clone(), id, mailbox }
        });
        drop(state);
        wakers.wake();
        if let Some(address) = counted
            && share_held
        {
            shared.observe(Observed::ShareHeld { address });
        }
        entry
    }

    /// Called when the request of the client has arrived. `forwarded` is the address that a trusted proxy names.
    pub(super) fn requested(&self, forwarded: Option<IpAddr>) -> Result<(), Denied> {
        let mut state = lock(&self.shared.registry.state);
        let free = state.free_permits(self.shared.settings.max_handshakes);
        let State { slots, permits, .. } = &mut *state;
        let permit = slots.get_mut(self.id).and_then(|slot| slot.permit.as_mut()).ok_or(Denied::NoRoom)?;
        permits.requested(permit, self.id, forwarded, free).map_err(|ShareHeld| Denied::NoRoom)
    }

    /// Accepts the client, with the key that [`Registry::check_key`](super::registry::Registry::check_key) found.
    pub(super) fn open(&self, key: Option<KeyId>) -> Result<(), Denied> {
        let mut wakers = Wakers::new();
        let mut state = lock(&self.shared.registry.state);
        if state.shutting_down || state.open >= self.shared.settings.max_connections {
            return Err(Denied::NoRoom);
        }
        // The key may have been removed while the application decided.
        if !state.accepts(key) {
            return Err(Denied::NoKey);
        }
        let State { slots, permits, .. } = &mut *state;
        let slot = slots.get_mut(self.id).ok_or(Denied::NoRoom)?;
        let permit = slot.permit.take().ok_or(Denied::NoRoom)?;
        permits.release(&permit, self.id);
        (slot.open, slot.key) = (true, key);
        state.open += 1;
        wakers.add(state.waiting.drain(..));
        drop(state);
        wakers.wake();
        Ok(())
    }

    /// Replaces the subscriptions of the client with `set`.
    ///
    /// The `ack` is queued but not yet written. Queued publications follow it if they match `set`, and are dropped if not
    /// (`protocol.md`, Subscriptions: an event that was published before the `ack` of a subscription, or after the `ack`
    /// of its removal, is not delivered for it).
    pub(super) fn subscribe(&self, set: SubscriptionSet) {
        let mut state = lock(&self.shared.registry.state);
        // While the lock is held, no publication comes between the two calls.
        self.mailbox.retain(&set);
        state.subscribe(self.id, set);
    }

    /// Stops new publications for this client. The queued publications stay.
    pub(super) fn unsubscribe(&self) {
        lock(&self.shared.registry.state).unsubscribe(self.id);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut wakers = Wakers::new();
        let mut state = lock(&self.shared.registry.state);
        state.unsubscribe(self.id);
        if let Some(slot) = state.slots.try_remove(self.id) {
            state.open -= usize::from(slot.open);
            if let Some(permit) = &slot.permit {
                state.permits.release(permit, self.id);
            }
        }
        wakers.add(state.waiting.drain(..));
        drop(state);
        wakers.wake();
    }
}
