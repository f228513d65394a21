//! The command line itself.

use multiwa_ws_testkit::process::Program;

use crate::support::{command, ended, run};

#[test]
fn help_goes_to_standard_output_and_names_every_command_and_exit_code() {
    let help = run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for part in [
        "demo",
        "serve",
        "listen",
        "ping",
        "doctor",
        "  completions  ",
        "  man  ",
        "Examples:",
        "Exit codes:",
        "130  interrupted",
        "143  ended",
    ] {
        assert!(help.out.contains(part), "{part}\n{}", help.out);
    }
    for name in ["demo", "serve", "listen", "ping", "doctor"] {
        let help = run(&[name, "--help"]);
        assert!(help.code == Some(0) && help.out.contains("Example"), "{help:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let cases: [(&[&str], &str); 20] = [
        (&[], "Usage"),
        (&["unknown"], "unrecognized subcommand"),
        (&["listen", "ws://127.0.0.1:1/ws"], "--profile"),
        (&["listen", "http://127.0.0.1:1/ws", "--profile", "p"], "the scheme must be ws or wss"),
        (&["listen", "gateway", "--profile", "p"], "ws://HOST:PORT/ws"),
        (&["listen", "wss://127.0.0.1:1/ws", "--profile", "p", "--ca", "nowhere.pem"], "nowhere.pem"),
        (&["listen", "ws://127.0.0.1:1/ws", "--profile", ""], "name the profile"),
        (&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--for", "30"], "30s"),
        (&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--count", "0"], "--count"),
        (&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--header", "Origin"], "NAME: VALUE"),
        (&["listen", "ws://127.0.0.1:1/ws", "--profile", "p", "--header", "Host: x"], "Host"),
        (&["listen", "ws://h/ws", "--profile", "p", "--no-reconnect", "--max-attempts", "2"], "cannot be used with"),
        (&["ping", "ws://127.0.0.1:1/ws", "--dialect", "socketio"], "document, socket.io, auto"),
        (&["serve", "--listen", "somewhere"], "--listen"),
        (&["serve", "--api-key", ""], "the key is empty"),
        (&["serve", "--allow-origin", "*"], "no wildcards"),
        (&["serve", "--trusted-proxy", "localhost"], "such as 10.0.0.0/8"),
        (&["serve", "--max-message", "1MiB"], "a number of bytes"),
        (&["serve", "--path", "ws"], "a path such as /ws"),
        (&["demo", "--rate", "0"], "a number of events per second"),
    ];
    for (args, message) in cases {
        let ended = run(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}\n{}", ended.err);
        assert!(ended.err.contains(message), "{args:?}\n{}", ended.err);
    }
}

#[test]
fn sec_ap_08_no_mistake_on_the_command_line_shows_a_key() {
    let cases: [&[&str]; 6] = [
        &["listen", "http://127.0.0.1:1/ws?apiKey=s3cret", "--profile", "p"],
        &["listen", "wss://127.0.0.1:1/ws?apiKey=s3cret", "--profile", "p", "--ca", "nowhere.pem"],
        &["listen", "ws://127.0.0.1:1/ws?apiKey=s3cret#x", "--profile", "p"],
        &["ping", "s3cret"],
        &["ping", "ws://127.0.0.1:1/ws", "--header", "X-API-Key s3cret"],
        &["ping", "ws://127.0.0.1:1/ws", "--header", "X-API-Key: a\ns3cret"],
    ];
    for args in cases {
        let ended = run(args);
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(!ended.err.contains("s3cret"), "{args:?}\n{}", ended.err);
    }
    let mut help = command(&["help", "listen"]);
    help.env("MULTIWA_WS_API_KEY", "s3cret");
    let help = ended(Program::start(help).unwrap());
    assert!(help.out.contains("MULTIWA_WS_API_KEY") && !help.out.contains("s3cret"), "{}", help.out);
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.code == Some(0) && script.out.contains("idle-timeout"), "{script:?}");
    }
    let page = run(&["man"]);
    assert!(page.code == Some(0) && page.out.contains(".TH multiwa-ws 1"), "{page:?}");
    let page = run(&["man", "listen"]);
    assert!(page.code == Some(0) && page.out.contains("idle"), "{page:?}");
    assert_eq!(run(&["man", "nothing"]).code, Some(2));
}
