//! Streams with faults, and waits that are given up.

pub(crate) mod choppy;
pub(crate) mod lines;
pub(crate) mod persist;
