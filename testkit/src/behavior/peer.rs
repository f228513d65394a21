//! Complete servers for clients to connect to.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::programs::{Library, code, receive};
use super::server::{Server, ServerBinding, ServerSetup};
use super::tls::{Certificates, HOST};
use super::{Failure, LIMIT, Outcome, wait_for};
use crate::process::Program;

/// A kind of server.
#[derive(Clone, Copy)]
pub enum PeerKind {
    /// A server of this project.
    Ours(&'static dyn ServerBinding),
    /// A server of another library, as deployed: it does not support subscription sets and sends no error codes.
    Plain(Library),
}

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct PeerSetup {
    /// The keys that clients must send. If there are none, every client is accepted.
    pub keys: Vec<String>,
    /// Whether a server of this project supports subscription sets.
    pub sets: bool,
    /// Whether the server compresses.
    pub compression: bool,
    /// The TLS certificate of the server. `None`: the server uses plain TCP.
    pub tls: Option<Certificates>,
}

impl PeerSetup {
    /// A server that accepts clients with the key `key`.
    #[must_use]
    pub fn with_key(key: &str) -> Self {
        Self { keys: vec![key.to_owned()], ..Self::default() }
    }
}

impl Default for PeerSetup {
    fn default() -> Self {
        Self { keys: Vec::new(), sets: true, compression: false, tls: None }
    }
}

impl std::fmt::Debug for PeerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl PeerKind {
    /// Its name in the table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours(binding) => binding.name(),
            Self::Plain(library) => library.name(),
        }
    }

    /// Whether it is a program that must be installed.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Starts a server.
    ///
    /// # Errors
    /// If the server does not start.
    pub fn start(&self, setup: &PeerSetup) -> Outcome<Box<dyn Peer>> {
        match self {
            Self::Ours(binding) => {
                let mut ours = ServerSetup { keys: setup.keys.clone(), ..ServerSetup::default() };
                ours.session = ours.session.subscription_sets(setup.sets);
                ours.compression = setup.compression;
                ours.tls = setup.tls.as_ref().map(Certificates::server).transpose()?;
                let server = binding.start(&ours)?;
                ours.address = server.address();
                Ok(Box::new(OurPeer { binding: *binding, setup: ours, server: Some(server) }))
            }
            Self::Plain(library) => Ok(Box::new(ServerProgram::start(*library, setup)?)),
        }
    }
}

/// A running server.
pub trait Peer: Send {
    /// Where clients connect to.
    fn url(&self) -> String;

    /// Publishes an event whose data is JSON to its subscribers.
    ///
    /// # Errors
    /// If it cannot publish.
    fn publish(&mut self, event: &str, profile: Option<&str>, data: &str) -> Outcome;

    /// Accepts only clients with these keys from now on, and closes the other connections with 1008.
    ///
    /// # Errors
    /// If it cannot.
    fn replace_keys(&mut self, keys: &[&str]) -> Outcome;

    /// Closes every connection with 1001, and starts again at the same address.
    ///
    /// # Errors
    /// If it does not start again.
    fn go_away(&mut self) -> Outcome;

    /// Drops every connection without a Close frame, and starts again at the same address.
    ///
    /// # Errors
    /// If it does not start again.
    fn crash(&mut self) -> Outcome;

    /// The code in the Close frame of the first client that left.
    ///
    /// # Errors
    /// If no client has left.
    fn left_with(&mut self) -> Outcome<u16>;

    /// Whether `permessage-deflate` is in use on the connection.
    ///
    /// # Errors
    /// If this is unknown.
    fn compresses(&mut self) -> Outcome<bool>;
}

struct OurPeer {
    binding: &'static dyn ServerBinding,
    setup: ServerSetup,
    /// `None` during a restart.
    server: Option<Box<dyn Server>>,
}

impl OurPeer {
    fn server(&self) -> Outcome<&dyn Server> {
        self.server.as_deref().ok_or_else(|| Failure::new("the server is down"))
    }

    fn start_again(&mut self) -> Outcome {
        self.server = None;
        // The previous listener may not be closed yet.
        self.server = Some(wait_for("its address", || self.binding.start(&self.setup).ok())?);
        Ok(())
    }
}

impl Peer for OurPeer {
    fn url(&self) -> String {
        match self.setup.tls {
            None => format!("ws://{}/ws", self.setup.address),
            Some(_) => format!("wss://{HOST}:{}/ws", self.setup.address.port()),
        }
    }

    fn publish(&mut self, event: &str, profile: Option<&str>, data: &str) -> Outcome {
        self.server()?.publish(event, profile, data).map(drop)
    }

    fn replace_keys(&mut self, keys: &[&str]) -> Outcome {
        self.setup.keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.server()?.replace_keys(keys);
        Ok(())
    }

    fn go_away(&mut self) -> Outcome {
        if let Some(server) = &mut self.server {
            server.shutdown(LIMIT)?;
        }
        self.start_again()
    }

    fn crash(&mut self) -> Outcome {
        self.start_again()
    }

    fn left_with(&mut self) -> Outcome<u16> {
        Ok(self.server()?.first_left()?.closed.code.get())
    }

    fn compresses(&mut self) -> Outcome<bool> {
        Ok(self.setup.compression && self.server()?.was_offered_compression())
    }
}

/// A running server of another library.
#[derive(Debug)]
struct ServerProgram {
    program: Program,
    url: String,
    left: VecDeque<u16>,
}

impl ServerProgram {
    /// Starts it on a free port.
    fn start(library: Library, setup: &PeerSetup) -> Outcome<Self> {
        let tls = setup.tls.as_ref().map(|tls| json!({"certificate": tls.certificate, "key": tls.key}));
        let order = json!({"keys": setup.keys, "compression": setup.compression, "tls": tls});
        let mut program = library.run("server", &[order.to_string()], &[])?;
        let port = receive(&mut program, |message| message.get("listening").and_then(Value::as_u64))?;
        let url = match tls {
            None => format!("ws://127.0.0.1:{port}/ws"),
            Some(_) => format!("wss://{HOST}:{port}/ws"),
        };
        Ok(Self { program, url, left: VecDeque::new() })
    }

    /// Sends a command, and waits until the program has done it.
    fn order(&mut self, order: &Value) -> Outcome {
        self.program.write_line(&order.to_string())?;
        let left = &mut self.left;
        receive(&mut self.program, |message| {
            left.extend(code(message, "left"));
            message.get("done").map(drop)
        })
    }
}

impl Peer for ServerProgram {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn publish(&mut self, event: &str, profile: Option<&str>, data: &str) -> Outcome {
        let data: Value = serde_json::from_str(data)?;
        let mut payload = json!({"event": event, "data": data, "timestamp": "2026-02-05T10:00:00.000Z"});
        if let (Some(profile), Some(payload)) = (profile, payload.as_object_mut()) {
            payload.insert("profileId".to_owned(), profile.into());
        }
        self.order(&json!({"publish": payload}))
    }

    fn replace_keys(&mut self, keys: &[&str]) -> Outcome {
        self.order(&json!({"keys": keys}))
    }

    fn go_away(&mut self) -> Outcome {
        self.order(&json!({"goAway": true}))
    }

    fn crash(&mut self) -> Outcome {
        self.order(&json!({"crash": true}))
    }

    fn left_with(&mut self) -> Outcome<u16> {
        match self.left.front() {
            Some(code) => Ok(*code),
            None => receive(&mut self.program, |message| code(message, "left")),
        }
    }

    fn compresses(&mut self) -> Outcome<bool> {
        self.program.write_line(&json!({"compresses": true}).to_string())?;
        receive(&mut self.program, |message| message.get("compresses").and_then(Value::as_bool))
    }
}
