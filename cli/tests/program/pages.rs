//! The commands of the pages print what the pages show.
//!
//! A block `console` has commands, each after `$ `, and their output on both streams. A server keeps running for the commands
//! that follow it, up to the next server. A block `console server` is what the server prints next. The line `...` stands for any
//! number of lines. Times, ports, dates and figures may differ: see `normalized`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use multiwa_ws_testkit::process::{Program, workspace_root};

use crate::support::LIMIT;

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    run_page("README.md");
}

#[test]
fn the_commands_of_the_page_about_operating_print_what_it_shows() {
    run_page("docs/operating.md");
}

#[test]
fn no_other_page_shows_commands_that_nothing_runs() {
    let root = workspace_root();
    for folder in
        ["", "docs", "cli", "core", "bindings/driver", "bindings/tokio", "bindings/async-std", "bindings/tungstenite"]
    {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_run = ["README.md", "docs/operating.md"].iter().any(|page| path == root.join(page));
            if path.extension().is_some_and(|extension| extension == "md") && !is_run {
                assert!(!fs::read_to_string(&path).unwrap().contains("```console"), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_page_that_differs_from_the_output_is_noticed() {
    let page = "```console\n$ echo a; echo b; echo 1\nSHOWN\n```\n";
    let outcome = |shown: &str| std::panic::catch_unwind(|| run_text(&page.replace("SHOWN", shown))).is_ok();
    for right in ["a\nb\n1", "...\nb\n1", "a\n...", "...", "a\n...\n1", "...\na\nb\n1\n..."] {
        assert!(outcome(right), "{right}");
    }
    for wrong in ["a\nb", "a\nb\n2", "a\n1", "b\n...", "...\nc", "a\nb\n1\nc", "...\nb"] {
        assert!(!outcome(wrong), "{wrong}");
    }
    assert!(std::panic::catch_unwind(|| run_text("```console\n$ false\n```\n")).is_err());
    assert!(std::panic::catch_unwind(|| run_text("```console\n$ cargo unheard-of\n```\n")).is_err());
}

fn run_page(page: &str) {
    let text = fs::read_to_string(workspace_root().join(page)).unwrap();
    assert!(text.contains("```console"), "{page} shows no command");
    run_text(&text);
}

fn run_text(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut server: Option<Session> = None;
    let mut port = String::new();
    for block in blocks(text) {
        match block {
            Block::Server(shown) => server.as_mut().expect("a server runs").shows(&shown),
            Block::Command { command, .. } if command.starts_with("cargo ") => is_a_step_of_ci(&command),
            Block::Command { command, shown } if command.contains("multiwa-ws serve") => {
                // The port of the last server may still be in use.
                port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
                let listen = format!("multiwa-ws serve --listen 127.0.0.1:{port}");
                let command = command.replace("multiwa-ws serve", &listen);
                let mut session = Session::start(&command, folder.path());
                session.shows(&shown);
                server = Some(session);
            }
            Block::Command { command, shown } => {
                let mut session = Session::start(&command.replace(":3001", &format!(":{port}")), folder.path());
                session.shows(&shown);
                if !command.contains("multiwa-ws listen") || command.contains("--count") {
                    session.ends(shown.last().is_some_and(|line| line == "..."));
                }
            }
        }
    }
}

/// CI runs it in a step of its own, from the page.
fn is_a_step_of_ci(command: &str) {
    let steps = ["run", "steps.sh"].map(|file| fs::read_to_string(workspace_root().join(".ci").join(file)).unwrap());
    let step = format!("readme_says {command}\n");
    assert!(steps.iter().any(|steps| steps.contains(&step)), "CI does not run: {command}");
}

enum Block {
    Command { command: String, shown: Vec<String> },
    Server(Vec<String>),
}

/// The commands of a page, and what a server prints between them.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let content = |lines: &mut std::str::Lines<'_>| -> Vec<String> {
            lines.take_while(|line| !line.starts_with("```")).map(str::to_owned).collect()
        };
        match line.strip_prefix("```") {
            Some("console server") => blocks.push(Block::Server(content(&mut lines))),
            Some("console") => {
                for line in content(&mut lines) {
                    if let Some(command) = line.strip_prefix("$ ") {
                        blocks.push(Block::Command { command: command.to_owned(), shown: Vec::new() });
                    } else if let Some(Block::Command { shown, .. }) = blocks.last_mut() {
                        shown.push(line);
                    }
                }
            }
            // Another block, whose lines are no fences.
            Some(_) => drop(content(&mut lines)),
            None => {}
        }
    }
    blocks
}

/// A command in a shell.
struct Session {
    command: String,
    program: Program,
    group: Group,
    /// The number of lines that were taken.
    taken: usize,
}

/// The process group of a shell: with all programs that it has started. Dropping it ends them.
struct Group(String);

impl Drop for Group {
    fn drop(&mut self) {
        // They may have ended.
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", self.0)]).output();
    }
}

impl Session {
    fn start(command: &str, folder: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_multiwa-ws")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("echo $$; {{ {command}\n}} 2>&1")]);
        shell.current_dir(folder).env("PATH", path).env_remove("MULTIWA_WS_API_KEY").env_remove("CLICOLOR_FORCE");
        shell.process_group(0);
        let mut program = Program::start(shell).unwrap();
        let group = Group(program.wait_for_line(LIMIT, |_| true).unwrap().text);
        Self { command: command.to_owned(), program, group, taken: 1 }
    }

    /// Takes the lines that the page shows.
    fn shows(&mut self, shown: &[String]) {
        let mut skipping = false;
        for line in shown {
            if line == "..." {
                skipping = true;
                continue;
            }
            loop {
                let found = match self.program.wait_for_line(LIMIT, |_| true) {
                    Ok(found) => found.text,
                    Err(error) => panic!("{}: the page shows {line:?}: {error}", self.command),
                };
                self.taken += 1;
                if normalized(&found) == normalized(line) {
                    break;
                }
                assert!(skipping, "{}: the page shows\n{line}\nand not\n{found}", self.command);
            }
            skipping = false;
        }
    }

    /// Waits for a successful end, after which there is no more output unless there `may_be_more`.
    fn ends(self, may_be_more: bool) {
        let Self { command, program, group, taken } = self;
        let (status, lines) = program.wait(LIMIT).unwrap();
        drop(group);
        assert!(status.success(), "{command}: {status}: {lines:?}");
        assert!(may_be_more || lines.len() == taken, "{command} prints more: {lines:?}");
    }
}

/// A line without what differs from run to run: digits in times, numbers with a point, addresses, URLs, figures such as
/// `sent=1`, and dates, and the amount of white space.
fn normalized(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let is_number =
            word.contains(['.', ':']) && word.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
        let is_date = word.matches('-').count() == 2 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        match is_number || is_date || word.contains("://") || word.contains('=') {
            true => without_digits(word),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn without_digits(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        match (c.is_ascii_digit(), out.ends_with('0')) {
            (true, true) => {}
            (true, false) => out.push('0'),
            (false, _) => out.push(c),
        }
    }
    out
}

#[test]
fn only_what_differs_from_run_to_run_is_left_out() {
    for (a, b) in [
        ("10:15:04 p x", "23:00:00 p x"),
        ("tcp ok 0.1 ms 127.0.0.1:3001", "tcp  ok   12.5 ms  127.0.0.1:9"),
        ("rtt_ms=0.2", "rtt_ms=14.25"),
        ("valid until 2027-12-01", "valid until 2031-01-30"),
        ("on ws://127.0.0.1:3001/ws", "on ws://127.0.0.1:45001/ws"),
    ] {
        assert_eq!(normalized(a), normalized(b));
    }
    for (a, b) in [
        ("exit code 3", "exit code 4"),
        ("profile-123", "profile-456"),
        ("reloaded: 2 keys", "reloaded: 1 keys"),
        (r#"{"order":7}"#, r#"{"order":8}"#),
        ("HTTP status 401;", "HTTP status 403;"),
    ] {
        assert_ne!(normalized(a), normalized(b));
    }
}
