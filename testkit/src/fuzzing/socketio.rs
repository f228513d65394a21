//! The socket.io dialect: packets are read back as they were written, and a client bears any packets in any order.
//!
//! Input: flags (bit 0: the server begins with a good session; bit 1: the client has a key), then messages, each after a
//! byte: 0 to 249 is the length of a text message, 250 to 254 that of a binary message plus 250, and 255 lets time pass
//! until the next deadline, without a message.

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{
    ClientConfig, ClientEvent, ClientSession, ClientState, CloseCause, Dialect, DisconnectReason, EventNames, Features,
    LifecycleEvent, ReconnectConfig,
};
use multiwa_ws_core::socketio::{Engine, Kind, NAMESPACE};
use serde_json::value::RawValue;

use super::pieces::configured;

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &str = r#"40/ws,{"sid":"n"}"#;
const KEY: &str = "s3cret-key";

/// Reads every text as a packet, and passes all messages to a client.
pub fn run(data: &[u8]) {
    let Some(([flags], mut rest)) = configured(data) else { return };
    let mut client = Client::new(flags & 2 != 0);
    if flags & 1 != 0 {
        client.text(OPEN);
        client.text(CONNECTED);
    }
    while let Some((first, behind)) = rest.split_first() {
        rest = match first {
            0..=249 => {
                let (message, rest) = behind.split_at(behind.len().min((*first).into()));
                // The layer below refuses what is not UTF-8.
                if let Ok(text) = std::str::from_utf8(message) {
                    packet(text);
                    client.text(text);
                }
                rest
            }
            250..=254 => {
                let (message, rest) = behind.split_at(behind.len().min((first - 250).into()));
                client.binary(message);
                rest
            }
            255 => {
                client.pass();
                behind
            }
        };
    }
    client.end();
}

/// What was read is read the same after it was written.
fn packet(text: &str) {
    if let Ok(engine) = Engine::parse(text) {
        let written = engine.encode();
        assert_eq!(Engine::parse(&written), Ok(engine), "{text} was written as {written}");
    }
}

/// A client with one connection, whose upgrade has just succeeded, and two subscriptions.
struct Client {
    session: ClientSession,
    now: Instant,
    /// How often it sent the CONNECT.
    connects: usize,
    /// The server has answered the CONNECT.
    answered: bool,
}

impl Client {
    fn new(has_key: bool) -> Self {
        let config = ClientConfig::new().dialect(Dialect::SocketIo).reconnect(ReconnectConfig::new().enabled(false));
        let mut session = ClientSession::new(config, [7; 32]);
        let now = Instant::from_nanos(0);
        session.set_connect_key(has_key.then(|| KEY.to_owned()));
        for profile in ["p", "q"] {
            assert!(session.subscribe(now, profile, &EventNames::every()).is_ok());
        }
        assert_eq!(session.connect(now), Ok(()));
        session.opened(now, Features::default());
        let mut client = Self { session, now, connects: 0, answered: false };
        client.drain();
        client
    }

    fn text(&mut self, text: &str) {
        let mut message = Some(text);
        while let Some(event) = self.session.handle_message(self.now, &mut message) {
            check(&event);
        }
        // Any other CONNECT ends the connection.
        self.answered |= matches!(Engine::parse(text), Ok(Engine::Message(packet)) if packet.kind == Kind::Connect);
        self.drain();
    }

    fn binary(&mut self, payload: &[u8]) {
        self.session.handle_binary(self.now, payload);
        self.drain();
    }

    fn pass(&mut self) {
        if let Some(due) = self.session.poll_timeout() {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            let next = self.session.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a deadline that has passed stays");
        }
        self.drain();
    }

    /// Takes all that waits. The client sends text packets of its namespace, and nothing but pongs and one CONNECT before
    /// the answer to it.
    fn drain(&mut self) {
        while let Some(text) = self.session.poll_message().map(str::to_owned) {
            assert!(!format!("{:?}", self.session).contains(KEY), "the key shows");
            self.session.message_sent(0);
            let packet = match Engine::parse(&text) {
                Ok(Engine::Pong(_)) => continue,
                Ok(Engine::Message(packet)) => packet,
                other => panic!("{other:?}: {text}"),
            };
            assert_eq!((packet.namespace, packet.attachments), (NAMESPACE, 0), "{text}");
            match packet.kind {
                Kind::Connect => self.connects += 1,
                Kind::Event => assert!(self.answered, "{text} before the answer to the CONNECT"),
                kind => panic!("a client sends no {kind:?}: {text}"),
            }
            let is_json = serde_json::from_str::<&RawValue>(packet.json).is_ok();
            assert!(is_json || packet.json.is_empty(), "{text}");
        }
        assert!(self.connects <= 1, "a second CONNECT");
        while let Some(event) = self.session.poll_event() {
            check(&event);
        }
    }

    /// A client with a connection ends its session in order.
    fn end(mut self) {
        let open = matches!(self.session.state(), ClientState::AwaitingAck | ClientState::Ready);
        self.session.close(self.now);
        assert_eq!(self.session.state(), if open { ClientState::Closing } else { ClientState::Closed });
        let disconnect = (open && self.answered).then_some("41/ws,");
        assert_eq!(self.session.poll_message(), disconnect);
    }
}

fn check(event: &ClientEvent<'_>) {
    match event {
        ClientEvent::Event(event) => {
            assert!(serde_json::from_str::<&RawValue>(event.as_str()).is_ok(), "{event:?}");
        }
        ClientEvent::Lifecycle(LifecycleEvent::Closed(CloseCause::Lost(reason))) => {
            assert!(matches!(reason, DisconnectReason::SocketIo(_)), "{reason:?}");
        }
        _ => {}
    }
}
