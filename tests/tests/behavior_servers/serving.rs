//! A server and a whole client.

use std::io::Write;
use std::thread;

use multiwa_ws_core::session::Features;
use multiwa_ws_core::websocket::Cause;
use multiwa_ws_testkit::behavior::browser::PageServer;
use multiwa_ws_testkit::behavior::programs::Library;
use multiwa_ws_testkit::behavior::raw::{RawClient, RawKind, Refused};
use multiwa_ws_testkit::behavior::server::{Server, ServerBinding, ServerSetup};
use multiwa_ws_testkit::behavior::tls::{Certificates, HOST};
use multiwa_ws_testkit::behavior::{Failure, LIMIT, Outcome, ensure, same, wait_for};
use serde_json::{Value, json};

/// A server without a key, and a client of it that has its `ack`.
fn start(server: &dyn ServerBinding, client: RawKind) -> Outcome<(Box<dyn Server>, Box<dyn RawClient>)> {
    let server = server.start(&ServerSetup::default())?;
    let client = client.enter(&server.url())?;
    Ok((server, client))
}

fn with_keys(keys: &[&str]) -> ServerSetup {
    ServerSetup { keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..ServerSetup::default() }
}

fn subscribe(client: &mut dyn RawClient, payload: &Value) -> Outcome {
    let answer = client.ask(&json!({"type": "subscribe", "payload": payload, "requestId": "s"}).to_string())?;
    let mut acknowledged = payload.clone();
    acknowledged["action"] = "subscribed".into();
    same(answer, json!({"type": "ack", "payload": acknowledged, "requestId": "s"}))
}

/// The data of the next message, which has to be an event.
fn data(client: &mut dyn RawClient) -> Outcome<Value> {
    let mut event: Value = serde_json::from_str(&client.text()?)?;
    same(&event["type"], &json!("event"))?;
    Ok(event["payload"]["data"].take())
}

pub(crate) fn connect(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let server = server.start(&ServerSetup::default())?;
    let mut client = client.connect(&server.url(), &[])?.map_err(|refused| Failure::new(format!("{refused:?}")))?;
    same(client.header(Features::HEADER), Some("subscription-sets".to_owned()))?;
    let ack: Value = serde_json::from_str(&client.text()?)?;
    same((&ack["type"], &ack["payload"]["message"]), (&json!("ack"), &json!("Connected to MultiWA WebSocket API")))?;
    ensure(ack["payload"]["clientId"].is_string() && ack["payload"]["timestamp"].is_string(), || ack.to_string())?;
    same(ack.get("requestId"), None::<&Value>)?;
    same(server.connections(), 1)?;
    Ok("101 with the features of the server, then the `ack`")
}

pub(crate) fn refuse(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let server = server.start(&with_keys(&["first", "second key"]))?;
    let url = server.url();
    let status = |url: &str, headers: &[(&str, &str)]| -> Outcome<Option<u16>> {
        Ok(match client.connect(url, headers)? {
            Ok(_) => None,
            Err(Refused { status }) => status,
        })
    };
    same(status(&url, &[])?, Some(401))?;
    same(status(&format!("{url}?apiKey=firs"), &[])?, Some(401))?;
    same(status(&url.replace("/ws", "/other"), &[("X-API-Key", "first")])?, Some(404))?;
    same(status(&format!("{url}?apiKey=second+key"), &[])?, None)?;
    same(status(&url, &[("X-API-Key", "first")])?, None)?;
    same(status(&url, &[("Authorization", "Bearer first")])?, None)?;
    Ok("HTTP 401 without a key, 404 at another path")
}

pub(crate) fn subscribe_and_unsubscribe(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["b", "a", "b"]}))?;
    same(server.publish("a", Some("p"), "1")?, 1)?;
    same(data(&mut *client)?, 1)?;
    let odd = r#"{"a": [1.50e3, "\u00e9"]}"#;
    client.send(&format!(r#"{{"requestId":{odd},"type":"unsubscribe"}}"#))?;
    let text = client.text()?;
    ensure(text.contains(odd) && text.contains("unsubscribed"), || text)?;
    same(server.publish("a", Some("p"), "2")?, 0)?;
    Ok("acknowledged as asked; events from then on, until it ends")
}

pub(crate) fn displace(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"]}))?;
    subscribe(&mut *client, &json!({"profileId": "q", "events": ["*"]}))?;
    same(server.publish("a", Some("p"), "1")?, 0)?;
    same(server.publish("a", Some("q"), "2")?, 1)?;
    same(data(&mut *client)?, 2)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"], "mode": "add"}))?;
    same(server.publish("a", Some("q"), "3")?, 1)?;
    same(server.publish("a", Some("p"), "4")?, 1)?;
    same((data(&mut *client)?, data(&mut *client)?), (json!(3), json!(4)))?;
    Ok("a plain subscription replaces the set, one that adds does not")
}

pub(crate) fn every_kind_of_event(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"]}))?;
    for (name, profile, data) in [
        (
            "message.received",
            Some("p"),
            r#"{"id":"i","from":"f","body":"Grüße 👋\n\u0000","type":"chat","hasMedia":false}"#,
        ),
        ("session.status", Some("p"), r#"{"status":"connected","phone":"628123456789"}"#),
        ("qr.updated", Some("p"), r#"{"qr":"2@abc"}"#),
        ("message.ack", Some("p"), r#"{"messageId":"m","status":"read","ack":3}"#),
        ("group.joined", Some("p"), r#"{"n":12345678901234567890.50}"#),
        ("session.status", None, r#"{"status":"restarting"}"#),
    ] {
        same(server.publish(name, profile, data)?, 1)?;
        let text = client.text()?;
        let event: Value = serde_json::from_str(&text)?;
        same(
            (&event["payload"]["event"], event["payload"].get("profileId")),
            (&json!(name), profile.map(Value::from).as_ref()),
        )?;
        ensure(text.contains(data) && event["payload"]["timestamp"].is_string(), || text)?;
    }
    Ok("each once and in order, its data to the byte")
}

pub(crate) fn filter(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["session.status"]}))?;
    for (name, profile, data, receivers) in [
        ("message.received", Some("p"), "1", 0),
        ("session.status", Some("q"), "2", 0),
        ("session.statu", Some("p"), "3", 0),
        ("message.received", None, "4", 0),
        ("session.status", Some("p"), "5", 1),
        ("session.status", None, "6", 1),
    ] {
        same(server.publish(name, profile, data)?, receivers)?;
    }
    same((data(&mut *client)?, data(&mut *client)?), (json!(5), json!(6)))?;
    Ok("the requested events, and no others")
}

pub(crate) fn ping(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (_server, mut client) = start(server, client)?;
    let pong = client.ask(r#"{"type":"ping","requestId":"ping_001"}"#)?;
    same((&pong["type"], &pong["requestId"]), (&json!("pong"), &json!("ping_001")))?;
    ensure(pong["payload"]["timestamp"].is_string(), || pong.to_string())?;
    same(client.ask(r#"{"type":"ping"}"#)?.get("requestId"), None::<&Value>)?;
    Ok("answered with the time")
}

pub(crate) fn shutdown(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let setup = ServerSetup::default();
    let mut running = server.start(&setup)?;
    let mut client_there = client.enter(&running.url())?;
    subscribe(&mut *client_there, &json!({"profileId": "p", "events": ["*"]}))?;
    running.publish("a", Some("p"), "1")?;
    let cut = thread::scope(|scope| {
        let shutdown = scope.spawn(|| running.shutdown(LIMIT));
        same(data(&mut *client_there)?, 1)?;
        same(client_there.end()?, (1001, "the server is shutting down".to_owned()))?;
        shutdown.join().unwrap_or_else(|_| Err(Failure::new("the shutdown panicked")))
    })?;
    same(cut, 0)?;
    // Its address is free for the next one.
    let again = ServerSetup { address: running.address(), ..setup };
    drop(running);
    let running = wait_for("its address", || server.start(&again).ok())?;
    client.enter(&running.url())?;
    Ok("the published events, then 1001; a new server can listen at once")
}

pub(crate) fn close(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    client.close(1000)?;
    same(client.end()?.0, 1000)?;
    let left = server.first_left()?;
    same((left.closed.cause, left.closed.code.get(), left.closed.clean), (Cause::Peer, 1000, true))?;
    // It is reported while it still counts.
    wait_for("its place to be free", || (server.connections() == 0).then_some(()))?;
    Ok("answered with the same code; the server ends the connection first")
}

pub(crate) fn key_rotation(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let server = server.start(&with_keys(&["old", "kept"]))?;
    let mut leaving = client.enter(&format!("{}?apiKey=old", server.url()))?;
    let mut staying = client.enter(&format!("{}?apiKey=kept", server.url()))?;
    same(server.replace_keys(&["kept", "new"]), 1)?;
    same(leaving.end()?.0, 1008)?;
    same(&staying.ask(r#"{"type":"ping"}"#)?["type"], &json!("pong"))?;
    client.enter(&format!("{}?apiKey=new", server.url()))?;
    Ok("1008 to the clients whose key was removed, and to no others")
}

pub(crate) fn refused_requests(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let (server, mut client) = start(server, client)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"]}))?;
    for (request, code, error) in [
        (r#"{"type":"publish","requestId":1}"#, "unknown_type", Some("Unknown message type")),
        (r#"[1]"#, "unknown_type", Some("Unknown message type")),
        (r#"{"type":"subscribe","payload":{"events":[]}}"#, "events_required", Some("Events array is required")),
        (
            r#"{"type":"subscribe","payload":{"events":["a"]}}"#,
            "profile_required",
            Some("profileId or sessionId is required"),
        ),
        (r#"{"type":"#, "invalid_message", None),
    ] {
        let answer = client.ask(request)?;
        same((&answer["type"], &answer["payload"]["code"]), (&json!("error"), &json!(code)))?;
        let text = answer["payload"]["error"].as_str().unwrap_or_default();
        ensure(error.map_or(!text.is_empty(), |error| text == error), || answer.to_string())?;
    }
    same(server.publish("a", Some("p"), "1")?, 1)?;
    same(data(&mut *client)?, 1)?;
    Ok("each gets its error, and the connection continues")
}

pub(crate) fn compression(server: &dyn ServerBinding, client: RawKind) -> Outcome<&'static str> {
    let server = server.start(&ServerSetup { compression: true, ..ServerSetup::default() })?;
    let mut client = client.enter(&server.url())?;
    let extensions = client.header("Sec-WebSocket-Extensions").unwrap_or_default();
    ensure(extensions.starts_with("permessage-deflate"), || extensions)?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"]}))?;
    let text = "compress me ".repeat(1_000);
    for _ in 0..3 {
        server.publish("a", Some("p"), &json!(text).to_string())?;
        same(data(&mut *client)?, text.as_str())?;
    }
    let long = "ask me ".repeat(1_000);
    let answer = client.ask(&json!({"type": "ping", "requestId": long}).to_string())?;
    same(&answer["requestId"], &json!(long))?;
    Ok("`permessage-deflate`, both ways")
}

pub(crate) fn tls(server: &dyn ServerBinding, client: Library) -> Outcome<&'static str> {
    let certificates = Certificates::new()?;
    let mut authority = tempfile::NamedTempFile::new()?;
    authority.write_all(certificates.authority.as_bytes())?;
    let server = server.start(&ServerSetup { tls: Some(certificates.server()?), ..ServerSetup::default() })?;
    let url = format!("wss://{HOST}:{}/ws", server.address().port());
    let client = client.connect_trusting(&url, authority.path())?;
    let mut client = client.map_err(|refused| Failure::new(format!("{refused:?}")))?;
    client.text()?;
    subscribe(&mut *client, &json!({"profileId": "p", "events": ["*"]}))?;
    server.publish("a", Some("p"), "1")?;
    same(data(&mut *client)?, 1)?;
    client.close(1000)?;
    same(client.end()?.0, 1000)?;
    same(server.first_left()?.closed.clean, true)?;
    Ok("as without TLS")
}

pub(crate) fn page(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let page = PageServer::new()?;
    let setup = ServerSetup { origin: Some(page.origin()), ..with_keys(&["the key"]) };
    let mut server = server.start(&setup)?;
    let browser = page.open(&format!("{}?apiKey=the+key", server.url()))?;

    same(browser.console()?, [json!("Connected")])?;
    let ack = browser.console()?;
    same((&ack[0], &ack[1]["message"]), (&json!("Ack:"), &json!("Connected to MultiWA WebSocket API")))?;
    let events = json!(["message.received", "session.status"]);
    let payload = json!({"action": "subscribed", "profileId": "profile-123", "events": events});
    same(browser.console()?, [json!("Ack:"), payload])?;

    same(server.publish("message.received", Some("profile-999"), "1")?, 0)?;
    same(server.publish("qr.updated", Some("profile-123"), "2")?, 0)?;
    for (name, data) in
        [("message.received", json!({"body": "Hello!"})), ("session.status", json!({"status": "connected"}))]
    {
        same(server.publish(name, Some("profile-123"), &data.to_string())?, 1)?;
        same(browser.console()?, [json!("Event:"), json!(name), data])?;
    }
    same(server.shutdown(LIMIT)?, 0)?;
    same(browser.console()?, [json!("Disconnected")])?;
    let left = server.first_left()?;
    same((left.closed.cause, left.closed.code.get(), left.closed.clean), (Cause::Local, 1001, true))?;
    Ok("connects, subscribes, receives its events and the end")
}
