//! Each example program does what it shows, against the program's server.

use std::process::Command;
use std::time::Duration;

use multiwa_ws_tests::process::{Program, Stream, cargo_binary, cargo_example};

/// Longer than any of these steps takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// A server with made-up events, and its address.
fn serve() -> (Program, String) {
    let mut command = Command::new(cargo_binary("multiwa-ws", "multiwa-ws").unwrap());
    command.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "secret", "--demo", "50"]);
    let mut server = Program::start(command).unwrap();
    let line = server.wait_for_line(LIMIT, |line| line.text.contains("listening on ws://")).unwrap();
    let address = line.text.split("ws://").nth(1).and_then(|rest| rest.strip_suffix("/ws")).unwrap().to_owned();
    (server, address)
}

fn example(package: &str, name: &str, args: &[&str]) -> Program {
    let mut command = Command::new(cargo_example(package, name).unwrap());
    command.args(args);
    Program::start(command).unwrap()
}

/// Waits until the program has printed `count` lines that contain `text`.
fn wait_for(program: &mut Program, text: &str, count: usize) {
    for _ in 0..count {
        program.wait_for_line(LIMIT, |line| line.stream == Stream::Out && line.text.contains(text)).unwrap();
    }
}

#[test]
fn a_transport_of_ones_own_carries_events() {
    let (_server, address) = serve();
    let mut client = example("multiwa-ws-core", "own_transport", &[&address, "profile-123", "secret"]);
    wait_for(&mut client, "message.received", 3);
}
