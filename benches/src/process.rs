//! The resources and limits of a process on Linux, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files of a process in addition to its connections: standard streams, listeners, `epoll` and others.
const OTHER_FILES: usize = 100;

/// Raises this process's limit of open files to the maximum that the system allows.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, `need_open_files` reports the problem.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Returns an error instead of failing later. `connections` is the number of files that are open at once in this
/// process.
pub fn need_open_files(connections: usize) -> io::Result<()> {
    let needed = connections + OTHER_FILES;
    match getrlimit(Resource::Nofile).current {
        Some(granted) if granted < needed as u64 => Err(io::Error::other(format!(
            "it needs {needed} open files, the system grants {granted}: raise `ulimit -Hn`"
        ))),
        _ => Ok(()),
    }
}

/// The resident bytes of a process, given by its number or as `self`.
pub fn resident(process: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or(io::ErrorKind::NotFound)?;
    let kib: u64 = field.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
    Ok(kib << 10)
}

/// The processor time of a process, given by its number, in steps of a hundredth of a second.
///
/// `schedstat` is finer, but it has one thread each, and threads that have ended are in none.
pub fn processor_time(process: &str) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may have spaces. User and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().map_err(io::Error::other));
    Ok(Duration::from_millis(10 * ticks.sum::<io::Result<u64>>()?))
}

/// The numbers of the threads of this process that have this name. The system keeps the first 15 bytes of a name.
pub fn threads_named(name: &str) -> io::Result<Vec<u32>> {
    let mut threads = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        // A thread may end meanwhile.
        let Ok(comm) = fs::read_to_string(thread.path().join("comm")) else { continue };
        if comm.trim_end() == &name[..name.len().min(15)] {
            threads.extend(thread.file_name().to_str().and_then(|number| number.parse::<u32>().ok()));
        }
    }
    Ok(threads)
}

/// The processor time of a thread of this process in ns, up to its last sleep. 0 if it has ended.
pub fn thread_nanos(thread: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}
