//! Programs that a test starts. Every wait is bounded, and the programs end when the test ends.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running program whose output is read line by line.
///
/// It is killed and reaped when this value is dropped, so a failing test leaves no process behind.
///
/// - Communicate with it: [`write_line`](Self::write_line), [`close_input`](Self::close_input),
///   [`wait_for_line`](Self::wait_for_line), [`signal`](Self::signal).
/// - End it: [`wait`](Self::wait) until it ends by itself, [`kill`](Self::kill).
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    seen: Vec<Line>,
}

/// One line that a program wrote, without its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The output stream.
    pub stream: Stream,
    /// The text. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// An output stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Why a program did not do what the test waited for. The message ends with everything that the program wrote.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The program could not be started.
    #[error("{name} cannot be started (is it installed?): {source}")]
    Start {
        /// The program.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The standard input or the exit status of the program is not available.
    #[error("{name}: {source}")]
    Io {
        /// The program.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The program did not do it in time.
    #[error("{name} did not {awaited} within {limit:?}\n{seen}")]
    TimedOut {
        /// The program.
        name: String,
        /// What the program did not do.
        awaited: &'static str,
        /// The time limit.
        limit: Duration,
        /// The output of the program.
        seen: Seen,
    },
    /// The program closed its output without writing the expected line.
    #[error("{name} ended without writing the awaited line\n{seen}")]
    EndedEarly {
        /// The program.
        name: String,
        /// The output of the program.
        seen: Seen,
    },
    /// The program ended with a failure.
    #[error("{name}: {status}\n{seen}")]
    Failed {
        /// The program.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The output of the program.
        seen: Seen,
    },
    /// Cargo built no such binary.
    #[error("cargo built no binary {0}")]
    NoBinary(String),
}

/// Everything that a program wrote up to a point.
#[derive(Debug)]
pub struct Seen(Vec<Line>);

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "  {:?}: {}", line.stream, line.text))
    }
}

impl Program {
    /// Starts `command` with all three of its streams piped.
    ///
    /// # Errors
    /// [`ProgramError::Start`].
    pub fn start(mut command: Command) -> Result<Self, ProgramError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|source| ProgramError::Start { name: name.clone(), source })?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || read_lines(stdout, Stream::Out, |line| sender.send(line).is_ok()));
        }
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || read_lines(stderr, Stream::Err, |line| sender.send(line).is_ok()));
        }
        let stdin = child.stdin.take();
        Ok(Self { name, child, stdin, lines, seen: Vec::new() })
    }

    /// Writes `line` and a line break to the program's standard input.
    ///
    /// # Errors
    /// [`ProgramError::Io`], also after [`wait`](Self::wait) closed the input.
    pub fn write_line(&mut self, line: &str) -> Result<(), ProgramError> {
        let written = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}").and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|source| self.io_error(source))
    }

    /// Ends the program's standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal, named as `kill` names it: `INT`, `TERM`, `HUP`.
    ///
    /// # Errors
    /// [`ProgramError`] if the program has already ended.
    pub fn signal(&self, name: &str) -> Result<(), ProgramError> {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.child.id().to_string()]);
        run(kill, Duration::from_secs(20)).map(drop)
    }

    /// The next line, on either stream, that `desired` accepts. Skips the lines before it.
    ///
    /// # Errors
    /// [`ProgramError::TimedOut`] if there is none within `limit`, [`ProgramError::EndedEarly`] if the program can
    /// write no more.
    pub fn wait_for_line(
        &mut self,
        limit: Duration,
        mut desired: impl FnMut(&Line) -> bool,
    ) -> Result<Line, ProgramError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if desired(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.timed_out("write the awaited line", limit)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ProgramError::EndedEarly { name: self.name.clone(), seen: self.seen() });
                }
            }
        }
    }

    /// Closes the program's standard input and waits for its end.
    ///
    /// Returns how it ended and every line that it wrote since it was started.
    ///
    /// # Errors
    /// [`ProgramError::TimedOut`] if it still runs after `limit`; [`ProgramError::Io`].
    pub fn wait(mut self, limit: Duration) -> Result<(ExitStatus, Vec<Line>), ProgramError> {
        self.stdin = None;
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait();
            if let Some(status) = ended.map_err(|source| self.io_error(source))? {
                return Ok((status, self.seen().0));
            }
            if Instant::now() >= deadline {
                return Err(self.timed_out("end", limit));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the program at once.
    pub fn kill(self) {
        drop(self);
    }

    fn io_error(&self, source: io::Error) -> ProgramError {
        ProgramError::Io { name: self.name.clone(), source }
    }

    fn timed_out(&mut self, awaited: &'static str, limit: Duration) -> ProgramError {
        ProgramError::TimedOut { name: self.name.clone(), awaited, limit, seen: self.seen() }
    }

    /// All lines so far. Gives the reader threads a moment to pass on the last output of a program that has just ended.
    fn seen(&mut self) -> Seen {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(100)) {
            self.seen.push(line);
        }
        Seen(std::mem::take(&mut self.seen))
    }
}

impl Drop for Program {
    /// Both calls fail if the program has already ended. That is fine.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
/// [`ProgramError::Failed`] if it ends with a failure, and those of [`Program::start`] and [`Program::wait`].
pub fn run(command: Command, limit: Duration) -> Result<String, ProgramError> {
    let program = Program::start(command)?;
    let name = program.name.clone();
    let (status, lines) = program.wait(limit)?;
    if !status.success() {
        return Err(ProgramError::Failed { name, status, seen: Seen(lines) });
    }
    let out = lines.into_iter().filter(|line| line.stream == Stream::Out);
    Ok(out.map(|line| line.text + "\n").collect())
}

/// Builds the programs of the workspace and returns the path of the binary `binary`.
///
/// # Errors
/// [`ProgramError::NoBinary`] if there is no such binary, and those of [`run`] if the build fails.
pub fn cargo_binary(binary: &str) -> Result<PathBuf, ProgramError> {
    cargo_build("bin", binary)
}

/// Like [`cargo_binary`], for an example program.
///
/// # Errors
/// Those of [`cargo_binary`].
pub fn cargo_example(example: &str) -> Result<PathBuf, ProgramError> {
    cargo_build("example", example)
}

fn cargo_build(kind: &str, name: &str) -> Result<PathBuf, ProgramError> {
    // Cargo builds all of them at once, so one call for each process is enough.
    static MESSAGES: Mutex<Option<String>> = Mutex::new(None);
    let mut messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let messages = match &mut *messages {
        Some(messages) => messages,
        none => none.insert(cargo_test_no_run()?),
    };
    let mut executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_ours = message.pointer("/target/name")? == name
            && message.pointer("/target/kind/0")? == kind
            && message.pointer("/profile/test")? == false;
        message.get("executable")?.as_str().filter(|_| is_ours).map(PathBuf::from)
    });
    executables.next_back().ok_or_else(|| ProgramError::NoBinary(name.to_owned()))
}

/// Builds the programs in the same way as the tests of the workspace: a separate build would use other features and
/// compile them again.
fn cargo_test_no_run() -> Result<String, ProgramError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace_root());
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics", "--workspace"]);
    // These variables are set by Cargo for a test. Build scripts that depend on them would run again, and everything
    // that depends on those packages would be compiled again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    run(cargo, Duration::from_secs(1200))
}

/// The folder of the workspace.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

fn read_lines(stream: impl Read, kind: Stream, mut hand_over: impl FnMut(Line) -> bool) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        if !hand_over(Line { stream: kind, text }) {
            return;
        }
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_read_and_the_end_is_reported() {
        let (status, lines) = Program::start(shell("echo out; echo err >&2; exit 3")).unwrap().wait(LIMIT).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(lines.len(), 2);
        assert!(lines.contains(&Line { stream: Stream::Out, text: "out".into() }));
        assert!(lines.contains(&Line { stream: Stream::Err, text: "err".into() }));
    }

    #[test]
    fn a_program_answers_what_is_written_to_it() {
        let mut cat = Program::start(Command::new("cat")).unwrap();
        cat.write_line("one").unwrap();
        cat.write_line("two").unwrap();
        assert_eq!(cat.wait_for_line(LIMIT, |line| line.text == "two").unwrap().stream, Stream::Out);
        assert!(cat.wait(LIMIT).unwrap().0.success());
    }

    #[test]
    fn a_program_receives_the_end_of_its_input_and_signals() {
        let mut program =
            Program::start(shell("trap 'exit 7' HUP; cat; echo end; while :; do sleep 0.01; done")).unwrap();
        program.write_line("one").unwrap();
        program.close_input();
        program.wait_for_line(LIMIT, |line| line.text == "end").unwrap();
        assert!(program.write_line("two").is_err());
        program.signal("HUP").unwrap();
        assert_eq!(program.wait(LIMIT).unwrap().0.code(), Some(7));
    }

    #[test]
    fn a_wait_that_runs_out_shows_what_was_written_and_ends_the_program() {
        let mut program = Program::start(shell("echo $$; exec sleep 600")).unwrap();
        let pid = program.wait_for_line(LIMIT, |_| true).unwrap().text;
        let error = program.wait_for_line(Duration::from_millis(50), |_| true).unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { .. }));
        assert!(error.to_string().contains(&pid), "{error}");
        assert!(Path::new("/proc").join(&pid).exists());
        program.kill();
        assert!(!Path::new("/proc").join(&pid).exists());
    }

    #[test]
    fn a_program_that_ends_early_says_so() {
        let mut program = Program::start(shell("echo only")).unwrap();
        let error = program.wait_for_line(LIMIT, |line| line.text == "other").unwrap_err();
        assert!(matches!(error, ProgramError::EndedEarly { .. }));
        assert!(error.to_string().contains("only"));
    }

    #[test]
    fn a_missing_or_failing_program_is_an_error() {
        let missing = run(Command::new("no-such-program-anywhere"), LIMIT).unwrap_err();
        assert!(matches!(missing, ProgramError::Start { .. }), "{missing}");
        let failing = run(shell("echo why >&2; false"), LIMIT).unwrap_err();
        assert!(matches!(failing, ProgramError::Failed { .. }));
        assert!(failing.to_string().contains("why"));
    }
}
