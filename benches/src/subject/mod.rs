//! The subjects of the comparison: the cases of each, the contestants, and the goals for ours.

pub mod client;
pub mod compress;
pub mod decode;
pub mod echo;
pub mod encode;
pub mod idle;
mod options;
pub mod route;
pub mod send;
pub mod server;

use std::io;

pub use options::{Options, Put};

/// A subject of `compare`.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// The description for the help.
    pub about: &'static str,
    /// Measures the subject.
    pub run: fn(&mut Put<'_>, &Options) -> io::Result<()>,
}

/// Every subject, in the order of the report.
pub const SUBJECTS: &[Subject] = &[
    Subject {
        name: "client",
        about: "events from a socket to the application, by the client's processor time",
        run: client::run,
    },
    Subject {
        name: "server",
        about: "one event to 1, 100 and 1,000 subscribers, by the server's processor time",
        run: server::run,
    },
    Subject { name: "decode", about: "bytes of a wire to text messages, over a stream in memory", run: decode::run },
    Subject { name: "encode", about: "text messages to bytes of a wire, in batches", run: encode::run },
    Subject { name: "send", about: "one message sent and flushed, over a stream in memory", run: send::run },
    Subject { name: "compress", about: "a stream of events with permessage-deflate, both ways", run: compress::run },
    Subject { name: "echo", about: "messages sent back over loopback, by the server's processor time", run: echo::run },
    Subject { name: "idle", about: "memory of idle connections", run: idle::run },
    Subject { name: "route", about: "bytes of a wire to wanted events", run: route::run },
];
