//! A WebSocket over tokio's streams: in memory, on TCP, and on streams that take and give a few bytes at a time.
//!
//! Tests in memory run on a paused clock: a wait that nothing ends takes no time, and so does a deadline.

#![cfg(test)]

mod cancellation;
#[path = "../kit/choppy.rs"]
mod choppy;
mod closing;
mod deadlines;
mod endings;
#[path = "../kit/lines.rs"]
mod lines;
mod messages;
#[path = "../kit/persist.rs"]
mod persist;
mod raw;
mod split;
mod support;
mod upgrade;
