//! `serve` and its clients over TLS.

use multiwa_ws_testkit::process::Program;

use crate::support::{Certificates, Ended, command, ended, listen, run, serve};

fn ping(url: &str, args: &[&str]) -> Ended {
    run(&[&["ping", url, "--api-key", "k", "--count", "1"], args].concat())
}

#[test]
fn a_certificate_is_trusted_when_its_authority_is_and_any_is_when_that_is_asked_for() {
    let files = Certificates::new();
    let (chain, key) = (files.text("ours.pem"), files.text("ours.key"));
    let (mut server, url) = serve(&["--api-key", "k", "--tls-cert", &chain, "--tls-key", &key]);
    assert!(url.starts_with("wss://"), "{url}");

    let trusting = ping(&url, &["--ca", &chain]);
    assert_eq!(trusting.code, Some(0), "{trusting:?}");
    let insecure = ping(&url, &["--insecure"]);
    assert_eq!(insecure.code, Some(0), "{insecure:?}");
    assert!(insecure.err.contains("WARNING"), "{}", insecure.err);
    for args in [&[][..], &["--ca", &files.text("other.pem")]] {
        let distrusting = ping(&url, args);
        assert_eq!(distrusting.code, Some(4), "{distrusting:?}");
        assert!(distrusting.err.contains("--ca"), "{}", distrusting.err);
    }

    let listener = listen(&url, &["--api-key", "k", "--profile", "p", "--count", "1", "--json", "--ca", &chain]);
    server.write_line(r#"{"profileId":"p","event":"e","data":7}"#).unwrap();
    let listener = ended(listener);
    assert!(listener.code == Some(0) && listener.out.contains(r#""data":7"#), "{listener:?}");
}

#[test]
fn a_certificate_of_an_authority_is_named_with_the_option_that_makes_a_better_one() {
    let files = Certificates::new();
    let (chain, key) = files.authority();
    let (_server, url) = serve(&["--api-key", "k", "--tls-cert", &chain, "--tls-key", &key]);
    let ended = ping(&url, &["--ca", &chain]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("-addext basicConstraints=critical,CA:FALSE"), "{}", ended.err);
    assert!(!ended.err.contains("pass the authority's certificate"), "{}", ended.err);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Certificates::new();
    let cases = [
        (files.text("nowhere.pem"), files.text("ours.key"), "nowhere.pem"),
        (files.text("ours.key"), files.text("ours.key"), "certificate"),
        (files.text("ours.pem"), files.text("ours.pem"), "private key"),
        (files.text("ours.pem"), files.text("other.key"), "cannot be used"),
    ];
    for (chain, key, named) in cases {
        let ended = run(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", &chain, "--tls-key", &key]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(named), "{}", ended.err);
    }
    for args in [&["--tls-cert", "x.pem"][..], &["--tls-key", "x.pem"]] {
        assert_eq!(run(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()).code, Some(2));
    }
    let ended = ping("wss://127.0.0.1:1/ws", &["--ca", &files.text("nowhere.pem")]);
    assert!(ended.code == Some(2) && ended.err.contains("nowhere.pem"), "{ended:?}");
}

#[test]
fn sec_ap_08_the_password_of_a_proxy_is_not_shown() {
    let ended = ping("ws://127.0.0.1:1/ws", &["--proxy", "socks://me:s3cret@127.0.0.1:1"]);
    assert!(ended.code == Some(2) && !ended.err.contains("s3cret"), "{ended:?}");
    let ended = run(&[
        "listen",
        "ws://127.0.0.1:1/ws",
        "--profile",
        "p",
        "--no-reconnect",
        "--proxy",
        "http://me:s3cret@127.0.0.1:1",
    ]);
    assert!(ended.code == Some(4) && !ended.err.contains("s3cret"), "{ended:?}");
}

#[test]
fn f_23_the_proxy_of_the_environment_counts_when_that_is_asked_for_but_for_those_who_are_exempt() {
    let (_server, url) = serve(&["--api-key", "k"]);
    // Nobody listens there.
    let variables = |exempt| [("http_proxy", "http://127.0.0.1:1"), ("no_proxy", exempt)];
    for (exempt, args, code) in
        [("", &["--proxy-env"][..], 4), ("127.0.0.0/8,.example", &["--proxy-env"], 0), ("", &[], 0)]
    {
        let ping = [&["ping", &url, "--api-key", "k", "--count", "1"], args].concat();
        let mut ping = command(&ping);
        ping.envs(variables(exempt));
        let ended = ended(Program::start(ping).unwrap());
        assert_eq!(ended.code, Some(code), "{exempt} {args:?} {}", ended.err);
    }
}
