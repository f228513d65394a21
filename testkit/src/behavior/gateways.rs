//! Gateways of the socket.io dialect: programs outside of this workspace, controlled line by line.
//!
//! They have the handlers of a deployed gateway. They are in `tests/js` and `tests/python`, like those of
//! [`programs`](super::programs), and each line that they read or write is one JSON object, too.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::Outcome;
use super::programs::{Library, receive};
use crate::process::Program;

/// What a gateway is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayKind {
    /// `socket.io` for Node.js alone.
    SocketIo,
    /// NestJS over Fastify, with `@nestjs/platform-socket.io`.
    Nest,
    /// `python-socketio` on `aiohttp`.
    Python,
}

impl GatewayKind {
    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SocketIo => "socket.io",
            Self::Nest => "NestJS",
            Self::Python => "python-socketio",
        }
    }

    /// Starts a gateway on a free port. `tests/js/gateway.cjs` describes the members of `setup`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(self, setup: &Value) -> Outcome<Gateway> {
        let (library, script) = match self {
            Self::SocketIo => (Library::Ws, "socketio"),
            Self::Nest => (Library::Ws, "nest"),
            Self::Python => (Library::Websockets, "socketio_server"),
        };
        let mut program = library.run(script, &[setup.to_string()], &[])?;
        let port = receive(&mut program, |line| line.get("listening").and_then(Value::as_u64))?;
        Ok(Gateway { program, port, said: VecDeque::new() })
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    program: Program,
    port: u64,
    /// The lines that it has printed and no scenario has taken.
    said: VecDeque<Value>,
}

impl Gateway {
    /// Where clients connect to. It has no path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Sends a command, and waits until the program has done it.
    ///
    /// # Errors
    /// If the program does not do it.
    pub fn order(&mut self, order: &Value) -> Outcome {
        self.program.write_line(&order.to_string())?;
        let said = &mut self.said;
        receive(&mut self.program, |line| {
            let done = line.get("done").map(drop);
            if done.is_none() {
                said.push_back(line.clone());
            }
            done
        })
    }

    /// Emits an event to the clients that have joined `profile`. In the argument, `{"$bytes": BASE64}` stands for binary
    /// data.
    ///
    /// # Errors
    /// If the program does not do it.
    pub fn emit(&mut self, profile: &str, event: &str, argument: &Value) -> Outcome {
        self.order(&json!({"emit": [event, argument], "profile": profile}))
    }

    /// The value of `member` in the next line that has it.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn said(&mut self, member: &str) -> Outcome<Value> {
        let mut line = self.line_with(member)?;
        Ok(line.get_mut(member).map(Value::take).unwrap_or_default())
    }

    /// Takes the next line that has `member`. The lines before it stay.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn line_with(&mut self, member: &str) -> Outcome<Value> {
        let taken = self.said.iter().position(|line| line.get(member).is_some());
        if let Some(line) = taken.and_then(|number| self.said.remove(number)) {
            return Ok(line);
        }
        let said = &mut self.said;
        receive(&mut self.program, |line| {
            if line.get(member).is_some() {
                return Some(line.clone());
            }
            said.push_back(line.clone());
            None
        })
    }
}
