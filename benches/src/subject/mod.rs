//! The subjects of the comparison: the cases of each, the contestants, and the goals for ours.

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

/// Takes each case as soon as it is measured. If it fails, the measurement ends.
pub type Put<'a> = dyn FnMut(Case) -> io::Result<()> + 'a;

/// A subject of `compare`.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// The description for the help.
    pub about: &'static str,
    /// Measures the subject.
    pub run: fn(&mut Put<'_>, &Options) -> io::Result<()>,
}

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct Options {
    pub effort: Effort,
    /// The text that the name of a case must contain.
    pub only: String,
}

impl Options {
    /// Whether to measure the case with this name.
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
    Subject { name: "route", about: "bytes of a wire to wanted events", run: route::run },
];
