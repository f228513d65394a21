//! What the system tells of a process and grants it: Linux, as it stands in `/proc`.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files of a process beside its connections: standard streams, listeners, `epoll` and the like.
const OTHER_FILES: usize = 100;

/// Lets this process open as many files as the system grants it at most.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, `need_open_files` will say what is missing.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Refuses to begin what would fail midway: `connections` are files that are open at once in this process.
pub fn need_open_files(connections: usize) -> io::Result<()> {
    let needed = connections + OTHER_FILES;
    match getrlimit(Resource::Nofile).current {
        Some(granted) if granted < needed as u64 => Err(io::Error::other(format!(
            "it needs {needed} open files, the system grants {granted}: raise `ulimit -Hn`"
        ))),
        _ => Ok(()),
    }
}

/// The bytes of a process, by its number or as `self`, that are in memory.
pub fn resident(process: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or(io::ErrorKind::NotFound)?;
    let kib: u64 = field.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
    Ok(kib << 10)
}
