//! A WebSocket over tokio's streams.

mod cancellation;
mod closing;
mod deadlines;
mod endings;
mod messages;
mod raw;
mod room;
mod split;
mod stream;
mod support;
mod upgrade;
