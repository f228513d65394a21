//! `--dialect`, against servers that speak socket.io and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::support::{bad_server, ended, frame, listen, run, serve, start, swallow, upgrade, wait_for};

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &str = r#"40/ws,{"sid":"s"}"#;
const SAYS_SO: &str = "does not speak the documented protocol; using socket.io from now on";

/// What a gateway does to a client that asks for another path, as for `/ws`.
type Otherwise = fn(&mut TcpStream);

/// A deployed gateway drops it. Unread bytes would make the end a reset.
fn drops(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
}

fn not_found(stream: &mut TcpStream) {
    answers(stream, "404 Not Found");
}

fn bad_gateway(stream: &mut TcpStream) {
    answers(stream, "502 Bad Gateway");
}

fn answers(stream: &mut TcpStream, status: &str) {
    drops(stream);
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/// A gateway that does `behave` on each connection whose CONNECT it has answered. Also returns the paths of all requests.
fn gateway(
    otherwise: Otherwise,
    behave: impl Fn(usize, &mut TcpStream) + Clone + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let paths = Arc::<Mutex<Vec<String>>>::default();
    let seen = paths.clone();
    let url = bad_server(move |mut stream| {
        let mut head = [0; 4096];
        let length = stream.peek(&mut head).unwrap();
        let path = String::from_utf8_lossy(&head[..length]).split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap().push(path.clone());
        if !path.starts_with("/socket.io/?") {
            return otherwise(&mut stream);
        }
        let number = seen.lock().unwrap().iter().filter(|path| path.starts_with("/socket.io/?")).count();
        upgrade(&mut stream);
        stream.write_all(&frame(OPEN)).unwrap();
        let connect = text(&mut stream).unwrap();
        assert!(connect.starts_with("40/ws,"), "{connect}");
        stream.write_all(&frame(CONNECTED)).unwrap();
        behave(number, &mut stream);
    });
    (url, paths)
}

/// The next text message of a client: one masked frame (RFC 6455 section 5.2). `None` after the last.
fn text(stream: &mut TcpStream) -> Option<String> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut length = usize::from(head[1] & 0x7f);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).ok()?;
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    if head[0] != 0x81 {
        return None;
    }
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(String::from_utf8(payload).unwrap())
}

/// Answers the requests of the client until `until` was answered.
fn answer_until(stream: &mut TcpStream, until: &str) {
    while let Some(packet) = text(stream) {
        let Some((head, arguments)) = packet.split_once('[') else { continue };
        let arguments: serde_json::Value = serde_json::from_str(&format!("[{arguments}")).unwrap();
        let name = arguments[0].as_str().unwrap();
        let answer = match (name, arguments[1]["type"].as_str()) {
            ("join", _) => {
                let id = head.strip_prefix("42/ws,").unwrap();
                Some(format!("43/ws,{id}[{}]", serde_json::json!({"success": true, "profileId": "p"})))
            }
            ("message", Some("ping")) => {
                let pong = serde_json::json!({"type": "pong", "payload": {}, "requestId": arguments[1]["requestId"]});
                Some(format!(r#"42/ws,["message",{pong}]"#))
            }
            _ => None,
        };
        if let Some(answer) = answer {
            stream.write_all(&frame(&answer)).unwrap();
        }
        if name == until {
            return;
        }
    }
}

#[test]
fn auto_falls_back_once_says_so_and_keeps_the_dialect() {
    for otherwise in [drops as Otherwise, not_found, bad_gateway] {
        let (url, paths) = gateway(otherwise, |number, stream| {
            answer_until(stream, "join");
            if number == 1 {
                return;
            }
            let event = r#"42/ws,["message:ack",{"profileId":"p","messageId":"m","status":"read"}]"#;
            stream.write_all(&frame(event)).unwrap();
            answer_until(stream, "nothing");
        });
        let arguments = ["--dialect", "auto", "--profile", "p", "--count", "1", "--json"];
        let ended = run(&[&["listen", &url], &arguments[..]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains(r#""event":"message.ack""#) && ended.out.contains(r#""ack":3"#), "{}", ended.out);
        assert_eq!(ended.err.matches(SAYS_SO).count(), 1, "{}", ended.err);
        let paths = paths.lock().unwrap();
        let count = |start: &str| paths.iter().filter(|path| path.starts_with(start)).count();
        assert_eq!((count("/ws"), count("/socket.io/?"), paths.len()), (1, 2, 3), "{paths:?}");
    }
}

#[test]
fn auto_stays_with_the_document_where_it_is_spoken() {
    let (_server, url) = serve(&["--api-key", "k"]);
    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--dialect", "auto"]);
    listener.signal("INT").unwrap();
    let ended = ended(listener);
    assert!(!ended.err.contains("socket.io"), "{}", ended.err);
    assert_eq!(run(&["ping", &url, "--api-key", "k", "--dialect", "auto", "--count", "1"]).code, Some(0));
}

#[test]
fn auto_waits_for_a_server_that_is_not_up_yet() {
    let mut listener = start(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--dialect", "auto"]);
    wait_for(&mut listener, "trying again");
    listener.signal("INT").unwrap();
    assert_eq!(ended(listener).code, Some(130));
    let ended = run(&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--dialect", "auto", "--no-reconnect"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

#[test]
fn the_document_names_the_other_dialect_where_it_is_not_spoken() {
    for otherwise in [drops as Otherwise, not_found, bad_gateway] {
        let (url, paths) = gateway(otherwise, |_, _| {});
        for arguments in [&["ping"][..], &["listen", "--profile", "p", "--no-reconnect"]] {
            let ended = run(&[arguments, &[&url]].concat());
            assert_eq!(ended.code, Some(4), "{ended:?}");
            assert!(ended.err.contains("--dialect socket.io"), "{}", ended.err);
        }
        assert!(paths.lock().unwrap().iter().all(|path| path == "/ws"));
    }
}

#[test]
fn a_refused_key_ends_it_with_3_in_each_dialect() {
    // The first two gateways speak only socket.io; the last program speaks only the document's protocol.
    let (refusing, _) = gateway(drops, |_, stream| {
        let _ = stream.write_all(&frame("41/ws,"));
        swallow(stream.try_clone().unwrap());
    });
    let (_server, document) = serve(&["--api-key", "k"]);
    for (url, dialects) in [(refusing, ["socket.io", "auto"]), (document, ["document", "auto"])] {
        for dialect in dialects {
            for arguments in [&["ping"][..], &["listen", "--profile", "p"]] {
                let wrong = [&url, "--api-key", "wrong-key", "--dialect", dialect];
                let ended = run(&[arguments, &wrong[..]].concat());
                assert_eq!(ended.code, Some(3), "{dialect} {arguments:?} {ended:?}");
                assert!(ended.err.contains("--api-key") && !ended.err.contains("wrong-key"), "{}", ended.err);
            }
        }
    }
}

#[test]
fn pings_go_over_socket_io_too() {
    let (url, paths) = gateway(drops, |_, stream| answer_until(stream, "nothing"));
    let ended =
        run(&["ping", &url, "--api-key", "s3cret", "--dialect", "socket.io", "--count", "2", "--interval", "10ms"]);
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 2), "{ended:?}");
    // The key goes into the CONNECT, not into the URL, which servers log.
    assert!(paths.lock().unwrap().iter().all(|path| !path.contains("s3cret")));
}
