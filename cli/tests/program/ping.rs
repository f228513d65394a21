//! `ping`.

use std::io::{Read, Write};

use crate::support::{bad_server, ended, run, serve, start, swallow, upgrade, wait_for};

#[test]
fn each_answer_is_a_line_and_the_figures_come_last() {
    let (_server, url) = serve(&["--api-key", "k"]);
    let ended = run(&["ping", &url, "--api-key", "k", "--count", "3", "--interval", "10ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines.len(), 3);
    for (number, line) in (1..).zip(lines) {
        let rtt = line.strip_prefix(&format!("ping={number} rtt_ms=")).unwrap();
        assert!(rtt.parse::<f64>().unwrap() < 10_000.0);
    }
    assert!(ended.err.starts_with("sent=3 received=3 min_ms="), "{}", ended.err);
}

#[test]
fn a_server_that_is_not_there_ends_it_with_4() {
    let ended = run(&["ping", "ws://127.0.0.1:1/ws"]);
    assert_eq!(ended.code, Some(4));
    assert!(
        ended.err.contains("Connection refused") && ended.err.contains("check that the server is running"),
        "{}",
        ended.err
    );
}

#[test]
fn a_server_without_an_answer_ends_it_with_4_and_the_reason_of_deployed_gateways() {
    let url = bad_server(|mut stream| {
        // What is read is not answered; unread, it would be a reset.
        let _ = stream.read(&mut [0; 4096]);
    });
    let ended = run(&["ping", &url]);
    assert_eq!(ended.code, Some(4));
    assert!(ended.err.contains("socket.io"), "{}", ended.err);
}

#[test]
fn a_server_that_does_not_answer_the_upgrade_ends_it_with_5() {
    let url = bad_server(swallow);
    let ended = run(&["ping", &url, "--timeout", "200ms"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

#[test]
fn a_server_that_does_not_answer_pings_ends_it_with_5() {
    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        swallow(stream);
    });
    let ended = run(&["ping", &url, "--timeout", "200ms", "--count", "2", "--interval", "10ms"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(5), ""), "{ended:?}");
    assert!(ended.err.contains("sent=2 received=0") && ended.err.contains("2 of 2 pings"), "{}", ended.err);
}

#[test]
fn a_server_that_breaks_the_protocol_ends_it_with_6() {
    let no_upgrade = bad_server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        swallow(stream);
    });
    let no_frame = bad_server(|mut stream| {
        upgrade(&mut stream);
        // RFC 6455 section 5.2: a reserved opcode.
        let _ = stream.write_all(&[0x83, 0]);
        swallow(stream);
    });
    for (url, message) in [
        (no_upgrade, "the server switched to a protocol other than websocket"),
        (no_frame, "the server broke the protocol: the opcode is reserved"),
    ] {
        let ended = run(&["ping", &url, "--timeout", "5s"]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        assert!(ended.err.contains(message), "{}", ended.err);
    }
}

#[test]
fn f_24_sigterm_ends_it_with_0_and_ctrl_c_with_130_and_the_figures_so_far() {
    let (_server, url) = serve(&["--api-key", "k"]);
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let mut ping = start(&["ping", &url, "--api-key", "k", "--count", "1000"]);
        wait_for(&mut ping, "ping=1");
        ping.signal(signal).unwrap();
        let ended = ended(ping);
        assert_eq!(ended.code, Some(code), "{signal}");
        assert!(ended.err.contains("received=1"), "{}", ended.err);
    }
}
