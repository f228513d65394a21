//! The page of the source document, section 8.5, in headless Chromium.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::{Failure, LIMIT, Outcome, same};
use crate::process::{Program, workspace_root};

/// The URL that the document's code connects to.
const DOCUMENTED_URL: &str = "ws://localhost:3001/ws?apiKey=YOUR_API_KEY";

/// The script of the page that shows its console to the test. It posts each call back, one after the other.
const CONSOLE: &str = "let posted = Promise.resolve();
console.log = (...lines) => {
  posted = posted.then(() => fetch('/console', { method: 'POST', body: JSON.stringify(lines) }));
};";

/// An address on loopback that serves the page: the origin of the page.
#[derive(Debug)]
pub struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl PageServer {
    /// A server on a free port.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn new() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The origin of the page.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens the document's page in Chromium. Only the URL differs from the published code.
    ///
    /// # Errors
    /// If Chromium cannot be started.
    pub fn open(self, url: &str) -> Outcome<Browser> {
        let code = std::fs::read_to_string(workspace_root().join("tests/js/client.js"))?;
        same(code.matches(DOCUMENTED_URL).count(), 1)?;
        let code = code.replace(DOCUMENTED_URL, url);
        let page = format!("<!doctype html><meta charset=utf-8><script>{CONSOLE}</script><script>{code}</script>");

        let (sender, console) = channel();
        let origin = self.origin();
        thread::spawn(move || serve(&self.listener, &Arc::from(page), &sender));

        let profile = tempfile::tempdir()?;
        let mut command = Command::new("chromium");
        command.args([
            "--headless",
            // The tests run as root in CI, where Chromium has no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Headless Chromium ends with its page unless it is under remote control.
            "--remote-debugging-port=0",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(origin);
        Ok(Browser { _program: Program::start(command)?, console, _profile: profile })
    }
}

/// A browser with one page. It ends when this value is dropped.
#[derive(Debug)]
pub struct Browser {
    _program: Program,
    console: Receiver<Vec<Value>>,
    /// An empty profile folder, removed after the browser ends.
    _profile: TempDir,
}

impl Browser {
    /// The next call that the page writes to its console.
    ///
    /// # Errors
    /// If the page writes nothing in time.
    pub fn console(&self) -> Outcome<Vec<Value>> {
        self.console.recv_timeout(LIMIT).map_err(|_| Failure::new("the page writes nothing to its console"))
    }
}

/// Answers the browser's requests until nobody reads the console any more.
fn serve(listener: &TcpListener, page: &Arc<str>, console: &Sender<Vec<Value>>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let (page, console) = (page.clone(), console.clone());
        thread::spawn(move || answer(stream, &page, &console));
    }
}

/// Answers one request: a GET gets the page, and a post gets an empty answer.
fn answer(mut stream: TcpStream, page: &str, console: &Sender<Vec<Value>>) -> Outcome {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let head = head.to_ascii_lowercase();
    let body = if head.starts_with("post /console ") {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut lines = vec![0; length.parse()?];
        reader.read_exact(&mut lines)?;
        // The receiver was dropped, so the browser ends soon.
        let _ = console.send(serde_json::from_slice(&lines)?);
        ""
    } else {
        page
    };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close", body.len());
    Ok(write!(stream, "{head}\r\n\r\n{body}")?)
}
