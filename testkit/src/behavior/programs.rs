//! Servers and clients of other libraries: programs outside of this workspace, controlled line by line.
//!
//! They are in `tests/js` and `tests/python`. `CONTRIBUTING.md` says how to install their dependencies. Each line that
//! they read or write is one JSON object.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::peer::{Peer, PeerSetup};
use super::raw::{RawClient, Refused};
use super::tls::HOST;
use super::{Failure, LIMIT, Outcome, ensure};
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

    /// Runs its server or its client.
    fn run(self, script: &str, arguments: &[String], environment: &[(&str, &Path)]) -> Outcome<Program> {
        let (folder, interpreter, extension) = match self {
            Self::Ws => ("tests/js", Path::new("node").to_owned(), "cjs"),
            Self::Websockets => ("tests/python", workspace_root().join("tests/python/.venv/bin/python"), "py"),
        };
        let mut command = Command::new(interpreter);
        command.current_dir(workspace_root().join(folder)).arg(format!("{script}.{extension}")).args(arguments);
        command.envs(environment.iter().copied());
        Ok(Program::start(command)?)
    }

    /// Connects to `url` with additional headers.
    ///
    /// # Errors
    /// If the client cannot be started.
    pub fn connect(self, url: &str, headers: &[(&str, &str)]) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        self.connect_in(url, headers, &[])
    }

    /// Connects to `url` and trusts the authority whose certificate is in a file.
    ///
    /// # Errors
    /// If the client cannot be started.
    pub fn connect_trusting(self, url: &str, authority: &Path) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        // Node.js and the OpenSSL of Python read authorities from these variables.
        self.connect_in(url, &[], &[("NODE_EXTRA_CA_CERTS", authority), ("SSL_CERT_FILE", authority)])
    }

    fn connect_in(
        self,
        url: &str,
        headers: &[(&str, &str)],
        environment: &[(&str, &Path)],
    ) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        let mut arguments = vec![url.to_owned()];
        arguments.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let mut program = self.run("client", &arguments, environment)?;
        let opened = receive(&mut program, |message| match message.get("open") {
            Some(headers) => Some(Ok(headers.clone())),
            None => code(message, "refused").map(|status| Err(Refused { status: Some(status) })),
        })?;
        Ok(opened.map(|headers| Box::new(ClientProgram { program, headers, end: None }) as Box<dyn RawClient>))
    }
}

/// The value that `desired` finds in the first line of the program in which it finds one.
fn receive<T>(program: &mut Program, mut desired: impl FnMut(&Value) -> Option<T>) -> Outcome<T> {
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

/// A running server.
#[derive(Debug)]
pub struct ServerProgram {
    program: Program,
    url: String,
    left: VecDeque<u16>,
}

impl ServerProgram {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(library: Library, setup: &PeerSetup) -> Outcome<Self> {
        let tls = setup.tls.as_ref().map(|tls| json!({"certificate": tls.certificate, "key": tls.key}));
        let order = json!({"keys": setup.keys, "compression": setup.compression, "tls": tls});
        let mut program = library.run("server", &[order.to_string()], &[])?;
        let port = receive(&mut program, |message| message.get("listening").and_then(Value::as_u64))?;
        let url = match tls {
            None => format!("ws://127.0.0.1:{port}/ws"),
            Some(_) => format!("wss://{HOST}:{port}/ws"),
        };
        Ok(Self { program, url, left: VecDeque::new() })
    }

    /// Sends a command, and waits until the program has done it.
    fn order(&mut self, order: &Value) -> Outcome {
        self.program.write_line(&order.to_string())?;
        let left = &mut self.left;
        receive(&mut self.program, |message| {
            left.extend(code(message, "left"));
            message.get("done").map(drop)
        })
    }
}

/// The close code or HTTP status in a member.
fn code(message: &Value, member: &str) -> Option<u16> {
    message.get(member)?.as_u64()?.try_into().ok()
}

impl Peer for ServerProgram {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn publish(&mut self, event: &str, profile: Option<&str>, data: &str) -> Outcome {
        let data: Value = serde_json::from_str(data)?;
        let mut payload = json!({"event": event, "data": data, "timestamp": "2026-02-05T10:00:00.000Z"});
        if let (Some(profile), Some(payload)) = (profile, payload.as_object_mut()) {
            payload.insert("profileId".to_owned(), profile.into());
        }
        self.order(&json!({"publish": payload}))
    }

    fn replace_keys(&mut self, keys: &[&str]) -> Outcome {
        self.order(&json!({"keys": keys}))
    }

    fn go_away(&mut self) -> Outcome {
        self.order(&json!({"goAway": true}))
    }

    fn crash(&mut self) -> Outcome {
        self.order(&json!({"crash": true}))
    }

    fn left_with(&mut self) -> Outcome<u16> {
        match self.left.front() {
            Some(code) => Ok(*code),
            None => receive(&mut self.program, |message| code(message, "left")),
        }
    }

    fn compresses(&mut self) -> Outcome<bool> {
        self.program.write_line(&json!({"compresses": true}).to_string())?;
        receive(&mut self.program, |message| message.get("compresses").and_then(Value::as_bool))
    }
}

/// A running client.
struct ClientProgram {
    program: Program,
    /// The headers of the 101 response.
    headers: Value,
    /// How the connection ended, if the program has already reported it.
    end: Option<(u16, String)>,
}

impl ClientProgram {
    fn receive<T>(&mut self, mut desired: impl FnMut(&Value) -> Option<T>) -> Outcome<T> {
        let end = &mut self.end;
        receive(&mut self.program, |message| {
            if let Some(code) = code(message, "closed") {
                let reason = message.get("reason").and_then(Value::as_str).unwrap_or_default();
                *end = Some((code, reason.to_owned()));
            }
            desired(message)
        })
    }
}

impl RawClient for ClientProgram {
    fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name.to_ascii_lowercase())?.as_str()?.to_owned())
    }

    fn send(&mut self, text: &str) -> Outcome {
        Ok(self.program.write_line(&json!({"send": text}).to_string())?)
    }

    fn text(&mut self) -> Outcome<String> {
        let text = self.receive(|message| match message.get("text") {
            Some(text) => text.as_str().map(|text| Some(text.to_owned())),
            None => message.get("closed").map(|_| None),
        })?;
        text.ok_or_else(|| Failure::new(format!("the connection ended: {:?}", self.end)))
    }

    fn close(&mut self, code: u16) -> Outcome {
        Ok(self.program.write_line(&json!({"close": code}).to_string())?)
    }

    fn end(&mut self) -> Outcome<(u16, String)> {
        if self.end.is_none() {
            self.receive(|message| message.get("closed").map(drop))?;
        }
        ensure(self.end.is_some(), || "it ended without a code".to_owned())?;
        Ok(self.end.clone().unwrap_or_default())
    }
}
