//! The test kit of multiwa-ws. The suites in `tests/` are built from it.
//!
//! - [`mod@reference`]: an independent, strict parser of RFC 6455 to compare the core with, and an encoder for broken
//!   frames.
//! - `behavior`: clients and servers of every binding behind one adapter, and the peers they are tested against.
//! - [`echo`]: the common code of the echo programs in `src/bin`, which the Autobahn suite tests.
//! - [`link`]: a byte link between two state machines that splits, delays, cuts and corrupts, in virtual time.
//! - [`simulator`]: the state machines of core, joined by such links, in virtual time.
//! - [`transcript`]: the textual trace of a run and its digest, to prove that two runs were the same.
//! - [`random`]: the seeded random source of the kit.
//! - [`fuzzing`]: the code of the fuzz targets, for the programs in `fuzz/` and for the replay of their corpora.
//! - [`process`]: programs that a test starts, with bounded waits. They end when the test ends.
//!
//! Suites that limit memory use the crate `allocation-counter`: it counts the allocations of the current thread inside
//! one closure. `tests/memory_meter.rs` states what its figures mean.

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
