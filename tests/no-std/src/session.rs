//! A whole session between a client and a server in memory, driven like on a device with its own buffers.
#![forbid(unsafe_code)]

use core::time::Duration;

use multiwa_ws_core::client::{self, Client, TransportAction};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::server::{self, Connection, Ended};
use multiwa_ws_core::session::{
    ClientEvent, CloseCause, EventNames, LifecycleEvent, RawJson, RequestKind, RequestOutcome, ServerEvent,
    encode_event,
};
use multiwa_ws_core::websocket::SharedMessage;
use multiwa_ws_core::{Instant, WallClock};

use crate::arena::{Arenas, Owner};

/// The memory of each peer while the connection was open and idle.
pub(crate) struct Idle {
    pub(crate) client: usize,
    pub(crate) server: usize,
}

/// Connects, subscribes, delivers an event, pings and closes. Panics if a peer does anything unexpected.
pub(crate) fn run(arenas: &Arenas) -> Idle {
    let mut pair = Pair::new(arenas);
    pair.connect();
    assert_eq!(pair.seen, Seen { connected: 1, ready: 1, ..Seen::default() });

    pair.with_client(|client, now| client.commands().subscribe(now, PROFILE, &EventNames::every())).unwrap();
    pair.exchange();
    assert_eq!((pair.seen.subscribed, pair.hub.len()), (1, 1));
    let idle = Idle { client: arenas.used(Owner::Client), server: arenas.used(Owner::Server) };

    pair.publish("message.received", r#"{"id":"1","from":"628123456789@c.us","body":"Hello!"}"#);
    pair.exchange();
    assert_eq!(pair.seen.events, 1);

    pair.with_client(|client, now| client.commands().ping(now)).unwrap();
    pair.exchange();
    assert_eq!(pair.seen.pongs, 1);

    // After a time without traffic, each side pings in its own way, and each ping is answered.
    pair.sleep(Duration::from_secs(30));
    pair.exchange();
    pair.sleep(Duration::from_secs(10));
    pair.exchange();

    pair.close();
    assert_eq!((pair.seen.client_closed, pair.seen.server_ended), (1, 1));
    pair.drop_peers();
    assert_eq!((arenas.used(Owner::Client), arenas.used(Owner::Server)), (0, 0));
    idle
}

const PROFILE: &str = "profile-123";

/// Both peers, and a buffer for each direction between them.
struct Pair<'a> {
    arenas: &'a Arenas,
    now: Instant,
    client: Client,
    server: Connection,
    hub: Hub<u8>,
    up: Buffer,
    down: Buffer,
    seen: Seen,
}

/// How often each event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    connected: u32,
    ready: u32,
    subscribed: u32,
    events: u32,
    pongs: u32,
    client_closed: u32,
    server_ended: u32,
}

impl<'a> Pair<'a> {
    fn new(arenas: &'a Arenas) -> Self {
        let now = Instant::from_nanos(0);
        Self {
            arenas,
            now,
            client: arenas.within(Owner::Client, || Client::new(client::Config::default(), [7; 32])),
            server: arenas.within(Owner::Server, || Connection::new(now, &server::Config::default())),
            hub: Hub::new(),
            up: Buffer::new(),
            down: Buffer::new(),
            seen: Seen::default(),
        }
    }

    fn with_client<R>(&mut self, work: impl FnOnce(&mut Client, Instant) -> R) -> R {
        self.arenas.within(Owner::Client, || work(&mut self.client, self.now))
    }

    fn connect(&mut self) {
        self.with_client(Client::connect).unwrap();
        assert_eq!(self.client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
        self.with_client(|client, now| {
            let mut request = ClientRequest::new("gateway:3001", "/ws");
            request.append_query("apiKey", "key");
            client.connected(now, request)
        })
        .unwrap();
        self.exchange();
    }

    fn publish(&mut self, name: &str, data: &str) {
        let Self { server, hub, .. } = self;
        self.arenas.within(Owner::Server, || {
            let text = encode_event(name, Some(PROFILE), &RawJson::parse(data).unwrap(), "2026-02-05T10:00:00.000Z");
            assert_eq!(hub.receivers(Some(PROFILE), name).count(), 1);
            server.publish(&SharedMessage::text(&text)).unwrap();
        });
    }

    fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.with_client(Client::handle_timeout);
        self.arenas.within(Owner::Server, || self.server.handle_timeout(self.now));
    }

    /// RFC 6455 section 7.1.1: the server closes the transport first, then the client drops it.
    fn close(&mut self) {
        self.with_client(|client, now| client.commands().close(now));
        self.exchange();
        assert!(self.server.poll_shutdown() && !self.client.poll_shutdown());
        self.server.shutdown_done();
        self.with_client(Client::handle_eof);
        assert_eq!(self.client.poll_action(), Some(TransportAction::Disconnect));
        self.arenas.within(Owner::Server, || self.server.handle_eof(self.now));
        self.exchange();
    }

    fn drop_peers(self) {
        self.arenas.within(Owner::Client, || drop(self.client));
        self.arenas.within(Owner::Server, || drop((self.server, self.hub)));
    }

    /// Exchanges bytes until neither peer has anything to send.
    fn exchange(&mut self) {
        let arenas = self.arenas;
        loop {
            let up = arenas.within(Owner::Client, || self.client_turn());
            let down = arenas.within(Owner::Server, || self.server_turn());
            if !up && !down {
                return;
            }
        }
    }

    /// Reads, then writes. Returns whether it wrote anything.
    fn client_turn(&mut self) -> bool {
        let Self { client, seen, now, .. } = self;
        let mut input = self.down.contents();
        while let Some(received) = client.handle_input(*now, &mut input) {
            match received.event {
                ClientEvent::Connected(_) => seen.connected += 1,
                ClientEvent::Event(event) => {
                    assert_eq!(event.name(), "message.received");
                    seen.events += 1;
                }
                ClientEvent::RequestEnded { kind, outcome: RequestOutcome::Acknowledged { .. }, .. } => match kind {
                    RequestKind::Subscribe => seen.subscribed += 1,
                    RequestKind::Ping => seen.pongs += 1,
                    RequestKind::Unsubscribe => {}
                },
                ClientEvent::Lifecycle(lifecycle) => seen.note(&lifecycle),
                other => panic!("{other:?}"),
            }
        }
        self.down.clear();
        while let Some(event) = client.poll_event() {
            let ClientEvent::Lifecycle(lifecycle) = event else { panic!("{event:?}") };
            seen.note(&lifecycle);
        }
        let mut lent = [&[][..]; 2];
        let filled = client.poll_transmit(&mut lent);
        let written = self.up.append(&lent[..filled]);
        client.transmitted(*now, written);
        written > 0
    }

    /// Reads, then writes. Returns whether it wrote anything.
    fn server_turn(&mut self) -> bool {
        let Self { server, hub, seen, now, .. } = self;
        let mut input = self.up.contents();
        while let Some(event) = server.handle_input(*now, &mut input).unwrap() {
            match event {
                server::Event::Requested => {
                    assert_eq!(server.request().unwrap().path(), "/ws");
                    let clock = WallClock::new(*now, 1_770_285_600_000);
                    server.accept(*now, Acceptance::default(), "abc123", clock).unwrap();
                }
                server::Event::Session(ServerEvent::Subscribed { .. }) => {
                    hub.update(1, server.subscriptions().unwrap().clone());
                }
                server::Event::Session(ServerEvent::Pinged) => {}
                other => panic!("{other:?}"),
            }
        }
        self.up.clear();
        while let Some(event) = server.poll_event() {
            let server::Event::Ended(Ended::Closed(closed)) = event else { panic!("{event:?}") };
            assert!(closed.clean);
            hub.remove(1);
            seen.server_ended += 1;
        }
        let mut lent = [&[][..]; 2];
        let filled = server.poll_transmit(&mut lent);
        let written = self.down.append(&lent[..filled]);
        server.transmitted(*now, written);
        written > 0
    }
}

impl Seen {
    fn note(&mut self, lifecycle: &LifecycleEvent) {
        match lifecycle {
            LifecycleEvent::Ready { failed, gap: None } if failed.is_empty() => self.ready += 1,
            LifecycleEvent::Closed(CloseCause::Application) => self.client_closed += 1,
            LifecycleEvent::Connecting { attempt: 1 } | LifecycleEvent::Opened | LifecycleEvent::Closing => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Bytes in transit, in a buffer smaller than most messages.
struct Buffer {
    bytes: [u8; 64],
    len: usize,
}

impl Buffer {
    const fn new() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }

    fn contents(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Copies as many bytes as there is room for, and returns their number.
    fn append(&mut self, slices: &[&[u8]]) -> usize {
        let before = self.len;
        for slice in slices {
            let room = &mut self.bytes[self.len..];
            let copied = room.len().min(slice.len());
            room[..copied].copy_from_slice(&slice[..copied]);
            self.len += copied;
        }
        self.len - before
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}
