//! A session in the socket.io dialect: its messages become packets, and packets become its messages (`socketio.md`).

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::{ClientSession, ConnectionAck};
use crate::session::client_event::{ClientEvent, EventSpans};
use crate::session::config::{ClientConfig, Dialect, SecondProfile};
use crate::session::features::Features;
use crate::session::request::Request;
use crate::session::spans::Spans;
use crate::session::state::ClientState;
use crate::socketio::{SocketIo, SocketIoError, Step};

impl ClientSession {
    /// The dialect that the configuration names; `None` for the document's protocol.
    pub(super) fn dialect(config: &ClientConfig) -> Option<Box<SocketIo>> {
        let timeout = config.ack_timeout.or(ClientConfig::new().ack_timeout).unwrap_or_default();
        let displaces = config.second_profile == SecondProfile::Displace;
        match config.dialect {
            Dialect::Document => None,
            Dialect::SocketIo => Some(Box::new(SocketIo::new(timeout, displaces))),
        }
    }

    /// The transport is open. Returns whether the session speaks the dialect.
    pub(super) fn open_dialect(&mut self) -> bool {
        let Some(dialect) = &mut self.socketio else { return false };
        dialect.open(self.now);
        // Joins add up, unless a second profile is to displace the first.
        self.features = Features { subscription_sets: self.config.second_profile == SecondProfile::Refuse };
        // The heartbeat of the server takes the place of the keep-alive, and the answer to the CONNECT that of the
        // connection ack. Both have deadlines in the dialect.
        self.connection_ack = ConnectionAck::Awaited { due: self.now + Duration::MAX };
        true
    }

    pub(super) fn process_packet(&mut self, text: &str) {
        let Some(dialect) = &mut self.socketio else { return };
        let step = dialect.handle_text(self.now, text);
        self.perform(step);
        self.progress();
    }

    /// Returns whether the session speaks the dialect, in which a binary message is an attachment.
    pub(super) fn process_attachment(&mut self, payload: &[u8]) -> bool {
        let Some(dialect) = &mut self.socketio else { return false };
        if matches!(self.state, ClientState::AwaitingAck | ClientState::Ready) {
            let step = dialect.handle_binary(self.now, payload);
            self.perform(step);
            self.progress();
        }
        true
    }

    pub(super) fn expire_dialect(&mut self) {
        loop {
            let Some(dialect) = &mut self.socketio else { return };
            match dialect.handle_timeout(self.now) {
                Step::Nothing => return,
                // A server that says nothing does not answer a Close frame either.
                Step::Ended(error, _) => return self.abort_with(error.into()),
                step => self.perform(step),
            }
        }
    }

    fn perform(&mut self, step: Step<'_>) {
        match step {
            Step::Nothing => {}
            Step::Connected(message) => self.process_envelope(&message),
            Step::Message(message) => self.process_envelope(&message),
            Step::Unknown(message) => {
                if let Some(spans) = self.locate(&message) {
                    self.counters.unknown += 1;
                    self.events.push_back(EventSpans::Unknown(spans).lend(&message).into_owned());
                }
            }
            Step::Ended(error, message) => {
                if let Some(message) = message {
                    self.process_envelope(&message);
                }
                self.lose(error.into());
                let code = match error {
                    SocketIoError::KeyRefused | SocketIoError::ConnectRefused | SocketIoError::Disconnected => 1000,
                    _ => 1002,
                };
                self.actions.close = Some((code, ""));
            }
        }
    }

    fn process_envelope(&mut self, message: &str) {
        let Some(spans) = self.locate(message) else { return };
        if let Some(address) = spans.address(message)
            && self.active.matches(address.profile.as_deref(), &address.name)
            && let Some(dialect) = &mut self.socketio
        {
            let data = spans.data.map_or("", |data| data.raw(message));
            if dialect.is_repeated(self.now, address.profile.as_deref(), &address.name, data) {
                return;
            }
        }
        if let Some(found) = self.process_message(message, &spans) {
            self.events.push_back(found.lend(message).into_owned());
        }
    }

    fn locate(&mut self, message: &str) -> Option<Spans> {
        match Spans::locate(message, self.config.max_depth) {
            Ok(spans) => Some(spans),
            Err(error) => {
                self.counters.invalid += 1;
                self.events.push_back(ClientEvent::Invalid(error));
                None
            }
        }
    }

    /// The packet of a request, whose envelope is `message`.
    pub(super) fn wrap_request(&mut self, request: &Request, message: String) -> String {
        match &mut self.socketio {
            Some(dialect) => dialect.request(self.now, request.id, &request.ask, &message),
            None => message,
        }
    }

    /// Whether an `unsubscribe` from all profiles has nothing to leave.
    pub(super) fn has_nothing_to_leave(&self) -> bool {
        self.socketio.as_ref().is_some_and(|dialect| !dialect.holds_any())
    }
}
