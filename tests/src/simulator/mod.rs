//! Two peers in virtual time: the machines of core, joined by faulty links.
//!
//! - [`World`]: whole clients and a whole server, with every transport between them.
//! - [`Pair`]: one connection after the upgrade, as two `WebSocket`s.
//! - [`deadlines`]: what both promise when lines are slow and processes are stopped.
//! - [`Lane`]: one direction of a transport, from the machine that writes to the machine that reads.
//!
//! A simulated driver does what a real one does: it writes what it is lent, hands on what arrives, and sleeps exactly to the
//! next deadline or arrival. It holds the machines to their contract while it drives them, and to the reference parser what
//! they put on the wire; a broken promise is an error of every method here.

pub mod deadlines;
mod heard;
mod lane;
mod machine;
mod pair;
mod wire;
mod world;

pub use heard::{Heard, Outcome};
pub use lane::{Chunk, Lane};
pub use machine::Machine;
pub use pair::{End, Pair, Said};
pub use world::{Door, Node, Transport, World};

/// A promise that a machine did not keep, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl Broken {
    /// `Ok` if the promise was kept.
    pub(crate) fn unless(kept: bool, say: impl FnOnce() -> String) -> Result<(), Self> {
        if kept { Ok(()) } else { Err(Self(say())) }
    }
}
