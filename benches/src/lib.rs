//! Compares multiwa-ws with its peers, on the same work in one process.
//!
//! [`subject`] lists the contestants and their work, [`race`] measures, [`goals`] evaluates the [`scores`] and [`report`]
//! prints them. [`corpus`] creates the input from the numbers of [`random`].
//!
//! In memory, [`memory`] is the transport of all contestants, and [`binding`], [`ours`] (the core alone),
//! [`reference`](mod@reference) and [`peers`] are the contestants. Peers use [`json`] to decide whether an event is
//! wanted. [`deflate`] has the compression libraries, which peers use and which also run alone, and [`terms`] their
//! parameters. Over sockets, [`servers`] are the contestants, and [`load`] and [`subscriber`] are their clients; or
//! [`clients`] are the contestants, and [`gateway`] is what their server answers. [`process`] gets figures from the
//! system.
//!
//! [`growth`] measures ours over sizes and counts, and [`scale`] one server with many connections. Without the feature `peers`, only ours in memory remains, for
//! `counts` and the criterion benchmarks.

pub mod corpus;
pub mod gateway;
pub mod memory;
pub mod ours;
pub mod random;

#[cfg(feature = "peers")]
pub mod binding;
#[cfg(feature = "peers")]
pub mod clients;
#[cfg(feature = "peers")]
pub mod deflate;
#[cfg(feature = "peers")]
pub mod goals;
#[cfg(feature = "peers")]
pub mod growth;
#[cfg(feature = "peers")]
pub mod json;
#[cfg(feature = "peers")]
pub mod load;
#[cfg(feature = "peers")]
pub mod peers;
#[cfg(feature = "peers")]
pub mod process;
#[cfg(feature = "peers")]
pub mod race;
#[cfg(feature = "peers")]
pub mod reference;
#[cfg(feature = "peers")]
pub mod report;
#[cfg(feature = "peers")]
pub mod scale;
#[cfg(feature = "peers")]
pub mod scores;
#[cfg(feature = "peers")]
pub mod servers;
#[cfg(feature = "peers")]
pub mod subject;
#[cfg(feature = "peers")]
pub mod subscriber;
#[cfg(feature = "peers")]
pub mod terms;
