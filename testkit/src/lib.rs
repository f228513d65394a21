//! The test kit of multiwa-ws: virtual time, faulty links and independent references, for our suites and for yours.
//!
//! It is not published: use it as a dependency from git. To test a driver of your own, give its state machines the time and the bytes of a [`simulator`], and compare what it
//! wrote with the [`reference`](mod@reference). What is there, from the small parts to the large ones:
//!
//! - [`random`]: a seeded random source. The same seed gives the same numbers on every machine.
//! - [`link`]: one direction of a connection, in virtual time, which splits, delays, cuts and corrupts.
//! - [`transcript`]: the textual trace of a run and its digest, which proves that two runs were the same.
//! - [`reference`](mod@reference): a strict parser of RFC 6455 that shares no code with core, and an encoder for broken frames.
//! - [`wire`]: frames by their first byte, and the check of what an endpoint wrote.
//! - [`event`]: the events of a WebSocket as values that borrow nothing.
//! - [`endpoint`]: one WebSocket with its clock and its output.
//! - [`contract`]: how a check reports a broken guarantee.
//! - [`simulator`]: the state machines of core, joined by links.
//! - [`chaos`]: random runs of the simulator, and the shortest run that still fails.
//! - `fuzzing`: the bodies of the fuzz targets (feature `fuzzing`).
//! - [`process`]: programs that a test starts, with bounded waits. They end when the test ends.
//! - `behavior`: clients and servers of every binding behind one adapter, and the peers they are tested against (feature
//!   `programs`).
//! - `echo`: the common code of the echo programs, which the Autobahn suite tests (feature `programs`).
//!
//! Suites that limit memory use the crate `allocation-counter`: it counts the allocations of the current thread inside
//! one closure. `tests/tests/memory_meter.rs` states what its figures mean.

#[cfg(feature = "programs")]
pub mod behavior;
pub mod chaos;
pub mod contract;
#[cfg(feature = "programs")]
pub mod echo;
pub mod endpoint;
pub mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod link;
pub mod process;
pub mod random;
pub mod reference;
pub mod simulator;
pub mod transcript;
pub mod wire;
