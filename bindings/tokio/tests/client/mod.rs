//! The client against a server whose every word is written here.
//!
//! Tests in memory run on a paused clock: a wait that nothing ends takes no time, and so does a deadline.
#![cfg(test)]

mod cancellation;
#[path = "../kit/choppy.rs"]
mod choppy;
mod closing;
mod endings;
mod foreign_code;
mod lifecycle;
#[path = "../kit/lines.rs"]
mod lines;
#[path = "../kit/persist.rs"]
mod persist;
mod queue;
mod support;
