//! The server's side of a connection of our client: the upgrade, the connection ack and the answer to a subscription.

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{Acceptance, HandshakeLimits, ServerHandshake};
use multiwa_ws_core::websocket::{Config, Event, Negotiated, Role, WebSocket};

use crate::corpus::{WANTED, frame};

const NOW: Instant = Instant::from_nanos(1);

/// A server without I/O for one connection, up to the point where it may send events.
pub struct Gateway {
    /// Until the upgrade.
    handshake: Option<ServerHandshake>,
    socket: WebSocket,
    is_subscribed: bool,
}

impl Gateway {
    pub fn new() -> Self {
        Self {
            handshake: Some(ServerHandshake::new(NOW, HandshakeLimits::default())),
            socket: WebSocket::new(NOW, Role::Server, &Config::new(), &Negotiated::default(), [7; 32]),
            is_subscribed: false,
        }
    }

    /// Whether it has answered a subscription.
    pub fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// Takes bytes of the client, and returns the bytes to send to it.
    pub fn answer(&mut self, mut input: &mut [u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(handshake) = &mut self.handshake {
            handshake.handle_input(NOW, &mut input).expect("a good request");
            if handshake.request().is_none() {
                return out;
            }
            handshake.accept(NOW, &Acceptance::default()).expect("there is a request");
            out = handshake.poll_accepted().expect("it was accepted").unsent;
            frame(&mut out, true, 0x1, None, br#"{"type":"ack","payload":{"clientId":"c"}}"#);
            self.handshake = None;
        }
        while let Some(received) = self.socket.handle_input(NOW, &mut input).expect("good frames") {
            let Event::Text(request) = received.event else { panic!("it subscribes by a text") };
            let id = request.split(r#""requestId":"#).nth(1).expect("a request has one").trim_end_matches('}');
            let ack = format!(
                r#"{{"type":"ack","payload":{{"action":"subscribed","profileId":"{WANTED}","events":["*"]}},"requestId":{id}}}"#
            );
            frame(&mut out, true, 0x1, None, ack.as_bytes());
            self.is_subscribed = true;
        }
        out
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}
