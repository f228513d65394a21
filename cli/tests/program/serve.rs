//! `serve`, with `listen` as its client.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use multiwa_ws_testkit::process::Stream;

use crate::support::{LIMIT, ended, listen, run, serve, serve_at, start, wait_for};

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
fn the_command_that_it_prints_shows_its_events() {
    let (mut server, url) = serve(&["--api-key", "s3cret", "--demo", "20"]);
    let line = wait_for(&mut server, "multiwa-ws listen");
    assert_eq!(line.stream, Stream::Err);
    assert_eq!(line.text, format!("  multiwa-ws listen {url} --profile profile-123 --api-key KEY"));
    let command = line.text.replace("KEY", "s3cret");
    let args: Vec<_> = command.split_whitespace().skip(1).chain(["--count", "1"]).collect();
    let listener = run(&args);
    assert!(listener.code == Some(0) && listener.out.contains("profile-123"), "{listener:?}");

    let (mut server, url) = serve(&[]);
    assert_eq!(wait_for(&mut server, "multiwa-ws listen").text, format!("  multiwa-ws listen {url} --profile PROFILE"));
}

#[test]
fn standard_input_waits_for_the_listeners_on_request() {
    let (mut server, url) = serve(&["--api-key", "k", "--wait-for-listeners", "2"]);
    server.write_line(r#"{"profileId":"p","event":"early","data":1}"#).unwrap();
    wait_for(&mut server, "waits for listeners: 2");
    // A client without a subscription does not count.
    assert_eq!(run(&["ping", &url, "--api-key", "k", "--count", "1"]).code, Some(0));
    let listeners = [(); 2].map(|()| listen(&url, &["--api-key", "k", "--profile", "p", "--count", "1"]));
    for listener in listeners {
        let ended = ended(listener);
        assert!(ended.code == Some(0) && ended.out.contains("early"), "{ended:?}");
    }
}

/// A line whose message has `len` bytes with its envelope.
fn line_of(len: usize) -> String {
    let event = |data: &str| {
        format!(
            r#"{{"type":"event","payload":{{"event":"e","profileId":"p","data":"{data}","timestamp":"2026-02-05T10:00:00.000Z"}}}}"#
        )
    };
    let data = "x".repeat(len - event("").len());
    assert_eq!(event(&data).len(), len);
    format!(r#"{{"profileId":"p","event":"e","data":"{data}","timestamp":"2026-02-05T10:00:00.000Z"}}"#)
}

#[test]
fn an_event_or_a_line_over_the_limit_is_refused_with_its_number_and_the_limit() {
    let (mut server, url) = serve(&["--api-key", "k", "--max-message", "2000"]);
    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--json", "--count", "2"]);
    let padded = format!("{}{}", line_of(600), " ".repeat(2000));
    for line in [&line_of(2000), &line_of(2001), &padded, &line_of(200)] {
        server.write_line(line).unwrap();
    }
    let listener = ended(listener);
    assert_eq!(listener.code, Some(0), "{}", listener.err);
    let lengths = [line_of(2000), line_of(200)].map(|line| line.matches('x').count());
    assert!(listener.out.lines().map(|line| line.matches('x').count()).eq(lengths), "{}", listener.out);
    server.signal("TERM").unwrap();
    let ended = ended(server);
    assert!(ended.err.contains("line 2: e has 2001 bytes with its envelope, and the limit is 2000"), "{}", ended.err);
    assert!(ended.err.contains("line 3: longer than 2000 bytes"), "{}", ended.err);
}

#[test]
fn by_default_no_event_can_be_published_that_a_client_refuses() {
    const DEFAULT: usize = (1 << 20) - 512;
    let (mut server, url) = serve(&["--api-key", "k"]);
    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--json", "--count", "2"]);
    for len in [DEFAULT + 1, DEFAULT, 200] {
        server.write_line(&line_of(len)).unwrap();
    }
    let listener = ended(listener);
    assert_eq!(listener.code, Some(0), "{}", listener.err);
    assert_eq!(listener.err.matches("ready").count(), 1, "{}", listener.err);
    server.signal("TERM").unwrap();
    let ended = ended(server);
    assert!(ended.err.contains("line 1: e has 1048065 bytes"), "{}", ended.err);
}

#[test]
fn a_client_that_meets_larger_events_comes_back_each_time_and_says_what_to_set() {
    let (mut server, url) = serve(&["--api-key", "k", "--max-message", "4000000"]);
    let args = ["--api-key", "k", "--profile", "p", "--json", "--count", "1"];
    let mut small = listen(&url, &args);
    // More often than the client tries after an error of the protocol.
    for _ in 0..3 {
        server.write_line(&line_of(2 << 20)).unwrap();
        wait_for(&mut small, "set --max-message");
        wait_for(&mut small, "may have been missed");
    }
    let large = listen(&url, &[&args[..], &["--max-message", "4000000"]].concat());
    server.write_line(&line_of(2 << 20)).unwrap();
    assert_eq!(ended(large).code, Some(0));
    wait_for(&mut small, "may have been missed");
    server.write_line(&line_of(200)).unwrap();
    assert_eq!(ended(small).code, Some(0));

    let once = listen(&url, &[&args[..], &["--no-reconnect"]].concat());
    server.write_line(&line_of(2 << 20)).unwrap();
    let once = ended(once);
    assert!(once.code == Some(6) && once.err.contains("set --max-message"), "{once:?}");
}

#[test]
fn a_timestamp_that_is_not_rfc_3339_is_refused_with_its_line() {
    let (mut server, _url) = serve(&["--api-key", "k"]);
    for timestamp in ["2026-02-05T10:00:00Z", "yesterday"] {
        let line = format!(r#"{{"profileId":"p","event":"e","data":{{}},"timestamp":"{timestamp}"}}"#);
        server.write_line(&line).unwrap();
    }
    wait_for(&mut server, r#"line 2: the timestamp "yesterday" is not RFC 3339"#);
    server.signal("TERM").unwrap();
    assert!(!ended(server).err.contains("line 1"));
}

#[test]
fn the_path_is_the_configured_one() {
    let (_server, url) = serve_at(&["--api-key", "k", "--path", "/events/v1"], "/events/v1");
    assert_eq!(run(&["ping", &url, "--api-key", "k", "--count", "1"]).code, Some(0));
    let elsewhere = url.replace("/events/v1", "/ws");
    assert_eq!(run(&["ping", &elsewhere, "--api-key", "k", "--count", "1"]).code, Some(4));
    let ended = run(&["serve", "--path", "ws?x"]);
    assert!(ended.code == Some(2) && ended.err.contains("write a path such as /ws"), "{ended:?}");
}

/// The response to an upgrade request with this host.
fn response_to(url: &str, host: &str) -> String {
    let mut client = TcpStream::connect(address_of(url)).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(upgrade_request(host).as_bytes()).unwrap();
    let mut response = Vec::new();
    while !response.windows(4).any(|window| window == b"\r\n\r\n") || response.starts_with(b"HTTP/1.1 4") {
        let mut buffer = [0; 4096];
        match client.read(&mut buffer).unwrap() {
            0 => break,
            length => response.extend_from_slice(&buffer[..length]),
        }
    }
    String::from_utf8_lossy(&response).into_owned()
}

fn address_of(url: &str) -> &str {
    url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap()
}

fn upgrade_request(host: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[test]
fn behind_a_proxy_the_refusal_and_the_log_name_the_option_that_helps() {
    let (mut server, url) = serve(&[]);
    for _ in 0..2 {
        let response = response_to(&url, "gateway.example");
        assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
        assert!(response.contains("gateway.example") && response.contains("--allow-host"), "{response}");
    }
    let line = wait_for(&mut server, "gateway.example");
    assert!(line.text.contains("--allow-host"), "{}", line.text);
    server.signal("TERM").unwrap();
    assert_eq!(ended(server).err.matches("gateway.example").count(), 1, "any client can cause this line");

    let (_server, url) = serve(&["--allow-host", "gateway.example"]);
    assert!(response_to(&url, "gateway.example").starts_with("HTTP/1.1 101 "));
}

#[test]
fn the_log_names_the_cause_when_a_slow_reader_is_closed() {
    let (mut server, url) = serve(&["--verbose"]);
    let mut client = TcpStream::connect(address_of(&url)).unwrap();
    client.write_all(upgrade_request("localhost").as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    assert!(client.read(&mut buffer).unwrap() > 0);
    // A masked text frame (RFC 6455 section 5.2) whose masking key is zero.
    let subscribe = br#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(subscribe.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(subscribe);
    client.write_all(&frame).unwrap();
    let mut received = Vec::new();
    while !received.windows(10).any(|window| window == b"subscribed") {
        let length = client.read(&mut buffer).unwrap();
        assert!(length > 0);
        received.extend_from_slice(&buffer[..length]);
    }
    // More than the queue and the buffers of the system hold.
    for _ in 0..20 {
        server.write_line(&line_of(1_000_000)).unwrap();
    }
    let line = wait_for(&mut server, "has disconnected");
    assert!(line.text.contains("read more slowly than events were published"), "{}", line.text);
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
        let mut client = TcpStream::connect(address_of(&url)).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(upgrade_request("localhost").as_bytes()).unwrap();
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
fn a_file_of_keys_that_is_missing_or_has_no_key_is_wrong_usage() {
    let empty = File::new("no-keys", "# none yet\n");
    for (file, extra) in [("/nowhere/keys", &[][..]), (empty.path(), &[]), (empty.path(), &["--api-key", "k"])] {
        let ended = run(&[&["serve", "--listen", "127.0.0.1:0", "--api-keys-file", file], extra].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(file), "{}", ended.err);
    }
}

#[test]
fn a_file_of_keys_that_is_emptied_accepts_nobody() {
    let keys = File::new("emptied-keys", "leaving\n");
    let (mut server, url) = serve(&["--api-keys-file", keys.path()]);
    fs::write(&keys.0, "# none\n").unwrap();
    server.signal("HUP").unwrap();
    wait_for(&mut server, "0 keys, 0 connections closed");
    for args in [&[][..], &["--api-key", "leaving"]] {
        assert_eq!(run(&[&["ping", &url, "--count", "1"], args].concat()).code, Some(3));
    }
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
