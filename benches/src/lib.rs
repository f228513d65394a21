//! multiwa-ws beside its peers, on the same work in one process.
//!
//! [`subject`] says who meets over what, [`race`] measures, [`goals`] judges and [`report`] tells. [`corpus`] makes the input,
//! from the numbers of [`random`].
//!
//! In memory, [`memory`] is the transport that all contestants share, and [`ours`], [`reference`](mod@reference) and [`peers`]
//! are the contestants; [`json`] is how peers find out whether an event is wanted, [`deflate`] what compresses below them and
//! by itself. Over sockets, [`servers`] are the contestants and [`load`] and [`subscriber`] their clients; [`process`] asks
//! the system about them.
//!
//! [`growth`] measures ours over sizes and counts. Without the feature `peers` what is left is ours alone in
//! memory, for `counts` and the criterion benchmarks.

pub mod corpus;
pub mod memory;
pub mod ours;
pub mod random;

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
pub mod servers;
#[cfg(feature = "peers")]
pub mod subject;
#[cfg(feature = "peers")]
pub mod subscriber;
