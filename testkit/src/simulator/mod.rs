//! Two peers in virtual time: the state machines of core, joined by faulty links.
//!
//! - [`World`]: whole clients and a whole server, with every transport between them.
//! - [`Pair`]: one connection after the upgrade, as two `WebSocket`s.
//! - [`deadlines`]: the guarantees of both when lines are slow and processes are stopped.
//! - [`Lane`]: one direction of a transport, from the state machine that writes to the state machine that reads.
//!
//! A simulated driver works like a real one: it writes the slices it is lent, passes on the bytes that arrive, and
//! sleeps exactly until the next deadline or arrival. While it drives the state machines, it checks their contract, and
//! it checks the bytes on the wire with the reference parser. Every method here returns a broken guarantee as an error.

pub mod deadlines;
mod event;
mod lane;
mod machine;
mod pair;
mod world;

pub use event::{Outcome, OwnedClientEvent};
pub use lane::{Chunk, Lane};
pub use machine::tick;
pub use pair::{End, Pair};
pub use world::{Admission, Node, Plan, Transport, World};
