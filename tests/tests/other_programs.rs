//! The example programs and the documented JavaScript client do what they show, against the program's server.
//!
//! Ignored unless `MULTIWA_WS_EXTERNAL` is set: Cargo is asked where the programs are, and the client needs Node.js 20 and `npm ci`
//! in `tests/js`.
#![cfg(test)]

use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::Arguments;
use multiwa_ws_testkit::behavior::report::{external_trial, run};
use multiwa_ws_testkit::process::{Line, Program, Stream, cargo_binary, cargo_example, workspace_root};

/// Longer than any of these steps takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

const TESTS: [(&str, fn()); 7] = [
    ("a_transport_of_ones_own_carries_events", a_transport_of_ones_own_carries_events),
    ("a_server_driven_by_hand_publishes_events", a_server_driven_by_hand_publishes_events),
    ("a_blocking_logger_prints_events_until_its_input_ends", a_blocking_logger_prints_events_until_its_input_ends),
    ("a_client_on_smol_prints_events", a_client_on_smol_prints_events),
    ("a_bot_answers_from_one_task_while_it_reads_in_another", a_bot_answers_from_one_task_while_it_reads_in_another),
    ("a_program_with_a_server_inside_publishes_its_state", a_program_with_a_server_inside_publishes_its_state),
    (
        "the_documented_client_connects_subscribes_and_prints_events",
        the_documented_client_connects_subscribes_and_prints_events,
    ),
];

fn main() -> ExitCode {
    let trials = TESTS.map(|(name, test)| {
        external_trial(name, move || {
            test();
            Ok(())
        })
    });
    run(&Arguments::from_args(), trials.into()).exit_code()
}

fn program(args: &[&str]) -> Program {
    let mut command = Command::new(cargo_binary("multiwa-ws").unwrap());
    command.args(args);
    Program::start(command).unwrap()
}

/// A server, and its URL.
fn serve(args: &[&str]) -> (Program, String) {
    let mut server = program(&[&["serve", "--listen", "127.0.0.1:0", "--api-key", "secret"], args].concat());
    let line = server.wait_for_line(LIMIT, |line| line.text.contains("listening on ws://")).unwrap();
    let url = line.text.split("listening on ").nth(1).unwrap().to_owned();
    (server, url)
}

fn example(name: &str, args: &[&str]) -> Program {
    let mut command = Command::new(cargo_example(name).unwrap());
    command.args(args);
    Program::start(command).unwrap()
}

/// Waits until the program has printed `count` lines that contain `text`.
fn wait_for(program: &mut Program, text: &str, count: usize) {
    for _ in 0..count {
        program.wait_for_line(LIMIT, |line| line.stream == Stream::Out && line.text.contains(text)).unwrap();
    }
}

const MADE_UP: [&str; 2] = ["--demo", "50"];

fn a_transport_of_ones_own_carries_events() {
    let (_server, url) = serve(&MADE_UP);
    let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
    let mut client = example("own_transport", &[address, "profile-123", "secret"]);
    wait_for(&mut client, "message.received", 3);
}

fn a_server_driven_by_hand_publishes_events() {
    let mut server = example("own_server", &["127.0.0.1:0", "profile-123", "secret"]);
    let line = server.wait_for_line(LIMIT, |line| line.text.contains("listening on ")).unwrap();
    let url = format!("ws://{}/ws", line.text.split("listening on ").nth(1).unwrap());
    let mut listener = program(&["listen", &url, "--api-key", "secret", "--profile", "profile-123", "--json"]);
    wait_for(&mut listener, "session.status", 2);
}

fn a_blocking_logger_prints_events_until_its_input_ends() {
    let (_server, url) = serve(&MADE_UP);
    let mut logger = example("blocking_logger", &[&url, "profile-123", "secret"]);
    wait_for(&mut logger, "message.received", 3);
    logger.close_input();
    assert!(logger.wait(LIMIT).unwrap().0.success());
}

fn a_client_on_smol_prints_events() {
    let (_server, url) = serve(&MADE_UP);
    let mut client = example("smol_client", &[&url]);
    wait_for(&mut client, "message.received", 3);
}

fn a_bot_answers_from_one_task_while_it_reads_in_another() {
    let (mut server, url) = serve(&[]);
    let mut bot = example("bot", &[&url, "secret", "profile-123"]);
    wait_for(&mut bot, "ready", 1);
    let mut say = |profile: &str, body: &str| {
        let data = format!(r#"{{"id":"1","from":"f","body":"{body}","type":"chat","timestamp":"t","hasMedia":false}}"#);
        let line = format!(r#"{{"profileId":"{profile}","event":"message.received","data":{data}}}"#);
        server.write_line(&line).unwrap();
    };
    say("profile-123", "watch profile-7");
    wait_for(&mut bot, "watching profile-7, after", 1);
    say("profile-7", "ping");
    wait_for(&mut bot, "event message.received of profile-7", 1);
    wait_for(&mut bot, "the server answers, after", 1);
    say("profile-123", "unwatch nobody");
    wait_for(&mut bot, "sorry: ", 1);
}

fn a_program_with_a_server_inside_publishes_its_state() {
    let mut embedded = example("embedded", &["127.0.0.1:0", "secret"]);
    let line = embedded.wait_for_line(LIMIT, |line| line.text.contains("listening on ")).unwrap();
    let address: String = line.text.chars().filter(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let url = format!("ws://{address}/ws");
    let mut listener = program(&["listen", &url, "--api-key", "secret", "--profile", "counter", "--json"]);
    listener.wait_for_line(LIMIT, |line| line.text.contains("ready")).unwrap();
    embedded.write_line("a line").unwrap();
    wait_for(&mut listener, r#""data":{"lines":1}"#, 1);
    embedded.close_input();
    wait_for(&mut embedded, "0 clients had to be cut", 1);
    assert!(embedded.wait(LIMIT).unwrap().0.success());
}

fn the_documented_client_connects_subscribes_and_prints_events() {
    let printed = |text: &'static str| move |line: &Line| line.stream == Stream::Out && line.text.contains(text);

    let js = workspace_root().join("tests/js");
    assert!(js.join("node_modules/ws").exists(), "run `npm ci` in {}", js.display());

    let (mut server, url) = serve(&[]);

    let mut node = Command::new("node");
    node.current_dir(js).arg("load.cjs").arg(format!("{url}?apiKey=secret"));
    let mut client = Program::start(node).unwrap();

    // Node.js prints an object's members on lines of their own.
    client.wait_for_line(LIMIT, |line| line.text == "Connected").unwrap();
    client.wait_for_line(LIMIT, printed("Ack: {")).unwrap();
    client.wait_for_line(LIMIT, printed("message: 'Connected to MultiWA WebSocket API'")).unwrap();
    client.wait_for_line(LIMIT, printed("Ack: {")).unwrap();
    client.wait_for_line(LIMIT, printed("action: 'subscribed'")).unwrap();

    for event in [
        r#"{"profileId":"profile-999","event":"message.received","data":{"body":"of another profile"}}"#,
        r#"{"profileId":"profile-123","event":"qr.updated","data":{"qr":"of an event not asked for"}}"#,
        r#"{"profileId":"profile-123","event":"message.received","data":{"body":"Hello!"}}"#,
        r#"{"profileId":"profile-123","event":"session.status","data":{"status":"connected"}}"#,
    ] {
        server.write_line(event).unwrap();
    }
    client.wait_for_line(LIMIT, printed("Event: message.received { body: 'Hello!' }")).unwrap();
    client.wait_for_line(LIMIT, printed("Event: session.status { status: 'connected' }")).unwrap();

    server.kill();
    client.wait_for_line(LIMIT, |line| line.text == "Disconnected").unwrap();
    let (status, lines) = client.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}");
    let events = lines.iter().filter(|line| line.text.starts_with("Event: "));
    assert_eq!(events.count(), 2, "{lines:?}");
}
