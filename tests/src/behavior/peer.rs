//! Whole servers for clients to talk to.

use super::programs::{Library, ServerProgram};
use super::server::{Server, ServerBinding, ServerSetup};
use super::tls::{Certificates, HOST};
use super::{Failure, LIMIT, Outcome, wait_for};

/// A kind of server.
#[derive(Clone, Copy)]
pub enum PeerKind {
    /// One of ours.
    Ours(&'static dyn ServerBinding),
    /// One that another library makes, as deployed: it knows no subscription sets and sends no error codes.
    Plain(Library),
}

/// How it is set up.
#[derive(Clone, Debug)]
pub struct PeerSetup {
    /// The keys that let clients in; without any, every client is let in.
    pub keys: Vec<String>,
    /// Whether ours knows subscription sets.
    pub sets: bool,
    /// Whether it compresses.
    pub compression: bool,
    /// What it shows to clients over TLS; without, it speaks plain text.
    pub tls: Option<Certificates>,
}

impl PeerSetup {
    /// One that lets in who shows `key`.
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

    /// Whether it is a program that has to be installed.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, setup: &PeerSetup) -> Outcome<Box<dyn Peer>> {
        match self {
            Self::Ours(binding) => {
                let mut ours = ServerSetup { keys: setup.keys.clone(), ..ServerSetup::default() };
                ours.session.subscription_sets = setup.sets;
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

    /// Publishes an event whose data is JSON to whoever subscribes to it.
    ///
    /// # Errors
    /// When it cannot.
    fn publish(&mut self, event: &str, profile: Option<&str>, data: &str) -> Outcome;

    /// Lets clients in with these keys alone, and closes the others with 1008.
    ///
    /// # Errors
    /// When it cannot.
    fn replace_keys(&mut self, keys: &[&str]) -> Outcome;

    /// Closes every connection with 1001, and is back at the same address.
    ///
    /// # Errors
    /// When it is not.
    fn go_away(&mut self) -> Outcome;

    /// Drops every connection without a word, and is back at the same address.
    ///
    /// # Errors
    /// When it is not.
    fn crash(&mut self) -> Outcome;

    /// The code that the first client to leave had in its Close frame.
    ///
    /// # Errors
    /// When none has left.
    fn left_with(&mut self) -> Outcome<u16>;

    /// Whether `permessage-deflate` is in use on the connection.
    ///
    /// # Errors
    /// When nothing is known.
    fn compresses(&mut self) -> Outcome<bool>;
}

struct OurPeer {
    binding: &'static dyn ServerBinding,
    setup: ServerSetup,
    /// `None` while it is started anew.
    server: Option<Box<dyn Server>>,
}

impl OurPeer {
    fn server(&self) -> Outcome<&dyn Server> {
        self.server.as_deref().ok_or_else(|| Failure::new("the server is down"))
    }

    fn start_again(&mut self) -> Outcome {
        self.server = None;
        // The listener of the one before may still be on its way out.
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
