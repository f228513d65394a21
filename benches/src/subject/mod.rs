//! What is compared: for each subject its cases, who takes part, and what ours must reach.

pub mod compress;
pub mod decode;
pub mod echo;
pub mod encode;
pub mod fanout;
pub mod idle;
pub mod route;

use std::io;

use crate::race::Effort;
use crate::report::Case;

/// Takes each case as soon as it is known. When it fails, the measuring ends.
pub type Put<'a> = dyn FnMut(Case) -> io::Result<()> + 'a;

/// A subject that `compare` knows.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// What it is about, for the help.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&mut Put<'_>, &Options) -> io::Result<()>,
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    pub effort: Effort,
    /// What the name of a case must contain.
    pub only: String,
}

impl Options {
    /// Whether the case of this name is to be measured.
    pub fn wants(&self, case: &str) -> bool {
        case.contains(&self.only)
    }
}

/// Every subject, in the order of the report.
pub const SUBJECTS: &[Subject] = &[
    Subject { name: "decode", about: "bytes of a wire to text messages", run: decode::run },
    Subject { name: "encode", about: "text messages to bytes of a wire", run: encode::run },
    Subject { name: "compress", about: "a stream of events with permessage-deflate, both ways", run: compress::run },
    Subject { name: "echo", about: "messages sent back over loopback, by the server's processor time", run: echo::run },
    Subject {
        name: "fanout",
        about: "one event to a thousand subscribers, by the server's processor time",
        run: fanout::run,
    },
    Subject { name: "idle", about: "memory of idle connections", run: idle::run },
    Subject { name: "route", about: "bytes of a wire to desired events", run: route::run },
];
