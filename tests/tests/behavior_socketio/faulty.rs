//! A client and a server that does what no gateway does.

use std::time::Duration;

use multiwa_ws_core::session::{CloseCause, DisconnectReason, JsonError};
use multiwa_ws_core::socketio::SocketIoError;
use multiwa_ws_testkit::behavior::client::{Answer, ClientBinding, ClientSetup, OwnedUpdate};
use multiwa_ws_testkit::behavior::scripted::{Incoming, Link, Scripted, against};
use multiwa_ws_testkit::behavior::{Outcome, ensure, same};
use multiwa_ws_testkit::reference::RawFrame;
use serde_json::Value;

use crate::whole::setup;

/// Short, for waits that have to run out.
const SHORT: Duration = Duration::from_millis(100);

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &str = r#"40/ws,{"sid":"c"}"#;

/// A server that has sent its open packet and received the CONNECT.
fn opened(incoming: Incoming) -> Outcome<Link> {
    let mut link = incoming.upgrade(None)?;
    link.text(OPEN)?;
    let connect = link.received()?;
    ensure(connect.starts_with("40/ws,"), || connect)?;
    Ok(link)
}

fn connected(incoming: Incoming) -> Outcome<Link> {
    let mut link = opened(incoming)?;
    link.text(CONNECTED)?;
    Ok(link)
}

/// Acknowledges joins until the client is gone.
fn serve(mut link: Link) -> Outcome {
    while let Ok(packet) = link.received() {
        answer_join(&mut link, &packet)?;
    }
    link.client_left().map(drop)
}

/// Acknowledges the packet if it is a join. Returns whether it is one.
fn answer_join(link: &mut Link, packet: &str) -> Outcome<bool> {
    let Some((head, arguments)) = packet.split_once('[') else { return Ok(false) };
    let arguments: Value = serde_json::from_str(&format!("[{arguments}"))?;
    let id = head.strip_prefix("42/ws,").unwrap_or_default();
    if arguments[0] != "join" {
        return Ok(false);
    }
    link.text(&format!(r#"43/ws,{id}[{{"success":true,"profileId":{}}}]"#, arguments[1]["profileId"]))?;
    Ok(true)
}

/// Does `fault` to the first connection and serves all others, of which a short deadline may end some more on a busy machine.
fn first_then_serve(
    fault: impl Fn(Incoming) -> Outcome + Send + Sync + 'static,
) -> impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static {
    move |number, incoming| {
        if number == 1 {
            return fault(incoming);
        }
        match connected(incoming) {
            Ok(link) => serve(link),
            Err(_) => Ok(()),
        }
    }
}

/// Sends `texts` to a connection in the state that `reach` leads to.
fn sends(
    reach: fn(Incoming) -> Outcome<Link>,
    texts: &'static [&'static str],
) -> impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static {
    first_then_serve(move |incoming| {
        let mut link = reach(incoming)?;
        for text in texts {
            link.text(text)?;
        }
        link.client_left().map(drop)
    })
}

/// The client loses the first connection by `error` and is back, with its subscription.
fn comes_back(
    client: &dyn ClientBinding,
    server: &Scripted,
    error: impl Fn(SocketIoError) -> bool,
    adapt: impl FnOnce(&mut ClientSetup),
) -> Outcome {
    let mut setup = setup(server.origin());
    setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
    adapt(&mut setup);
    let mut client = client.start(&setup)?;
    let reason = client.reason()?;
    ensure(matches!(reason, DisconnectReason::SocketIo(seen) if error(seen)), || format!("{reason:?}"))?;
    client.connected()?;
    ensure(client.status().active.len() == 1, || "it has not joined again".to_owned())?;
    client.close()
}

/// Runs `script` and expects the first connection to be lost by `error`.
fn lost_by(
    client: &dyn ClientBinding,
    script: impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static,
    error: SocketIoError,
) -> Outcome {
    against(script, |server| comes_back(client, server, |seen| seen == error, |_| {}))
}

const RETRIED: &str = "a typed reason, and connected again";

pub(crate) fn no_open(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = first_then_serve(|incoming| incoming.upgrade(None)?.ignore());
    against(script, |server| {
        comes_back(
            client,
            server,
            |seen| seen == SocketIoError::OpenTimeout,
            |setup| setup.session = setup.session.ack_timeout(SHORT),
        )
    })?;
    Ok("`OpenTimeout` at its deadline, and connected again")
}

pub(crate) fn no_connect_answer(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = first_then_serve(|incoming| opened(incoming)?.client_left().map(drop));
    against(script, |server| {
        comes_back(
            client,
            server,
            |seen| seen == SocketIoError::ConnectTimeout,
            |setup| setup.session = setup.session.ack_timeout(SHORT),
        )
    })?;
    Ok("`ConnectTimeout` at its deadline, and connected again")
}

pub(crate) fn no_heartbeat(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = first_then_serve(|incoming| {
        let mut link = incoming.upgrade(None)?;
        link.text(r#"0{"sid":"s","upgrades":[],"pingInterval":100,"pingTimeout":50,"maxPayload":1000000}"#)?;
        link.received()?;
        link.text(CONNECTED)?;
        link.client_left().map(drop)
    });
    lost_by(client, script, SocketIoError::HeartbeatTimeout)?;
    Ok("`HeartbeatTimeout` with the values of the open packet, and connected again")
}

/// Waits for the next pong, and returns the packets before it.
fn pong(link: &mut Link) -> Outcome<Vec<String>> {
    let mut before = Vec::new();
    loop {
        let packet = link.received()?;
        if packet == "3" {
            return Ok(before);
        }
        before.push(packet);
    }
}

pub(crate) fn heartbeat(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming| {
        let mut link = opened(incoming)?;
        link.text("2")?;
        same(link.received()?, "3")?;
        link.text(CONNECTED)?;
        link.text("2")?;
        let mut asked = pong(&mut link)?;
        // With an attachment due, before which no other packet may come but those of Engine.IO.
        link.text(r#"451-/ws,["e",{"profileId":"p","x":{"_placeholder":true,"num":0}}]"#)?;
        link.text("6")?;
        link.text("2")?;
        asked.extend(pong(&mut link)?);
        link.frame(&RawFrame::binary([1]))?;
        for packet in asked {
            answer_join(&mut link, &packet)?;
        }
        serve(link)
    };
    against(script, |server| {
        // A join must wait for the answer to the CONNECT, so the pong is the next message.
        let mut setup = setup(server.origin());
        setup.subscriptions.push(("q".to_owned(), vec!["*".to_owned()]));
        let client = client.start(&setup)?;
        client.connected()?;
        client.subscribed("p", &["*"])?;
        same(client.status().attempt, 1)?;
        client.close()
    })?;
    Ok("a pong at once, also before the CONNECT is answered and while an attachment is due")
}

pub(crate) fn version(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = first_then_serve(|incoming| {
        let mut link = incoming.upgrade(None)?;
        link.bytes(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n\r\n")?;
        link.bytes(br#"{"code":5,"message":"Unsupported protocol version"}"#)?;
        link.half_close()?;
        link.ignore()
    });
    lost_by(client, script, SocketIoError::Version)?;
    Ok("`Version`, and not a bad frame")
}

pub(crate) fn bad_open(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for texts in [
        &["0{}"][..],
        &[r#"0{"sid":"s","pingInterval":-1,"pingTimeout":20000}"#],
        &[r#"0{"sid":"s","pingInterval":25000}"#],
        &[r#"0{"sid":5,"pingInterval":25000,"pingTimeout":20000}"#],
    ] {
        lost_by(client, sends(|incoming| incoming.upgrade(None), texts), SocketIoError::Open)?;
    }
    lost_by(client, sends(opened, &[OPEN]), SocketIoError::NotDue)?;
    Ok(RETRIED)
}

pub(crate) fn bad_packets(client: &dyn ClientBinding) -> Outcome<&'static str> {
    const LONG_ID: &[&str] = &["43/ws,99999999999999999999999999[]"];
    for (texts, error) in [
        (&[""][..], SocketIoError::EmptyPacket),
        (&["9"], SocketIoError::EngineType),
        (&["x"], SocketIoError::EngineType),
        (&["4"], SocketIoError::EmptyPacket),
        (&["49"], SocketIoError::PacketType),
        (&["42/ws"], SocketIoError::Namespace),
        (&["43/ws,[]"], SocketIoError::AckId),
        (LONG_ID, SocketIoError::AckId),
        (&[r#"42/ws,{"an":"object"}"#], SocketIoError::Payload),
        (&["42/ws,[]"], SocketIoError::Payload),
        (&["42/ws,[5]"], SocketIoError::Payload),
    ] {
        let script = sends(connected, texts);
        lost_by(client, script, error)
            .map_err(|failure| multiwa_ws_testkit::behavior::Failure::new(format!("{texts:?}: {failure:?}")))?;
    }
    let script = sends(connected, &[r#"42/ws,["e",{"#]);
    against(script, |server| {
        let is_json = |seen| matches!(seen, SocketIoError::Json(JsonError::Invalid { .. }));
        comes_back(client, server, is_json, |_| {})
    })?;
    Ok(RETRIED)
}

pub(crate) fn too_early(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for texts in [&[r#"42/ws,["e",{"profileId":"p"}]"#][..], &["43/ws,1[]"]] {
        lost_by(client, sends(opened, texts), SocketIoError::NotDue)?;
    }
    lost_by(client, sends(|incoming| incoming.upgrade(None), &["2"]), SocketIoError::NotDue)?;
    lost_by(client, sends(|incoming| incoming.upgrade(None), &[CONNECTED]), SocketIoError::NotDue)?;
    Ok(RETRIED)
}

pub(crate) fn bad_attachments(client: &dyn ClientBinding) -> Outcome<&'static str> {
    const PLACED: &str = r#"451-/ws,["e",{"x":{"_placeholder":true,"num":0}}]"#;
    lost_by(client, sends(connected, &[PLACED, r#"42/ws,["e"]"#]), SocketIoError::AttachmentDue)?;
    lost_by(client, sends(connected, &[r#"4511-/ws,["e"]"#]), SocketIoError::AttachmentCount)?;
    lost_by(client, sends(connected, &[r#"45-/ws,["e"]"#]), SocketIoError::AttachmentCount)?;
    let out_of_range = r#"451-/ws,["e",{"x":{"_placeholder":true,"num":7}}]"#;
    let script = first_then_serve(move |incoming| {
        let mut link = connected(incoming)?;
        link.text(out_of_range)?;
        link.frame(&RawFrame::binary([1]))?;
        link.client_left().map(drop)
    });
    lost_by(client, script, SocketIoError::Placeholder)?;
    let not_due = first_then_serve(|incoming| {
        let mut link = connected(incoming)?;
        link.frame(&RawFrame::binary([1]))?;
        link.client_left().map(drop)
    });
    lost_by(client, not_due, SocketIoError::AttachmentNotDue)?;
    Ok(RETRIED)
}

pub(crate) fn foreign_namespace(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for texts in [&[r#"42/other,["e"]"#][..], &[r#"42["e"]"#], &["41/other,"]] {
        lost_by(client, sends(connected, texts), SocketIoError::ForeignNamespace)?;
    }
    Ok(RETRIED)
}

pub(crate) fn disconnected(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for text in ["41/ws,", "1"] {
        let script = move |number, incoming: Incoming| {
            let mut link = connected(incoming)?;
            let packet = link.received()?;
            // The first answer shows that the key is good.
            answer_join(&mut link, &packet)?;
            if number > 1 {
                return serve(link);
            }
            while let Ok(packet) = link.received() {
                if answer_join(&mut link, &packet)? {
                    break;
                }
                if packet.contains("ping") {
                    link.text(text)?;
                    return link.client_left().map(drop);
                }
            }
            link.client_left().map(drop)
        };
        against(script, |server| {
            let mut setup = setup(server.origin());
            setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
            let mut client = client.start(&setup)?;
            client.connected()?;
            same(client.ping()?, Answer::ConnectionLost)?;
            same(client.reason()?, DisconnectReason::SocketIo(SocketIoError::Disconnected))?;
            client.back()?;
            client.close()
        })?;
    }
    Ok("`Disconnected`, and connected again")
}

pub(crate) fn key_refused(client: &dyn ClientBinding) -> Outcome<&'static str> {
    type End = fn(&mut Link) -> Outcome;
    let ends: [End; 5] = [
        |link| link.text("41/ws,"),
        |link| link.text("1"),
        |link| link.frame(&RawFrame::close_with_body([])),
        |link| link.frame(&RawFrame::close(1008, "")),
        |link| link.half_close(),
    ];
    for end in ends {
        let script = move |_, incoming: Incoming| {
            let mut link = connected(incoming)?;
            end(&mut link)?;
            link.client_left().map(drop)
        };
        ends_for_good(client, script, SocketIoError::KeyRefused, None)?;
    }
    Ok("`KeyRefused`; no further attempt")
}

pub(crate) fn connect_refused_by_text(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| {
        let mut link = opened(incoming)?;
        link.text(r#"44/ws,"not today""#)?;
        link.client_left().map(drop)
    };
    ends_for_good(client, script, SocketIoError::ConnectRefused, Some("not today"))?;
    Ok("the text is reported, then `ConnectRefused`; no further attempt")
}

/// The client ends by `error` after one connection, having reported the error `text`.
fn ends_for_good(
    client: &dyn ClientBinding,
    script: impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static,
    error: SocketIoError,
    text: Option<&str>,
) -> Outcome {
    against(script, |server| {
        let mut setup = setup(server.origin());
        setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
        let mut client = client.start(&setup)?;
        if let Some(text) = text {
            client.find(|update| matches!(update, OwnedUpdate::Error(error) if error.contains(text)).then_some(()))?;
        }
        same(client.end()?, CloseCause::Lost(DisconnectReason::SocketIo(error)))?;
        same(server.connections(), 1)
    })
}

pub(crate) fn unanswered(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| connected(incoming)?.client_left().map(drop);
    against(script, |server| {
        let mut setup = setup(server.origin());
        setup.session = setup.session.request_timeout(SHORT);
        let client = client.start(&setup)?;
        client.connected()?;
        same(client.subscribe("p", &["*"])?, Answer::TimedOut)?;
        same(client.status().attempt, 1)?;
        client.close()
    })?;
    Ok("the request times out, and the connection is kept")
}

pub(crate) fn oversized(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |number, incoming: Incoming| {
        let mut link = connected(incoming)?;
        if number > 1 {
            return serve(link);
        }
        let join = link.received()?;
        ensure(answer_join(&mut link, &join)?, || join)?;
        link.text(&format!(r#"42/ws,["e",{{"profileId":"p","filler":"{}"}}]"#, "x".repeat(2_000)))?;
        same(link.client_left()?, Some(1009))
    };
    against(script, |server| {
        let mut setup = setup(server.origin());
        setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
        setup.websocket = setup.websocket.max_message_len(1_000);
        let mut client = client.start(&setup)?;
        same(client.reason()?, DisconnectReason::Violation { code: 1009 })?;
        client.back()?;
        client.close()
    })?;
    Ok("closed with 1009, and connected again")
}
