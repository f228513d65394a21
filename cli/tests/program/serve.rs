//! `serve`, with `listen` as its client.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use multiwa_ws_testkit::process::Stream;

use crate::support::{LIMIT, ended, listen, run, serve, start, wait_for};

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("multiwa-ws-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn lines_become_events_and_a_bad_line_is_reported_with_its_number() {
    let (mut server, url) = serve(&["--api-key", "k"]);
    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--json", "--count", "3"]);
    for line in [
        r#"{"profileId":"p","event":"message.received","data":{"n":1}}"#,
        r#"{"profileID":"p","event":"message.received","data":{"n":0}}"#,
        "",
        "not JSON",
        r#"{"profileId":"other","event":"message.received","data":{"n":0}}"#,
        r#"{"profileId":"p","event":"odd name","data":[2.50],"timestamp":"2026-02-05T10:00:00.000Z"}"#,
        r#"{"profileId":null,"event":"news","data":null}"#,
    ] {
        server.write_line(line).unwrap();
    }
    let ended_listener = ended(listener);
    assert_eq!(ended_listener.code, Some(0), "{}", ended_listener.err);
    let lines: Vec<_> = ended_listener.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].contains(r#""event":"message.received","profileId":"p","data":{"n":1},"timestamp":"20"#),
        "{}",
        lines[0]
    );
    let second = r#""event":"odd name","profileId":"p","data":[2.50],"timestamp":"2026-02-05T10:00:00.000Z"}"#;
    assert!(lines[1].starts_with(r#"{"receivedAt":"20"#) && lines[1].ends_with(second), "{}", lines[1]);
    assert!(lines[2].contains(r#""event":"news","profileId":null,"data":null"#), "{}", lines[2]);

    server.signal("TERM").unwrap();
    let ended = ended(server);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""));
    assert!(ended.err.contains("line 2: unknown field `profileID`"), "{}", ended.err);
    assert!(ended.err.contains("line 4: write an event as"), "{}", ended.err);
    assert_eq!(ended.err.matches("line ").count(), 2, "{}", ended.err);
}

#[test]
fn the_end_of_the_input_does_not_end_the_server_and_an_interrupt_does() {
    let (mut server, url) = serve(&["--api-key", "k"]);
    server.close_input();
    let mut listener = listen(&url, &["--api-key", "k", "--profile", "p", "--no-reconnect"]);
    server.signal("INT").unwrap();
    wait_for(&mut listener, "closed the connection with code 1001");
    assert_eq!(ended(listener).code, Some(4));
    assert_eq!(ended(server).code, Some(0));
}

#[test]
fn f_24_a_signal_ends_it_with_its_own_code_if_a_client_was_aborted() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (server, url) = serve(&[]);
        let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).unwrap();
        let mut received = Vec::new();
        let mut read_until = |text: &[u8]| {
            while !received.windows(text.len()).any(|window| window == text) {
                let mut buffer = [0; 4096];
                let length = client.read(&mut buffer).unwrap();
                assert!(length > 0);
                received.extend_from_slice(&buffer[..length]);
            }
        };
        read_until(b"Connected to MultiWA");
        server.signal(signal).unwrap();
        // The client is asked to leave, and does not.
        read_until(b"the server is shutting down");
        server.signal(signal).unwrap();
        assert_eq!(ended(server).code, Some(code), "{signal}");
    }
}

#[test]
fn f_22_white_space_and_byte_order_marks_are_no_part_of_keys_and_events() {
    let keys = File::new("keys-of-an-editor", "\u{feff}# staff\r\nfirst\r\n\tsecond \r\n");
    let bare = File::new("keys-with-a-mark", "\u{feff}third\r\n");
    for (file, key) in [(&keys, "first"), (&keys, "second"), (&keys, "second\r\n"), (&bare, "third")] {
        let (_server, url) = serve(&["--api-keys-file", file.path()]);
        let mut ping = crate::support::command(&["ping", &url, "--count", "1"]);
        ping.env("MULTIWA_WS_API_KEY", key);
        let ended = ended(multiwa_ws_testkit::process::Program::start(ping).unwrap());
        assert_eq!(ended.code, Some(0), "{key:?} {}", ended.err);
        assert_eq!(run(&["ping", &url, "--count", "1", "--api-key", "# staff"]).code, Some(3));
    }
    let mut server = crate::support::command(&["serve", "--listen", "127.0.0.1:0"]);
    server.env("MULTIWA_WS_API_KEY", "of the environment\n");
    let mut server = multiwa_ws_testkit::process::Program::start(server).unwrap();
    let line = wait_for(&mut server, "listening on ");
    let url = line.text.strip_prefix("listening on ").unwrap();
    let listener = listen(url, &["--api-key", "of the environment", "--profile", "p", "--count", "1"]);
    server.write_line("\u{feff}{\"profileId\":\"p\",\"event\":\"e\",\"data\":{}}").unwrap();
    assert_eq!(ended(listener).code, Some(0));
    let ended = run(&["ping", url, "--api-key", "\r\n"]);
    assert!(ended.code == Some(2) && ended.err.contains("the key is empty"), "{ended:?}");
}

#[test]
fn a_wrong_key_or_origin_ends_a_client_with_3_and_a_wrong_path_with_4() {
    let (_server, url) = serve(&["--api-key", "right", "--allow-origin", "https://good.example"]);
    let ping = |url: &str, args: &[&str]| run(&[&["ping", url, "--count", "1"], args].concat());
    for args in [&[][..], &["--api-key", "wr0ng"], &["--header", "X-API-Key: wr0ng"]] {
        let ended = ping(&url, args);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains("MULTIWA_WS_API_KEY") && !ended.err.contains("wr0ng"), "{}", ended.err);
    }
    let ended = ping(&url, &["--api-key", "right", "--header", "Origin: https://evil.example"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("origin"), "{}", ended.err);
    let ended = ping(&url, &["--api-key", "right", "--header", "Origin: https://good.example"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let elsewhere = format!("{}elsewhere", url.strip_suffix("ws").unwrap());
    let ended = ping(&elsewhere, &["--api-key", "right"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

#[test]
fn without_a_key_every_client_is_accepted_after_a_warning() {
    let mut server = start(&["serve", "--listen", "127.0.0.1:0"]);
    let warning = wait_for(&mut server, "WARNING");
    assert_eq!(warning.stream, Stream::Err);
    let line = wait_for(&mut server, "listening on ");
    let url = line.text.strip_prefix("listening on ").unwrap();
    assert_eq!(run(&["ping", url, "--count", "1"]).code, Some(0));
}

#[test]
fn sec_ap_08_the_output_of_a_server_shows_no_key() {
    let keys = File::new("shown-keys", "s3cret-in-file\n");
    let (server, url) = serve(&["--api-key", "s3cret", "--api-keys-file", keys.path(), "--verbose"]);
    assert_eq!(run(&["ping", &format!("{url}?apiKey=s3cret"), "--count", "1"]).code, Some(0));
    assert_eq!(run(&["ping", &url, "--api-key", "s3cret-in-file", "--count", "1"]).code, Some(0));
    assert_eq!(run(&["ping", &format!("{url}?apiKey=s3cret-wrong"), "--count", "1"]).code, Some(3));
    server.signal("INT").unwrap();
    let ended = ended(server);
    assert!(ended.err.contains("is connected") && ended.err.contains("refused with HTTP status 401"), "{}", ended.err);
    assert!(!ended.err.contains("s3cret"), "{}", ended.err);
}

#[test]
fn a_key_that_disappears_from_the_file_loses_its_connections() {
    let keys = File::new("reloaded-keys", "# staff\nkept\n\n leaving \n");
    let (mut server, url) = serve(&["--api-keys-file", keys.path()]);
    let mut kept = listen(&url, &["--profile", "p", "--api-key", "kept"]);
    let mut leaving = listen(&url, &["--profile", "p", "--api-key", "leaving"]);

    fs::write(&keys.0, "kept\nnew\n").unwrap();
    server.signal("HUP").unwrap();
    wait_for(&mut server, "2 keys, 1 connections closed");
    wait_for(&mut leaving, "1008");
    assert_eq!(ended(leaving).code, Some(3));
    assert_eq!(run(&["ping", &url, "--api-key", "new", "--count", "1"]).code, Some(0));
    assert_eq!(run(&["ping", &url, "--api-key", "leaving", "--count", "1"]).code, Some(3));
    server.write_line(r#"{"profileId":"p","event":"still","data":{}}"#).unwrap();
    wait_for(&mut kept, "still");

    fs::remove_file(&keys.0).unwrap();
    server.signal("HUP").unwrap();
    wait_for(&mut server, "the API keys are unchanged");
    assert_eq!(run(&["ping", &url, "--api-key", "kept", "--count", "1"]).code, Some(0));
}

#[test]
fn a_file_without_keys_accepts_nobody_and_a_missing_one_is_wrong_usage() {
    let keys = File::new("no-keys", "# none yet\n");
    let (_server, url) = serve(&["--api-keys-file", keys.path()]);
    assert_eq!(run(&["ping", &url, "--count", "1"]).code, Some(3));
    let ended = run(&["serve", "--listen", "127.0.0.1:0", "--api-keys-file", "/nowhere/keys"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn a_key_of_the_environment_is_asked_for_and_shown() {
    let with_key = |args: &[&str]| {
        let mut command = crate::support::command(args);
        command.env("MULTIWA_WS_API_KEY", "of the environment");
        multiwa_ws_testkit::process::Program::start(command).unwrap()
    };
    let mut server = with_key(&["serve", "--listen", "127.0.0.1:0"]);
    let line = wait_for(&mut server, "listening on ");
    let url = line.text.strip_prefix("listening on ").unwrap();
    assert_eq!(run(&["ping", url, "--count", "1"]).code, Some(3));
    assert_eq!(ended(with_key(&["ping", url, "--count", "1"])).code, Some(0));
}

#[test]
fn more_clients_than_allowed_are_refused() {
    let (_server, url) = serve(&["--api-key", "k", "--max-connections", "1"]);
    let _first = listen(&url, &["--profile", "p", "--api-key", "k"]);
    let ended = run(&["ping", &url, "--api-key", "k"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("503"), "{}", ended.err);
}

#[test]
fn f_20_an_address_has_a_share_of_those_who_are_connecting() {
    let (mut server, url) = serve(&["--handshakes-per-address", "1", "--verbose"]);
    let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
    let _idle = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    wait_for(&mut server, "too many clients from 127.0.0.1 are connecting at once");
    // What it trusts is not held to a share.
    let args = ["--handshakes-per-address", "1", "--trusted-proxy", "127.0.0.0/8"];
    let (_server, url) = serve(&args);
    let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
    let _idle = TcpStream::connect(address).unwrap();
    assert_eq!(run(&["ping", &url, "--count", "1"]).code, Some(0));
}

#[test]
fn generated_events_come_at_the_configured_rate() {
    let (_server, url) = serve(&["--api-key", "k", "--demo", "50"]);
    let mut listener = listen(&url, &["--api-key", "k", "--profile", "profile-123", "--json", "--count", "20"]);
    listener.wait_for_line(LIMIT, |line| line.stream == Stream::Out).unwrap();
    assert_eq!(ended(listener).code, Some(0));
}

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let (_server, url) = serve(&["--api-key", "k"]);
    let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
    let ended = run(&["serve", "--api-key", "k", "--listen", address]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(address), "{}", ended.err);
}
