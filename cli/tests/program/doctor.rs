//! `doctor`.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Certificates, bad_server, frame, run, serve, swallow, upgrade};

/// The steps of a report in JSON, with their results and details, and what to do next.
fn examine(url: &str, args: &[&str]) -> (Option<i32>, Vec<(String, String, String)>, String) {
    let ended = run(&[&["doctor", url, "--json"], args].concat());
    let mut lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    assert_eq!(last["exitCode"].as_i64(), ended.code.map(i64::from), "{}", ended.err);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = lines.iter().map(|line| {
        assert!(line["ms"].as_f64().is_none_or(|ms| ms >= 0.0), "{line}");
        (text(&line["step"]), text(&line["result"]), text(&line["detail"]))
    });
    (ended.code, steps.collect(), text(&last["next"]))
}

/// The steps and their results.
fn results(steps: &[(String, String, String)]) -> Vec<(&str, &str)> {
    steps.iter().map(|(step, result, _)| (step.as_str(), result.as_str())).collect()
}

const REACHED: [(&str, &str); 3] = [("names", "ok"), ("tcp", "ok"), ("tls", "skipped")];

#[test]
fn every_step_of_a_good_server_is_named_with_its_time() {
    let (_server, url) = serve(&["--api-key", "s3cret"]);
    let ended = run(&["doctor", &url, "--api-key", "s3cret"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let lines: Vec<_> = ended.out.lines().collect();
    for (line, step) in lines.iter().zip(["names", "tcp", "tls", "http", "dialect", "key"]) {
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some(step), "{}", ended.out);
        assert_eq!(words.next(), Some(if step == "tls" { "skipped" } else { "ok" }), "{}", ended.out);
        assert_eq!(line.contains(" ms "), !["tls", "key"].contains(&step), "{line}");
    }
    assert_eq!(lines[6], format!("next: multiwa-ws listen {url} --profile PROFILE, with the same options"));
    assert_eq!(lines.len(), 7);
    assert!(!ended.out.contains("s3cret"), "{}", ended.out);

    let (code, steps, next) = examine(&format!("{url}?apiKey=s3cret"), &[]);
    assert_eq!(code, Some(0));
    assert_eq!(results(&steps)[..3], REACHED);
    assert_eq!(results(&steps)[3..], [("http", "ok"), ("dialect", "ok"), ("key", "ok")]);
    assert!(!format!("{steps:?}{next}").contains("s3cret"), "{steps:?} {next}");
}

#[test]
fn a_key_is_accepted_or_refused_or_not_required() {
    let (_server, url) = serve(&["--api-key", "right"]);
    for args in [&[][..], &["--api-key", "wr0ng"], &["--header", "X-API-Key: wr0ng"]] {
        let (code, steps, next) = examine(&url, args);
        assert_eq!((code, &results(&steps)[3..]), (Some(3), &[("http", "ok"), ("key", "failed")][..]), "{steps:?}");
        assert!(next.contains("MULTIWA_WS_API_KEY") && !format!("{steps:?}").contains("wr0ng"), "{next} {steps:?}");
    }
    let (_server, url) = serve(&[]);
    let (code, steps, _) = examine(&url, &[]);
    assert_eq!(code, Some(0));
    assert!(steps.last().unwrap().2.contains("the server requires none"), "{steps:?}");

    let url = bad_server(|mut stream| {
        upgrade(&mut stream);
        // A Close frame with code 1008 (RFC 6455 section 5.5.1).
        stream.write_all(&[0x88, 2, 0x03, 0xf0]).unwrap();
        swallow(stream);
    });
    let (code, steps, _) = examine(&url, &["--api-key", "k"]);
    assert_eq!((code, &results(&steps)[3..]), (Some(3), &[("http", "ok"), ("key", "failed")][..]), "{steps:?}");
}

#[test]
fn the_first_step_that_fails_is_the_last_one_and_its_exit_code_is_that_of_a_client() {
    let cases: [(&str, &[&str], i32, &str, &str); 3] = [
        ("ws://nowhere.invalid/ws", &[], 4, "names", "check the host name"),
        ("ws://127.0.0.1:1/ws", &[], 4, "tcp", "check that the server is running"),
        ("ws://127.0.0.1:3001/ws", &["--proxy", "http://127.0.0.1:1"], 4, "proxy", "check that the server is running"),
    ];
    for (url, args, expected, step, advice) in cases {
        let (code, steps, next) = examine(url, args);
        assert_eq!((code, results(&steps).last()), (Some(expected), Some(&(step, "failed"))), "{steps:?}");
        assert!(next.contains(advice), "{next}");
    }
    let silent = bad_server(swallow);
    let (code, steps, _) = examine(&silent, &["--timeout", "200ms"]);
    assert_eq!((code, &results(&steps)[3..]), (Some(5), &[("http", "failed")][..]), "{steps:?}");
    let (_server, url) = serve(&[]);
    let (code, steps, next) = examine(&url.replace("/ws", "/elsewhere"), &[]);
    assert_eq!((code, &results(&steps)[3..]), (Some(4), &[("http", "failed")][..]), "{steps:?}");
    assert!(next.contains("most servers use /ws"), "{next}");
    let redirect = bad_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(
            b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://h/ws?apiKey=s3cret\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let (code, steps, _) = examine(&redirect, &[]);
    assert_eq!(code, Some(4));
    assert_eq!(steps.last().unwrap().2, "HTTP status 308, a redirect to https://h/ws");
}

#[test]
fn a_websocket_without_the_protocol_is_unclear() {
    let silent = bad_server(|mut stream| {
        upgrade(&mut stream);
        swallow(stream);
    });
    let other = bad_server(|mut stream| {
        upgrade(&mut stream);
        stream.write_all(&frame(r#"{"type":"hello\u001b"}"#)).unwrap();
        swallow(stream);
    });
    for (url, detail) in [(silent, "without a connection ack"), (other, r#"of type "hello"#)] {
        let (code, steps, _) = examine(&url, &["--timeout", "300ms"]);
        assert_eq!((code, results(&steps)[4]), (Some(0), ("dialect", "unclear")), "{steps:?}");
        assert!(steps[4].2.contains(detail), "{steps:?}");
    }
}

#[test]
fn the_dialect_of_deployed_gateways_is_recognized() {
    let answer = |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap_or(0);
        if buffer[..length].starts_with(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n") {
            let body = r#"0{"sid":"Lbo5JLzTotvW3g2LAAAA","upgrades":["websocket"],"pingInterval":25000}"#;
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
        // Every other request is not answered.
    };
    let (code, steps, next) = examine(&bad_server(answer), &["--api-key", "k"]);
    assert_eq!(code, Some(4));
    assert_eq!(results(&steps)[3..], [("http", "failed"), ("dialect", "ok"), ("key", "failed")]);
    assert!(steps[4].2.starts_with("socket.io"), "{steps:?}");
    assert!(!next.is_empty());

    let neither = bad_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    let (code, steps, _) = examine(&neither, &[]);
    assert_eq!((code, &results(&steps)[3..]), (Some(4), &[("http", "failed")][..]), "{steps:?}");
}

#[test]
fn the_certificates_are_shown_whether_they_are_trusted_or_not() {
    let files = Certificates::new();
    let (chain, key) = (files.text("ours.pem"), files.text("ours.key"));
    let (_server, url) = serve(&["--api-key", "k", "--tls-cert", &chain, "--tls-key", &key]);
    let (code, steps, _) = examine(&url, &["--api-key", "k", "--ca", &chain]);
    assert_eq!((code, results(&steps)[2]), (Some(0), ("tls", "ok")), "{steps:?}");
    let names = r#""CN=rcgen self signed cert" issued by "CN=rcgen self signed cert", valid until 4096-01-01"#;
    assert!(steps[2].2.starts_with("TLS 1.3; ") && steps[2].2.contains(names), "{steps:?}");
    let (code, steps, next) = examine(&url, &["--api-key", "k", "--ca", &files.text("other.pem")]);
    assert_eq!((code, results(&steps).last()), (Some(4), Some(&("tls", "failed"))), "{steps:?}");
    // Both certificates have the same name, so the reason is the signature.
    assert!(
        steps[2].2.starts_with("invalid peer certificate: BadSignature; TLS 1.3; ") && steps[2].2.contains(names),
        "{steps:?}"
    );
    assert!(next.contains("--ca"), "{next}");

    let authority = files.authority();
    let (chain, key) = (authority.0.as_str(), authority.1.as_str());
    let (_server, url) = serve(&["--tls-cert", chain, "--tls-key", key]);
    let (code, _, next) = examine(&url, &["--ca", chain]);
    assert!(code == Some(4) && next.contains("-addext basicConstraints=critical,CA:FALSE"), "{next}");
}
