//! multiwa-ws beside its peers, on the same work in one process.
//!
//! [`corpus`] makes the input, [`memory`] is the transport that all contestants share, [`ours`], [`reference`] and [`peers`]
//! are the contestants, [`subject`] says which of them meet over what, [`race`] measures and [`report`] tells.

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
