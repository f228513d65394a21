//! Servers and clients of other libraries: programs outside of this workspace, controlled line by line.
//!
//! They are in `tests/js` and `tests/python`. `CONTRIBUTING.md` says how to install their dependencies. Each line that
//! they read or write is one JSON object.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Failure, LIMIT, Outcome};
use crate::process::{Program, Stream, workspace_root};

/// A WebSocket library of another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `ws` for Node.js.
    Ws,
    /// `websockets` for Python.
    Websockets,
}

impl Library {
    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Websockets => "websockets",
        }
    }

    /// Runs a script of it.
    pub(super) fn run(self, script: &str, arguments: &[String], environment: &[(&str, &Path)]) -> Outcome<Program> {
        let (folder, interpreter, extension) = match self {
            Self::Ws => ("tests/js", Path::new("node").to_owned(), "cjs"),
            Self::Websockets => ("tests/python", workspace_root().join("tests/python/.venv/bin/python"), "py"),
        };
        let mut command = Command::new(interpreter);
        command.current_dir(workspace_root().join(folder)).arg(format!("{script}.{extension}")).args(arguments);
        command.envs(environment.iter().copied());
        Ok(Program::start(command)?)
    }
}

/// The value that `desired` finds in the first line of the program in which it finds one.
pub(super) fn receive<T>(program: &mut Program, mut desired: impl FnMut(&Value) -> Option<T>) -> Outcome<T> {
    let mut found = None;
    program.wait_for_line(LIMIT, |line| {
        if line.stream == Stream::Out
            && let Ok(message) = serde_json::from_str(&line.text)
        {
            found = desired(&message);
        }
        found.is_some()
    })?;
    found.ok_or_else(|| Failure::new("the program printed nothing"))
}

/// The close code or HTTP status in a member.
pub(super) fn code(message: &Value, member: &str) -> Option<u16> {
    message.get(member)?.as_u64()?.try_into().ok()
}
