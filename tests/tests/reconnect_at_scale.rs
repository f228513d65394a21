//! Reconnection at scale, in virtual time: a whole client and whole servers in memory, cut at every boundary between two
//! frames of a session with three subscriptions, 10,000 times.
#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use multiwa_ws_core::client::{Client, Config, TransportAction};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{
    ClientConfig, ClientEvent, ClientState, DisconnectReason, EventNames, LifecycleEvent, ReconnectConfig, ServerEvent,
};
use multiwa_ws_core::websocket::{self, SharedMessage};
use multiwa_ws_core::{Instant, KeepAlive, WallClock, server};

const PROFILES: [&str; 3] = ["a", "b", "c"];

/// Losses at every boundary, many times over.
const LOSSES: usize = 10_000;

/// Far more than a session takes: one that goes on for longer is a loop.
const MOST_UNITS: usize = 100;

/// A client that lives through all of it, and the server of its present connection.
struct World {
    now: Instant,
    client: Client,
    server: server::Connection,
    hub: Hub<()>,
    /// Bytes under way to the server and to the client.
    up: Vec<u8>,
    down: Vec<u8>,
    /// What the server was asked on this connection: how often to subscribe to each profile.
    asked: BTreeMap<String, usize>,
    /// The events that the application got on this connection.
    events: Vec<String>,
    lifecycle: Vec<LifecycleEvent>,
}

impl World {
    fn new() -> Self {
        // Without a keep-alive nothing but the session itself is on the wire.
        let session = ClientConfig::new().keep_alive(KeepAlive::OFF);
        let mut client = Client::new(Config::new().session(session), [5; 32]);
        let now = Instant::from_nanos(1);
        for profile in PROFILES {
            client.commands().subscribe(now, profile, &EventNames::every()).unwrap();
        }
        client.connect(now).unwrap();
        Self {
            now,
            client,
            server: server::Connection::new(now, &quiet()),
            hub: Hub::new(),
            up: Vec::new(),
            down: Vec::new(),
            asked: BTreeMap::new(),
            events: Vec::new(),
            lifecycle: Vec::new(),
        }
    }

    /// A new transport, to a server that knows nothing of the connections before.
    fn connect(&mut self) {
        assert!(matches!(self.client.poll_action(), Some(TransportAction::Connect { .. })));
        self.client.connected(self.now, ClientRequest::new("h", "/ws")).unwrap();
        self.server = server::Connection::new(self.now, &quiet());
        self.up.clear();
        self.down.clear();
        self.asked.clear();
        self.events.clear();
        self.lifecycle.clear();
    }

    /// Carries one unit, a head of HTTP or a frame: to the server while there are any, then to the client. Whether there was
    /// one.
    fn step(&mut self) -> bool {
        self.write();
        if let Some(mut unit) = take_unit(&mut self.up) {
            self.receive_as_server(&mut unit);
        } else if let Some(mut unit) = take_unit(&mut self.down) {
            self.receive_as_client(&mut unit);
        } else {
            return false;
        }
        self.take_lifecycle();
        true
    }

    /// Takes what both ends have to send.
    fn write(&mut self) {
        let mut slices = [&[][..]; 8];
        let filled = self.client.poll_transmit(&mut slices);
        let bytes = slices[..filled].concat();
        self.client.transmitted(self.now, bytes.len());
        self.up.extend(bytes);
        let mut slices = [&[][..]; 8];
        let filled = self.server.poll_transmit(&mut slices);
        let bytes = slices[..filled].concat();
        self.server.transmitted(self.now, bytes.len());
        self.down.extend(bytes);
    }

    fn receive_as_server(&mut self, mut unit: &mut [u8]) {
        while let Some(event) = self.server.handle_input(self.now, &mut unit).unwrap() {
            match event {
                server::Event::Requested => {
                    let clock = WallClock::new(self.now, 0);
                    self.server.accept(self.now, Acceptance::default(), "c", clock).unwrap();
                }
                server::Event::Session(ServerEvent::Subscribed { profile, .. }) => {
                    *self.asked.entry(profile.to_string()).or_default() += 1;
                    self.hub.update((), self.server.subscriptions().unwrap().clone());
                    // Published at once: behind the acknowledgement, and so for this connection.
                    self.publish(&profile);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn publish(&mut self, profile: &str) {
        let text = format!(r#"{{"type":"event","payload":{{"event":"e","profileId":"{profile}"}}}}"#);
        assert!(self.hub.receivers(Some(profile), "e").eq([()]));
        self.server.publish(&SharedMessage::text(&text)).unwrap();
    }

    fn receive_as_client(&mut self, mut unit: &mut [u8]) {
        while let Some(received) = self.client.handle_input(self.now, &mut unit) {
            match received.event {
                ClientEvent::Event(event) => self.events.push(event.profile_id().unwrap().into_owned()),
                ClientEvent::Lifecycle(lifecycle) => self.lifecycle.push(lifecycle),
                ClientEvent::Connected(_) | ClientEvent::RequestEnded { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn take_lifecycle(&mut self) {
        while let Some(event) = self.client.poll_event() {
            if let ClientEvent::Lifecycle(lifecycle) = event {
                self.lifecycle.push(lifecycle);
            }
        }
    }

    /// The transport is gone, with all that was under way.
    fn cut(&mut self) {
        self.client.handle_lost(self.now, DisconnectReason::Io);
        self.hub.remove(());
        assert_eq!(self.client.poll_action(), Some(TransportAction::Disconnect));
    }

    /// Waits for the next attempt, which comes neither at once nor later than it may.
    fn back_off(&mut self) -> Duration {
        assert_eq!((self.client.session().state(), self.client.poll_action()), (ClientState::Backoff, None));
        let attempt = self.client.session().attempt().max(1);
        let due = self.client.session().next_attempt_at().expect("a next attempt");
        let wait = due.saturating_duration_since(self.now);
        let longest = ReconnectConfig::default().ceiling(attempt);
        assert!(Duration::from_millis(1) <= wait && wait <= longest, "{wait:?} of {longest:?} after attempt {attempt}");
        // Nothing else is due before it, and a moment early nothing happens.
        assert_eq!(self.client.poll_timeout(), Some(due));
        self.client.handle_timeout(Instant::from_nanos(due.as_nanos() - 1));
        assert_eq!((self.client.session().state(), self.client.poll_action()), (ClientState::Backoff, None));
        self.now = due;
        self.client.handle_timeout(due);
        wait
    }

    /// Each subscription is active exactly once at both ends, was asked for once, and had its event once.
    fn check_whole(&self) {
        let session = self.client.session();
        assert_eq!((session.state(), session.active().len()), (ClientState::Ready, PROFILES.len()));
        assert_eq!(session.active(), self.server.subscriptions().unwrap());
        assert_eq!(*session.active(), session.desired());
        let once = PROFILES.map(|profile| (profile.to_owned(), 1)).into_iter().collect();
        assert_eq!(self.asked, once);
        // In the order of asking.
        assert_eq!(self.events, PROFILES);
        let ready = self
            .lifecycle
            .iter()
            .filter(|lifecycle| matches!(lifecycle, LifecycleEvent::Ready { failed, .. } if failed.is_empty()));
        assert_eq!(ready.count(), 1);
    }
}

/// The first whole head of HTTP or frame in `bytes`, taken out.
fn take_unit(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let len = if bytes.starts_with(b"GET ") || bytes.starts_with(b"HTTP") {
        bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4
    } else {
        let &[_, second, ..] = &bytes[..] else { return None };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        match second & 0x7f {
            126 => 4 + mask + usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
            len => 2 + mask + usize::from(len),
        }
    };
    (len <= bytes.len()).then(|| bytes.drain(..len).collect())
}

fn quiet() -> server::Config {
    server::Config::new().websocket(websocket::Config::new().keep_alive(KeepAlive::OFF))
}

/// The units of a session that nothing cuts.
fn whole_session() -> usize {
    let mut world = World::new();
    world.connect();
    let units = (0..MOST_UNITS).take_while(|_| world.step()).count();
    world.check_whole();
    units
}

#[test]
fn after_each_of_10_000_losses_every_subscription_is_active_exactly_once() {
    let units = whole_session();
    // Two heads, the connection ack, and for each profile a request, its answer and an event.
    assert_eq!(units, 2 + 1 + 3 * PROFILES.len());
    let mut world = World::new();
    let mut longest = Duration::ZERO;
    for reason in 0..LOSSES {
        world.connect();
        let cut = reason % (units + 1);
        for unit in 0..cut {
            assert!(world.step(), "nothing under way after {unit} units of {cut}");
        }
        if cut == units {
            assert!(!world.step());
            world.check_whole();
        }
        // Every fifth whole session lasts long enough to count as stable; then attempts are counted anew.
        let stable = cut == units && reason % (5 * (units + 1)) == units;
        if stable {
            world.now += Duration::from_secs(60);
        }
        world.cut();
        longest = longest.max(world.back_off());
        assert_eq!(world.client.session().attempt() == 1, stable, "after reason {reason}");
    }
    // The attempts did come to the longest wait in between.
    assert!(longest > Duration::from_secs(20), "{longest:?}");
    world.connect();
    while world.step() {}
    world.check_whole();
}
