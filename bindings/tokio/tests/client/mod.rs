//! The client against a server whose every message is written here.

mod cancellation;
mod closing;
mod endings;
mod foreign_code;
mod lifecycle;
mod queue;
mod support;
