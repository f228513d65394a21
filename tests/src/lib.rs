//! The test kit of multiwa-ws: what the suites in `tests/` are built from.
//!
//! - [`mod@reference`]: an independent, strict parser of RFC 6455 to hold the core against, and an encoder for broken frames.
//! - `behavior`: clients and servers of every binding behind one adapter, and what they are tested against.
//! - [`echo`]: what the echo programs in `src/bin` are made of, the peers that the Autobahn suite tests.
//! - [`link`]: a byte link between two state machines that splits, delays, cuts and corrupts, in virtual time.
//! - [`simulator`]: the machines of core, joined by such links, in virtual time.
//! - [`transcript`]: the textual trace of a run and its digest, to prove that two runs were the same.
//! - [`random`]: the seeded source that the kit draws from.
//! - [`fuzzing`]: what the fuzz targets do with an input, for the programs in `fuzz/` and for the replay of their corpora.
//! - [`process`]: programs started by a test, with bounded waits, ended when the test ends.
//!
//! Suites that put a ceiling on memory use the crate `allocation-counter`: it counts what the current thread allocates
//! inside one closure. `tests/memory_meter.rs` states what its figures mean.

#[cfg(feature = "programs")]
pub mod behavior;
pub mod chaos;
#[cfg(feature = "programs")]
pub mod echo;
pub mod fuzzing;
pub mod link;
pub mod process;
pub mod random;
pub mod reference;
pub mod simulator;
pub mod transcript;
