//! The echo programs do for a suite what they promise, and say so when they cannot.

#![cfg(test)]

use std::future::Future;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Event, Received};
use multiwa_ws_testkit::echo::{acceptance, options, request};
use multiwa_ws_testkit::process::Program;
use multiwa_ws_tokio::WebSocket;
use tokio::net::{TcpListener, TcpStream};

const LIMIT: Duration = Duration::from_secs(20);

fn echo_server(address: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    command.args(["--runtime", "tokio", address]);
    Program::start(command).unwrap()
}

fn echo_client(url: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-client"));
    command.args(["--runtime", "tokio", "--agent", "name & number", "--parallelism", "2", url]);
    Program::start(command).unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

#[tokio::test]
async fn the_server_prints_its_port_and_echoes_on_any_path_with_compression() {
    let mut server = echo_server("127.0.0.1:0");
    let line = server.wait_for_line(LIMIT, |line| line.text.starts_with("listening on ws://127.0.0.1:")).unwrap();
    let address: SocketAddr = line.text.rsplit('/').next().unwrap().parse().unwrap();
    for target in ["/", "/any/path?and=query"] {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        let connected = within(WebSocket::connect(stream, request("localhost", target), &options())).await;
        let (mut socket, upgraded) = connected.unwrap();
        assert!(upgraded.negotiated.deflate.is_some());
        let text = "0123456789abcdef".repeat(1 << 20);
        socket.sender().send_text(&text).unwrap();
        let Received { event, .. } = within(socket.next()).await.unwrap().unwrap();
        assert!(event == Event::Text(&text), "the echo is another");
        within(socket.close(CloseCode::NORMAL, "")).await.unwrap();
    }
}

#[tokio::test]
async fn the_client_runs_every_case_and_asks_for_the_reports() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = echo_client(&format!("ws://{}", listener.local_addr().unwrap()));
    let mut asked = Vec::new();
    while asked.len() < 4 {
        let (stream, _) = within(listener.accept()).await.unwrap();
        let accepted = within(WebSocket::accept(stream, &options(), |_| Ok(acceptance()))).await;
        let (mut socket, request, upgraded) = accepted.unwrap();
        assert!(upgraded.negotiated.deflate.is_some());
        let path = request.path().to_owned();
        let query = request.query_pairs().map(|(name, value)| format!("{name}={value}"));
        let query = query.collect::<Vec<_>>().join(" ");
        if path == "/getCaseCount" {
            socket.sender().send_text("2").unwrap();
        }
        if path == "/runCase" {
            socket.sender().send_text(&query).unwrap();
            let Received { event, .. } = within(socket.next()).await.unwrap().unwrap();
            assert_eq!(event, Event::Text(&query));
        }
        within(socket.close(CloseCode::NORMAL, "")).await.unwrap();
        asked.push((path, query));
    }
    // Two cases run at once: either may come first.
    asked[1..3].sort();
    let asked: Vec<_> = asked.iter().map(|(path, query)| (path.as_str(), query.as_str())).collect();
    assert_eq!(
        asked,
        [
            ("/getCaseCount", ""),
            ("/runCase", "case=1 agent=name & number"),
            ("/runCase", "case=2 agent=name & number"),
            ("/updateReports", "agent=name & number"),
        ]
    );
    let (status, lines) = client.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}: {lines:?}");
}

#[test]
fn each_failure_has_its_exit_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, lines) = echo_server(&address).wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(lines[0].text.starts_with("error: "), "{lines:?}");

    drop(taken);
    let (status, lines) = echo_client(&format!("ws://{address}")).wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(lines[0].text.starts_with("error: "), "{lines:?}");

    assert_eq!(echo_server("no address").wait(LIMIT).unwrap().0.code(), Some(2));
    assert_eq!(echo_client("no url").wait(LIMIT).unwrap().0.code(), Some(2));
    assert_eq!(echo_client("wss://127.0.0.1:1").wait(LIMIT).unwrap().0.code(), Some(2));
}
