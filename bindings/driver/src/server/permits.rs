//! Handshake permits: they limit how many upgrades of one address are in progress.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use multiwa_ws_core::Instant;

/// How long a silent client keeps its permit while other clients of its address arrive. It allows for a TLS handshake and
/// a request over a slow network.
const GRACE: Duration = Duration::from_millis(500);

/// The permits that each address holds.
#[derive(Debug)]
pub(super) struct Permits {
    /// The maximum share of one address.
    per_address: usize,
    addresses: BTreeMap<IpAddr, Holder>,
}

#[derive(Debug, Default)]
struct Holder {
    held: usize,
    /// The clients whose request has not arrived yet, oldest first.
    silent: BTreeSet<(Instant, usize)>,
}

/// The permission for one upgrade to be in progress.
#[derive(Debug)]
pub(super) struct Permit {
    /// The address whose share it counts for, if any.
    address: Option<IpAddr>,
    /// When the permit was taken, until the request has arrived.
    silent_since: Option<Instant>,
}

/// The address holds its share of permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShareHeld;

impl Permits {
    pub(super) fn new(per_address: usize) -> Self {
        Self { per_address, addresses: BTreeMap::new() }
    }

    /// Takes a permit for the client with this `id` from `address`, which has sent nothing yet. `free` is the number of
    /// permits left for all addresses.
    ///
    /// When the address holds its share, the client takes the permit of the oldest client that has been silent longer
    /// than [`GRACE`], and that client's id is returned too. So idle sockets cannot keep out active clients behind the
    /// same address. Each client has `GRACE` to send its request, at any rate of new clients.
    pub(super) fn take(
        &mut self,
        now: Instant,
        id: usize,
        address: Option<IpAddr>,
        free: usize,
    ) -> Result<(Permit, Option<usize>), ShareHeld> {
        let Some(address) = address.map(network) else {
            return Ok((Permit { address: None, silent_since: None }, None));
        };
        let mut evicted = None;
        if self.holds_share(address, free) {
            let holder = self.addresses.get_mut(&address).ok_or(ShareHeld)?;
            let (_, oldest) = *holder.silent.first().filter(|(since, _)| *since + GRACE <= now).ok_or(ShareHeld)?;
            holder.silent.pop_first();
            holder.held -= 1;
            evicted = Some(oldest);
        }
        let holder = self.addresses.entry(address).or_default();
        holder.held += 1;
        holder.silent.insert((now, id));
        Ok((Permit { address: Some(address), silent_since: Some(now) }, evicted))
    }

    /// Called when the request of a client has arrived. `forwarded` is the address that a trusted proxy names.
    pub(super) fn requested(
        &mut self,
        permit: &mut Permit,
        id: usize,
        forwarded: Option<IpAddr>,
        free: usize,
    ) -> Result<(), ShareHeld> {
        if let (Some(address), Some(since)) = (permit.address, permit.silent_since.take())
            && let Some(holder) = self.addresses.get_mut(&address)
        {
            holder.silent.remove(&(since, id));
        }
        if let Some(forwarded) = forwarded.map(network) {
            if self.holds_share(forwarded, free) {
                return Err(ShareHeld);
            }
            self.addresses.entry(forwarded).or_default().held += 1;
            permit.address = Some(forwarded);
        }
        Ok(())
    }

    /// Called when the client was accepted or has disconnected.
    pub(super) fn release(&mut self, permit: &Permit, id: usize) {
        let Some(address) = permit.address else { return };
        let Some(holder) = self.addresses.get_mut(&address) else { return };
        if let Some(since) = permit.silent_since {
            holder.silent.remove(&(since, id));
        }
        holder.held -= 1;
        if holder.held == 0 {
            self.addresses.remove(&address);
        }
    }

    /// No address holds more permits than are free for all others, so that a few addresses cannot hold all permits.
    fn holds_share(&self, address: IpAddr, free: usize) -> bool {
        self.addresses.get(&address).is_some_and(|holder| holder.held >= self.per_address.min(free))
    }
}

/// Maps an IPv6 address to its /64 network, which is what a single host usually gets (RFC 4291 section 2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn at(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    /// Takes permits for the clients `ids`, one each millisecond, starting at `start`. Returns the evicted clients.
    fn taken(
        permits: &mut Permits,
        from: &str,
        ids: std::ops::Range<usize>,
        start: u64,
    ) -> Vec<Result<Option<usize>, ShareHeld>> {
        let take = |(id, millis)| permits.take(at(millis), id, address(from), 1_000).map(|(_, evicted)| evicted);
        ids.zip(start..).map(take).collect()
    }

    #[test]
    fn f_20_each_address_has_a_share_and_no_more() {
        let mut permits = Permits::new(2);
        for (turn, other) in ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"].into_iter().enumerate() {
            let ids = turn * 3..turn * 3 + 3;
            assert_eq!(taken(&mut permits, other, ids, 0), [Ok(None), Ok(None), Err(ShareHeld)], "{other}");
        }
        for same in ["::ffff:10.0.0.1", "2001:db8::ffff:ffff:ffff:ffff"] {
            assert_eq!(taken(&mut permits, same, 20..21, 0), [Err(ShareHeld)], "{same}");
        }
        // Clients without an address have no share.
        assert!((30..40).all(|id| permits.take(at(0), id, None, 1_000).is_ok()));
    }

    #[test]
    fn f_20_clients_that_are_silent_for_too_long_lose_their_permits_the_oldest_first() {
        let mut permits = Permits::new(3);
        assert_eq!(taken(&mut permits, "10.0.0.1", 0..3, 0), [Ok(None); 3]);
        assert_eq!(taken(&mut permits, "10.0.0.1", 3..4, 499), [Err(ShareHeld)]);
        // They are evicted one each millisecond, in the order of their arrival.
        assert_eq!(taken(&mut permits, "10.0.0.1", 3..7, 500), [Ok(Some(0)), Ok(Some(1)), Ok(Some(2)), Err(ShareHeld)]);
    }

    #[test]
    fn f_20_a_client_whose_request_has_arrived_keeps_its_permit() {
        let mut permits = Permits::new(1);
        let (mut permit, _) = permits.take(at(0), 0, address("10.0.0.1"), 9).unwrap();
        assert_eq!(permits.requested(&mut permit, 0, None, 9), Ok(()));
        assert_eq!(taken(&mut permits, "10.0.0.1", 1..2, 10_000), [Err(ShareHeld)]);
        permits.release(&permit, 0);
        assert_eq!(taken(&mut permits, "10.0.0.1", 1..2, 10_000), [Ok(None)]);
    }

    #[test]
    fn f_20_nobody_holds_more_than_is_left_for_others() {
        let mut permits = Permits::new(usize::MAX);
        let mut free = 16;
        for from in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            while permits.take(at(0), free, address(from), free).is_ok() {
                free -= 1;
            }
        }
        // The addresses hold 8, 4 and 2.
        assert_eq!(free, 2);
    }

    #[test]
    fn f_20_a_forwarded_address_has_a_share_as_others() {
        let mut permits = Permits::new(1);
        let mut proxied = [0, 1].map(|id| permits.take(at(0), id, None, 9).unwrap().0);
        assert_eq!(permits.requested(&mut proxied[0], 0, address("10.0.0.1"), 9), Ok(()));
        assert_eq!(permits.requested(&mut proxied[1], 1, address("10.0.0.1"), 9), Err(ShareHeld));
        permits.release(&proxied[1], 1);
        assert_eq!(taken(&mut permits, "10.0.0.1", 2..3, 0), [Err(ShareHeld)]);
        permits.release(&proxied[0], 0);
        assert!(permits.addresses.is_empty());
    }
}
