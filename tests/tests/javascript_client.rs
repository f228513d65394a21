//! The JavaScript client of the source document, section 8.5, against the program's server.

use multiwa_ws_tests::process::workspace_root;
use sha1_smol::Sha1;

/// SHA-1 of the code in section 8.5 of the source document, as its author published it, with a final line break.
const DOCUMENTED_CLIENT: &str = "591f0f4a7ef72ffaa7bb7607d6c35ee50efa7319";

#[test]
fn the_committed_client_is_the_documented_one_byte_for_byte() {
    let committed = std::fs::read(workspace_root().join("tests/js/client.js")).unwrap();
    assert_eq!(Sha1::from(committed).digest().to_string(), DOCUMENTED_CLIENT);
}

/// Needs Node.js 20 and `npm ci` in `tests/js`.
#[cfg(feature = "external")]
#[test]
fn the_documented_client_connects_subscribes_and_prints_events() {
    use std::process::Command;
    use std::time::Duration;

    use multiwa_ws_tests::process::{Line, Program, Stream, cargo_binary};

    const LIMIT: Duration = Duration::from_secs(20);
    let printed = |text: &'static str| move |line: &Line| line.stream == Stream::Out && line.text.contains(text);

    let js = workspace_root().join("tests/js");
    assert!(js.join("node_modules/ws").exists(), "run `npm ci` in {}", js.display());

    let mut serve = Command::new(cargo_binary("multiwa-ws").unwrap());
    serve.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "key of this test"]);
    let mut server = Program::start(serve).unwrap();
    let listening = server.wait_for_line(LIMIT, |line| line.text.contains("listening on ws://")).unwrap();
    let (_, url) = listening.text.split_once("listening on ").unwrap();

    let mut node = Command::new("node");
    node.current_dir(js).arg("load.cjs").arg(format!("{url}?apiKey=key+of+this+test"));
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
