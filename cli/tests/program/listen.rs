//! `listen`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use multiwa_ws_testkit::process::{Program, Stream};

use crate::support::{LIMIT, bad_server, command, ended, frame, listen, run, serve, start, swallow, upgrade, wait_for};

#[test]
fn a_message_is_printed_readably_on_standard_output() {
    let (mut server, url) = serve(&["--api-key", "k"]);
    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--event", "message.received", "--count", "1"]);
    for line in [
        r#"{"profileId":"p","event":"session.status","data":{"status":"connected"}}"#,
        r#"{"profileId":"p","event":"message.received","data":{"id":"1","from":"628123456789@c.us","body":"Olá 👋","type":"chat","timestamp":"2026-02-05T10:00:00.000Z","hasMedia":false}}"#,
    ] {
        server.write_line(line).unwrap();
    }
    let ended = ended(listener);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let (time, rest) = ended.out.split_once(' ').unwrap();
    assert_eq!((time.len(), rest), (8, "p message.received 628123456789@c.us: Olá 👋\n"));
}

#[test]
fn sec_ap_09_no_control_character_of_a_message_reaches_either_stream() {
    let (mut server, url) = serve(&["--api-key", "k"]);
    let evil = r#"\u001b]0;owned\u0007\u009b2J\r\n\u202e\u0000\u007f"#;
    let line = format!(
        r#"{{"profileId":"p","event":"message.received","data":{{"id":"1","from":"{evil}","body":"{evil}","type":"chat","timestamp":"t","hasMedia":false}}}}"#
    );
    for json in [&["--json"][..], &[]] {
        let listener = listen(&url, &[&["--api-key", "k", "--profile", "p", "--count", "1"], json].concat());
        server.write_line(&line).unwrap();
        let ended = ended(listener);
        assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 1), "{ended:?}");
        assert!(ended.out.contains("owned"), "{}", ended.out);
        let safe = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(ended.out.chars().all(safe), "{:?}", ended.out);
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&ended.out) {
            assert_eq!(value["data"]["body"], "\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}\0\u{7f}");
        }
    }
}

#[test]
fn sec_ap_09_what_a_server_says_beside_events_is_escaped_too() {
    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        let messages = [
            r#"{"type":"ack","payload":{}}"#,
            r#"{"type":"error","payload":{"error":"e\u001b[31m"}}"#,
            r#"{"type":"notification","payload":{"title":"n\u001b[31m"}}"#,
            r#"{"type":"strange\u001b[31m"}"#,
        ];
        for message in messages {
            stream.write_all(&frame(message)).unwrap();
        }
        swallow(stream);
    });
    let mut listener = start(&["listen", &url, "--profile", "p"]);
    for text in [
        r"the server reports an error: e\u{1b}[31m",
        r"notification: n\u{1b}[31m",
        // As JSON has it.
        r#"unknown message: {"type":"strange\u001b[31m"}"#,
    ] {
        let line = wait_for(&mut listener, text);
        assert!(line.stream == Stream::Err && !line.text.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn f_25_what_has_members_of_another_type_is_shown_as_it_came() {
    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        let messages = [
            r#"{"type":"ack","payload":{}}"#,
            r#"{"type":"event","payload":{"event":"e","profileId":5,"data":[1.50]}}"#,
            r#"{"type":7,"payload":{"n":1}}"#,
            r#"{"type":"error","payload":{"error":{"n":2}}}"#,
            r#"{"type":"notification","payload":{"title":3,"body":[4]}}"#,
        ];
        for message in messages {
            stream.write_all(&frame(message)).unwrap();
        }
        swallow(stream);
    });
    let mut listener = start(&["listen", &url, "--profile", "p", "--json"]);
    for text in [
        r#"{"event":"e","profileId":5,"data":[1.50]}"#,
        r#"{"type":7,"payload":{"n":1}}"#,
        r#"the server reports an error: {"n":2}"#,
        "notification: 3 [4]",
    ] {
        assert_eq!(wait_for(&mut listener, text).stream, Stream::Err);
    }
}

#[test]
fn sec_ap_08_a_key_in_the_url_or_in_a_header_is_not_shown() {
    let (server, url) = serve(&["--api-key", "s3cret"]);
    let in_url = listen(&format!("{url}?apiKey=s3cret"), &["--profile", "p"]);
    let in_header = listen(&url, &["--profile", "p", "--header", "Authorization: Bearer s3cret"]);
    server.signal("INT").unwrap();
    for mut listener in [in_url, in_header] {
        wait_for(&mut listener, "trying again");
        listener.signal("INT").unwrap();
        let ended = ended(listener);
        assert!(ended.err.contains(&format!("connecting to {url}")), "{}", ended.err);
        assert!(!ended.err.contains("s3cret") && ended.out.is_empty(), "{ended:?}");
    }
}

#[test]
fn it_stays_connected_and_reports_what_happens() {
    let (server, url) = serve(&["--api-key", "k"]);
    let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws")).unwrap();
    let mut listener = listen(&url, &["--api-key", "k", "--profile", "p", "--count", "1"]);
    server.signal("TERM").unwrap();
    wait_for(&mut listener, "code 1001; trying again in");
    assert_eq!(ended(server).code, Some(0));
    let mut server = start(&["serve", "--api-key", "k", "--listen", address]);
    wait_for(&mut listener, "may have been missed");
    server.write_line(r#"{"profileId":"p","event":"e","data":{}}"#).unwrap();
    assert_eq!(ended(listener).code, Some(0));
}

#[test]
fn attempts_are_limited_on_request() {
    let once = run(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--no-reconnect"]);
    assert_eq!(once.code, Some(4));
    assert!(!once.err.contains("trying again"), "{}", once.err);
    let twice = run(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--max-attempts", "2"]);
    assert_eq!(twice.code, Some(4));
    assert_eq!(twice.err.matches("trying again").count(), 1, "{}", twice.err);
}

#[test]
fn the_time_ends_it_well_only_if_it_was_connected() {
    let (_server, url) = serve(&["--api-key", "k"]);
    assert_eq!(run(&["listen", &url, "--api-key", "k", "--profile", "p", "--for", "2s"]).code, Some(0));
    assert_eq!(run(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--for", "200ms"]).code, Some(4));
    let silent = bad_server(swallow);
    assert_eq!(run(&["listen", &silent, "--profile", "p", "--for", "200ms"]).code, Some(5));
}

#[test]
fn silence_ends_it_with_5_on_request() {
    let (_server, url) = serve(&["--api-key", "k"]);
    let ended = run(&["listen", &url, "--api-key", "k", "--profile", "p", "--idle-timeout", "300ms"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

#[test]
fn events_that_nobody_requested_are_reported() {
    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        stream.write_all(&frame(r#"{"type":"ack","payload":{}}"#)).unwrap();
        // Its subscription is answered by nothing but events of others.
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).unwrap() > 0);
        for _ in 0..2 {
            stream
                .write_all(&frame(r#"{"type":"event","payload":{"event":"e","profileId":"other","data":1}}"#))
                .unwrap();
        }
        swallow(stream);
    });
    let mut listener = start(&["listen", &url, "--profile", "p", "--timeout", "1s"]);
    let line = wait_for(&mut listener, "match no --profile and --event");
    assert!(line.stream == Stream::Err && line.text.starts_with("2 events were dropped"), "{}", line.text);
}

#[test]
fn profiles_without_an_event_are_named_after_ten_seconds() {
    let (_server, url) = serve(&["--demo", "50"]);
    let mut listener =
        start(&["listen", &url, "--profile", "profile-123", "--profile", "profile-124", "--event", "message.received"]);
    let line = wait_for(&mut listener, "no event came yet");
    assert_eq!(line.stream, Stream::Err);
    let subscribed = "profile-124; subscribed to profile-123 (message.received), profile-124 (message.received)";
    assert!(line.text.contains(subscribed), "{}", line.text);
}

#[test]
fn what_a_server_says_about_a_403_is_shown() {
    let url = bad_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let body = r#"{"error":"The host name \u001bh is not allowed","code":"forbidden"}"#;
        let _ = write!(stream, "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        swallow(stream);
    });
    let ended = run(&["listen", &url, "--profile", "p"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains(r"403: The host name \u{1b}h is not allowed;"), "{}", ended.err);
}

#[test]
fn f_24_sigterm_ends_it_with_0_and_ctrl_c_with_130_after_a_clean_close() {
    let (mut server, url) = serve(&["--api-key", "k", "--verbose"]);
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let connected = listen(&url, &["--api-key", "k", "--profile", "p"]);
        connected.signal(signal).unwrap();
        assert_eq!(ended(connected).code, Some(code), "{signal}");
        wait_for(&mut server, "has disconnected, code 1000");
        let mut waiting = start(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p"]);
        wait_for(&mut waiting, "trying again");
        waiting.signal(signal).unwrap();
        assert_eq!(ended(waiting).code, Some(code), "{signal}");
    }
}

#[test]
fn f_24_sigterm_ends_it_with_143_if_the_connection_was_aborted() {
    let (asked, to_close) = mpsc::channel();
    let url = bad_server(move |mut stream| {
        upgrade(&mut stream);
        stream.write_all(&frame(r#"{"type":"ack","payload":{}}"#)).unwrap();
        // Its subscription comes first, its Close frame second: neither is answered.
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
            let _ = asked.send(buffer[0] == 0x88);
        }
    });
    let [patient, asked_twice] = ["patient", "asked twice"].map(|profile| {
        let listener = start(&["listen", &url, "--profile", profile]);
        assert_eq!(to_close.recv_timeout(LIMIT), Ok(false));
        listener.signal("TERM").unwrap();
        assert_eq!(to_close.recv_timeout(LIMIT), Ok(true));
        listener
    });
    asked_twice.signal("TERM").unwrap();
    for listener in [asked_twice, patient] {
        assert_eq!(ended(listener).code, Some(143));
    }
}

#[test]
fn a_signal_ends_it_while_nobody_reads_the_output() {
    let (_server, url) = serve(&["--api-key", "k", "--demo", "5000"]);
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        assert_eq!(code_while_nobody_reads(&url, signal), Some(code), "{signal}");
    }
}

fn code_while_nobody_reads(url: &str, signal: &str) -> Option<i32> {
    let mut listener = command(&["listen", url, "--api-key", "k", "--profile", "profile-123"]);
    let mut listener = listener.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(listener.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    // A pipe holds 64 KiB, which are written in a moment.
    sleep(Duration::from_millis(500));
    assert!(listener.try_wait().unwrap().is_none());
    let id = listener.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    let begun = Instant::now();
    while listener.try_wait().unwrap().is_none() && begun.elapsed() < LIMIT {
        sleep(Duration::from_millis(10));
    }
    let _ = listener.kill();
    listener.wait().unwrap().code()
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (_server, url) = serve(&["--api-key", "k", "--demo", "500"]);
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        r#""$0" listen "$1" --api-key k --profile profile-123 | head -n 1; echo "code ${PIPESTATUS[0]}""#,
    ]);
    shell.args([env!("CARGO_BIN_EXE_multiwa-ws"), &url]);
    let ended = ended(Program::start(shell).unwrap());
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 2), "{ended:?}");
    assert!(ended.out.ends_with("code 0\n"), "{}", ended.out);
    assert!(!ended.err.contains("error"), "{}", ended.err);
}

#[test]
fn a_second_profile_on_a_server_without_sets_is_refused() {
    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        stream.write_all(&frame(r#"{"type":"ack","payload":{}}"#)).unwrap();
        swallow(stream);
    });
    let mut listener = start(&["listen", &url, "--profile", "a", "--profile", "b", "--timeout", "300ms"]);
    wait_for(&mut listener, "not subscribed to b: the server supports one profile per connection");
}
