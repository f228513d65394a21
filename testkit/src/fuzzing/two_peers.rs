//! A client with all of its connections, and the server's side of each, over links with arbitrary faults.
//!
//! Input: a `Workload`, decoded with `arbitrary`. After its steps all faults stop. Then the client must become ready
//! again, have the same subscriptions as the server, and receive exactly the events that are published for them.

mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{self, Client, TransportAction};
use multiwa_ws_core::handshake::{ClientRequest, DeflateOffer};
use multiwa_ws_core::session::{
    ClientConfig, ClientEvent, ClientState, DisconnectReason, EventNames, LifecycleEvent, RawJson, RequestId,
    SecondProfile, encode_event,
};
use multiwa_ws_core::websocket::SharedMessage;

use crate::link::Arrival;
use transport::{LinkPlan, ServerPlan, Transport};

#[derive(Arbitrary, Debug)]
struct Workload {
    seed: u8,
    displace: bool,
    deflate: bool,
    server: ServerPlan,
    /// The links of the first connections. Later connections have no faults.
    links: Vec<LinkPlan>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Subscribe { profile: u8, names: u8 },
    Unsubscribe { profile: Option<u8> },
    Ping,
    Publish { profile: Option<u8>, name: u8 },
    Pass { millis: u16 },
    Connect,
    Pause,
    Resume,
    ServerClose { code: u16 },
    ServerAbort,
    ClientClose,
}

const PROFILES: [&str; 3] = ["p", "q", "r"];
const NAMES: [&str; 4] = ["*", "qr.updated", "message.received", "x"];

/// More steps take longer and find nothing new.
const MAX_STEPS: usize = 60;

/// Longer than a client needs to become ready over links without faults, and longer than a server waits for a client
/// that has left.
const LONG: Duration = Duration::from_secs(400);

/// Runs the steps of one workload, then stops the faults and compares both peers.
pub fn run(data: &[u8]) {
    let Ok(workload) = Workload::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut world = World::new(&workload);
    for step in workload.steps.iter().take(MAX_STEPS) {
        world.step(step);
    }
    world.heal();
    world.compare();
    world.end();
}

struct World<'w> {
    workload: &'w Workload,
    now: Instant,
    client: Client,
    paused: bool,
    /// The current transport of the client.
    transport: Option<Transport>,
    /// Transports that the client has dropped. Their servers continue until they detect it.
    left: Vec<Transport>,
    connections: usize,
    pending: BTreeSet<RequestId>,
    /// The published events by number: profile and name.
    published: BTreeMap<u64, (Option<&'static str>, &'static str)>,
    closed: bool,
}

impl<'w> World<'w> {
    fn new(workload: &'w Workload) -> Self {
        let rule = if workload.displace { SecondProfile::Displace } else { SecondProfile::Refuse };
        let config = client::Config::new().session(ClientConfig::new().second_profile(rule));
        Self {
            workload,
            now: Instant::from_nanos(1_000_000_000),
            client: Client::new(config, [workload.seed; 32]),
            paused: false,
            transport: None,
            left: Vec::new(),
            connections: 0,
            pending: BTreeSet::new(),
            published: BTreeMap::new(),
            closed: false,
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        let requested = match step {
            Step::Subscribe { profile, names } => {
                let chosen = NAMES.iter().enumerate().filter(|(index, _)| names >> index & 1 == 1);
                let names: EventNames = chosen.map(|(_, name)| *name).collect();
                self.client.commands().subscribe(now, pick(&PROFILES, *profile), &names).ok()
            }
            Step::Unsubscribe { profile } => {
                let profile = profile.map(|profile| pick(&PROFILES, profile));
                self.client.commands().unsubscribe(now, profile).ok()
            }
            Step::Ping => self.client.commands().ping(now).ok(),
            Step::Publish { profile, name } => {
                self.publish(profile.map(|profile| pick(&PROFILES, profile)), pick(&NAMES, *name));
                None
            }
            Step::Pass { millis } => {
                self.pass(Duration::from_millis((*millis).into()));
                None
            }
            Step::Connect => {
                let _ = self.client.connect(now);
                None
            }
            Step::Pause => {
                self.paused = true;
                self.client.reading_paused(now);
                None
            }
            Step::Resume => {
                self.resume();
                None
            }
            Step::ServerClose { code } => {
                if let Some(transport) = &mut self.transport {
                    transport.close_server(now, *code);
                }
                None
            }
            Step::ServerAbort => {
                if let Some(transport) = &mut self.transport {
                    transport.server.abort(now);
                }
                None
            }
            Step::ClientClose => {
                self.client.commands().close(now);
                None
            }
        };
        if let Some(id) = requested {
            assert!(self.pending.insert(id), "{id} was given twice");
        }
        self.pump();
    }

    fn resume(&mut self) {
        self.paused = false;
        self.client.reading_resumed(self.now);
    }

    /// Publishes one event to the client's current connection, if the connection subscribes to it. Returns whether it
    /// was sent.
    fn publish(&mut self, profile: Option<&'static str>, name: &'static str) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        if !transport.server.subscriptions().is_some_and(|set| set.matches(profile, name)) {
            return false;
        }
        let number = self.published.len() as u64;
        self.published.insert(number, (profile, name));
        let data = number.to_string();
        let Ok(data) = RawJson::parse(&data) else { panic!("{data} is a number") };
        let text = encode_event(name, profile, &data, "2026-02-05T10:00:00.000Z");
        let message = SharedMessage::text(&text).compressed(1);
        let taken = transport.server.publish(&message).is_ok();
        if taken {
            transport.on_their_way.push_back(number);
        }
        taken
    }

    /// Lets time pass, and handles every deadline and every arrival at its time.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        let mut wakes = 0;
        while let Some(next) = self.next_wake().filter(|next| *next <= end) {
            wakes = if next > self.now { 0 } else { wakes + 1 };
            assert!(wakes < 100, "woken at {next:?} again and again");
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now);
            self.pump();
        }
        self.now = end;
    }

    fn next_wake(&self) -> Option<Instant> {
        let transports = self.transport.iter().chain(&self.left);
        let wakes = transports.filter_map(|transport| transport.next_wake(self.paused));
        wakes.chain(self.client.poll_timeout()).min()
    }

    /// Moves bytes and events until nothing moves any more.
    fn pump(&mut self) {
        for _ in 0..100_000 {
            let moved = self.act() | self.write() | self.read() | self.drive_servers() | self.lifecycle();
            if !moved {
                return;
            }
        }
        panic!("the peers never rest");
    }

    fn act(&mut self) -> bool {
        let Some(action) = self.client.poll_action() else { return false };
        match action {
            TransportAction::Disconnect => self.leave(),
            TransportAction::Connect { .. } | TransportAction::Redirect(_) => {
                self.leave();
                let plan = self.workload.links.get(self.connections).cloned().unwrap_or_default();
                self.connections += 1;
                if plan.unreachable {
                    self.client.connect_failed(self.now, DisconnectReason::Io);
                    return true;
                }
                let seed = u64::from(self.workload.seed) + self.connections as u64;
                self.transport = Some(Transport::new(self.now, seed, plan, self.workload.server));
                let request = ClientRequest {
                    deflate: self.workload.deflate.then(DeflateOffer::default),
                    ..ClientRequest::new("h", "/ws?apiKey=k")
                };
                assert_eq!(self.client.connected(self.now, request), Ok(()));
            }
        }
        true
    }

    fn leave(&mut self) {
        if let Some(mut transport) = self.transport.take() {
            transport.up.shut_down(self.now.as_nanos());
            transport.client_left = true;
            self.left.push(transport);
        }
    }

    fn write(&mut self) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        let mut slices = [&[][..]; 3];
        let filled = self.client.poll_transmit(&mut slices);
        let bytes = slices[..filled].concat();
        let taken = transport.up.send(self.now.as_nanos(), &bytes);
        self.client.transmitted(self.now, taken);
        let shutdown = self.client.poll_shutdown();
        if shutdown {
            transport.up.shut_down(self.now.as_nanos());
            self.client.shutdown_done();
        }
        taken > 0 || shutdown
    }

    fn read(&mut self) -> bool {
        if self.paused {
            return false;
        }
        let Some(transport) = &mut self.transport else { return false };
        let Some(arrival) = transport.down.receive(self.now.as_nanos()) else { return false };
        match arrival {
            Arrival::Eof => self.client.handle_eof(self.now),
            Arrival::Reset => self.client.handle_lost(self.now, DisconnectReason::Io),
            Arrival::Bytes(mut bytes) => {
                let mut input = bytes.as_mut_slice();
                while let Some(received) = self.client.handle_input(self.now, &mut input) {
                    match received.event {
                        ClientEvent::RequestEnded { id, .. } => {
                            assert!(self.pending.remove(&id), "{id} ended twice");
                        }
                        ClientEvent::Event(event) if !transport.is_corrupted() => {
                            let number = event.data().and_then(|data| data.parse().ok());
                            let Some(number) = number else { panic!("{event:?} was not published") };
                            transport.arrived(number);
                            let told = (event.profile_id(), event.name());
                            let (profile, name) = self.published[&number];
                            assert_eq!((told.0.as_deref(), &*told.1), (profile, name));
                        }
                        ClientEvent::Lifecycle(lifecycle) => {
                            assert!(!self.closed, "{lifecycle:?} after the end");
                            self.closed = closes(&lifecycle);
                        }
                        ClientEvent::Invalid(_) | ClientEvent::Unknown(_) => {
                            assert!(transport.is_corrupted(), "{:?}", received.event);
                        }
                        _ => {}
                    }
                }
                assert!(input.is_empty());
            }
        }
        true
    }

    fn drive_servers(&mut self) -> bool {
        let mut moved = false;
        for transport in self.transport.iter_mut().chain(&mut self.left) {
            moved |= transport.drive(self.now);
        }
        self.left.retain(|transport| !transport.is_closed());
        moved
    }

    fn lifecycle(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.client.poll_event() {
            any = true;
            assert!(!self.closed, "{event:?} after the end");
            match event {
                ClientEvent::RequestEnded { id, .. } => assert!(self.pending.remove(&id), "{id} ended twice"),
                ClientEvent::Lifecycle(lifecycle) => self.closed = closes(&lifecycle),
                _ => {}
            }
        }
        any
    }

    /// Removes the faults and waits until everything has settled.
    fn heal(&mut self) {
        self.connections = self.workload.links.len();
        self.resume();
        if self.client.session().state() == ClientState::Idle {
            assert_eq!(self.client.connect(self.now), Ok(()));
        }
        if let Some(transport) = &self.transport
            && !transport.is_clean()
        {
            self.client.handle_lost(self.now, DisconnectReason::Io);
        }
        self.pass(LONG);
        assert!(self.left.is_empty(), "a server never noticed that its client left: {:?}", self.left);
    }

    /// Both peers must agree, and published events must arrive.
    fn compare(&mut self) {
        assert_eq!(self.closed, self.client.session().state() == ClientState::Closed);
        if self.closed {
            return;
        }
        assert_eq!(self.client.session().state(), ClientState::Ready);
        assert!(self.pending.is_empty(), "{:?} never ended", self.pending);
        let Some(transport) = &self.transport else { panic!("ready without a transport") };
        assert_eq!(Some(self.client.session().active()), transport.server.subscriptions());
        let (desired, active) = (self.client.session().desired(), self.client.session().active());
        assert!(active.iter().all(|(profile, names)| desired.get(profile) == Some(names)), "{active:?} of {desired:?}");
        let sets = self.client.session().features().subscription_sets;
        assert_eq!(sets, !self.workload.server.without_sets);
        // Without sets, the server holds one profile at a time. The others wait until it is unsubscribed.
        let held = if sets { desired.len() } else { desired.len().min(1) };
        assert_eq!(active.len(), held, "{active:?} of {desired:?}");
        let lost = transport.on_their_way.len();
        for profile in PROFILES.into_iter().map(Some).chain([None]) {
            for name in NAMES {
                let expected = self.client.session().active().matches(profile, name);
                assert_eq!(self.publish(profile, name), expected);
            }
        }
        // On a narrow link, every few bytes take the full delay.
        self.pass(LONG);
        let Some(transport) = &self.transport else { panic!("the connection was lost") };
        // If the subscription of an event ends while the event is on its way, the client filters the event. It stays on
        // the list until a later one arrives.
        assert!(transport.on_their_way.is_empty() || transport.on_their_way.len() <= lost, "{transport:?}");
    }

    /// Closes the client permanently. Everything must end, once.
    fn end(&mut self) {
        self.client.commands().close(self.now);
        self.pass(LONG);
        assert!(self.closed, "never closed");
        assert!(self.pending.is_empty(), "{:?} never ended", self.pending);
        assert_eq!(self.client.poll_timeout(), None);
        assert!(self.transport.is_none() && self.left.is_empty());
    }
}

fn pick<const N: usize>(names: &[&'static str; N], index: u8) -> &'static str {
    names[usize::from(index) % N]
}

fn closes(lifecycle: &LifecycleEvent) -> bool {
    matches!(lifecycle, LifecycleEvent::Closed(_))
}
