//! A client and a gateway.

use std::time::Duration;

use multiwa_ws_core::session::{
    ClientState, CloseCause, Dialect, DisconnectReason, Event, EventNames, EventView, SecondProfile, SubscriptionSet,
};
use multiwa_ws_core::socketio::SocketIoError;
use multiwa_ws_testkit::behavior::client::{Answer, Client, ClientBinding, ClientSetup, OwnedUpdate};
use multiwa_ws_testkit::behavior::gateways::{Gateway, GatewayKind};
use multiwa_ws_testkit::behavior::{Failure, Outcome, ensure, same};
use serde_json::{Value, json};

use crate::relay::Relay;

const KEY: &str = "the key & more";

/// Short, for waits that have to run out.
const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn setup(url: impl Into<String>) -> ClientSetup {
    let mut setup = ClientSetup::new(url);
    setup.session = setup.session.dialect(Dialect::SocketIo);
    setup
}

/// A gateway with a key, and a client of it that has joined `p`.
fn start(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<(Box<dyn Client>, Gateway)> {
    start_with(client, gateway, json!({}))
}

fn start_with(
    client: &dyn ClientBinding,
    gateway: GatewayKind,
    mut settings: Value,
) -> Outcome<(Box<dyn Client>, Gateway)> {
    settings["keys"] = json!([KEY]);
    let gateway = gateway.start(&settings)?;
    let client = client.start(&setup(gateway.url()).key(KEY))?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    Ok((client, gateway))
}

fn subscribed(profiles: &[&str]) -> SubscriptionSet {
    let mut set = SubscriptionSet::default();
    for profile in profiles {
        set.add(*profile, EventNames::every());
    }
    set
}

fn status(profile: &str, status: &str) -> Value {
    json!({"profileId": profile, "status": status})
}

fn next_event(client: &mut dyn Client) -> Outcome<Event<'static>> {
    client.find(|update| match update {
        OwnedUpdate::Event(event) => Some(event.clone()),
        _ => None,
    })
}

/// The data of the next event.
fn next_data(client: &mut dyn Client) -> Outcome<Value> {
    Ok(serde_json::from_str(&client.data()?)?)
}

pub(crate) fn connect(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 300}))?;
    let mut setup = setup(gateway.url()).key(KEY);
    setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
    let client = client.start(&setup)?;
    client.connected()?;
    let status = client.status();
    same((status.state, status.attempt), (ClientState::Ready, 1))?;
    same(status.active, subscribed(&["p"]))?;
    let connected = gateway.line_with("connected")?;
    same(&connected["auth"], &json!({"apiKey": KEY}))?;
    same(&connected["url"], "/socket.io/?EIO=4&transport=websocket")?;
    // Asked for too early, and again.
    same(gateway.said("allowed")?, false)?;
    same(gateway.said("allowed")?, true)?;
    Ok("joined at the first attempt; the key goes into the CONNECT alone")
}

/// The client ends for good, having connected once.
fn ends_by(client: &mut dyn Client, error: SocketIoError) -> Outcome {
    same(client.end()?, CloseCause::Lost(DisconnectReason::SocketIo(error)))
}

fn refused(client: &dyn ClientBinding, gateway: &Gateway, key: Option<&str>) -> Outcome {
    let mut setup = setup(gateway.url());
    setup.keys.extend(key.map(str::to_owned));
    setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
    let mut client = client.start(&setup)?;
    let error = client.ready()?.err();
    let reason = error.as_ref().and_then(|error| error.reason);
    same(reason, Some(DisconnectReason::SocketIo(SocketIoError::KeyRefused)))?;
    ensure(error.is_none_or(|error| !error.text.contains("wrong-key")), || "it shows the key".to_owned())?;
    same(client.status().attempt, 1)?;
    ends_by(&mut *client, SocketIoError::KeyRefused)
}

pub(crate) fn wrong_key(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let gateway = gateway.start(&json!({"keys": [KEY]}))?;
    refused(client, &gateway, Some("wrong-key"))?;
    refused(client, &gateway, None)?;
    Ok("`KeyRefused`; no further attempt, and the key not shown")
}

pub(crate) fn wrong_key_closes(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let gateway = gateway.start(&json!({"keys": [KEY], "close": true}))?;
    refused(client, &gateway, Some("wrong-key"))?;
    Ok("`KeyRefused`; no further attempt, and the key not shown")
}

pub(crate) fn expired_key(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    gateway.order(&json!({"keys": ["another"]}))?;
    same(client.reason()?, DisconnectReason::SocketIo(SocketIoError::Disconnected))?;
    ends_by(&mut *client, SocketIoError::KeyRefused)?;
    Ok("`Disconnected`; the next attempt ends with `KeyRefused`")
}

fn connect_refused(client: &dyn ClientBinding, settings: &Value, text: &str) -> Outcome {
    let gateway = GatewayKind::SocketIo.start(settings)?;
    let mut client = client.start(&setup(gateway.url()).key(KEY))?;
    let error = client.find(|update| match update {
        OwnedUpdate::Error(error) => Some(error.clone()),
        _ => None,
    })?;
    ensure(error.contains(text), || error)?;
    same(client.status().attempt, 1)?;
    ends_by(&mut *client, SocketIoError::ConnectRefused)
}

pub(crate) fn connect_error(client: &dyn ClientBinding, _: GatewayKind) -> Outcome<&'static str> {
    connect_refused(client, &json!({"connectError": "not today"}), "not today")?;
    Ok("the text is reported, then `ConnectRefused`; no further attempt")
}

pub(crate) fn no_namespace(client: &dyn ClientBinding, _: GatewayKind) -> Outcome<&'static str> {
    connect_refused(client, &json!({"namespace": "/other"}), "Invalid namespace")?;
    Ok("the text is reported, then `ConnectRefused`; no further attempt")
}

pub(crate) fn forbidden(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 0, "forbidden": ["q"]}))?;
    let client = client.start(&setup(gateway.url()).key(KEY))?;
    client.connected()?;
    same(client.subscribe("q", &["*"])?, Answer::Refused("Forbidden".to_owned(), None))?;
    same(client.status().active, subscribed(&[]))?;
    // At once, and after 0.5, 1 and 2 s.
    for _ in 0..4 {
        same(gateway.said("allowed")?, false)?;
    }
    client.subscribed("p", &["*"])?;
    same(gateway.line_with("join")?, json!({"join": "p", "allowed": true}))?;
    Ok("asked four times, then refused; the connection stays")
}

pub(crate) fn two_profiles(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    client.subscribed("q", &["*"])?;
    same(client.status().active, subscribed(&["p", "q"]))?;
    gateway.emit("p", "e", &json!({"profileId": "p", "n": 1}))?;
    gateway.emit("q", "e", &json!({"profileId": "q", "n": 2}))?;
    same((&next_data(&mut *client)?["n"], &next_data(&mut *client)?["n"]), (&json!(1), &json!(2)))?;
    same(client.unsubscribe(Some("p"))?, Answer::Done)?;
    same(gateway.said("leave")?, "p")?;
    gateway.emit("p", "e", &json!({"profileId": "p", "n": 3}))?;
    gateway.emit("q", "e", &json!({"profileId": "q", "n": 4}))?;
    same(&next_data(&mut *client)?["n"], 4)?;
    same(client.status().active, subscribed(&["q"]))?;
    Ok("events of both profiles arrive; each can be left alone")
}

/// A stored message, with more members than the protocol names.
fn received(kind: &str, content: &Value) -> Value {
    json!({
        "type": "message:received",
        "message": {
            "id": "row-1", "profileId": "p", "conversationId": "c-1", "messageId": "wa-1", "direction": "incoming",
            "senderJid": "628123456789@s.whatsapp.net", "type": kind, "content": content,
            "timestamp": "2026-02-05T10:00:00.000Z", "metadata": {"new": [1, null]},
        },
        "conversation": {"profileId": "p", "jid": "628123456789@s.whatsapp.net", "name": "Grüße 👋", "type": "user"},
    })
}

pub(crate) fn every_kind_of_event(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    let from = "628123456789@s.whatsapp.net";
    let as_received = |kind: &str, body: &str, media: bool, source: &Value| {
        json!({
            "id": "wa-1", "from": from, "body": body, "type": kind, "timestamp": "2026-02-05T10:00:00.000Z",
            "hasMedia": media, "source": source,
        })
    };
    for (kind, content, body, media) in [
        ("text", json!({"text": "Grüße 👋\n\u{0}"}), "Grüße 👋\n\u{0}", false),
        ("image", json!({"caption": "a photo", "url": "data:,x"}), "a photo", true),
        ("video", json!({"text": "first", "caption": "second"}), "first", true),
        ("audio", json!({}), "", true),
        ("document", json!({"fileName": "f"}), "", true),
        ("location", json!({"latitude": 1.5}), "", false),
        ("contact", json!({}), "", false),
    ] {
        let argument = received(kind, &content);
        gateway.emit("p", "message", &argument)?;
        let event = next_event(&mut *client)?;
        same((&*event.name(), event.profile_id().as_deref()), ("message.received", Some("p")))?;
        let data: Value = serde_json::from_str(event.data().unwrap_or_default())?;
        same(data, as_received(kind, body, media, &argument))?;
        ensure(matches!(event.view()?, EventView::MessageReceived(_)), || "it has another view".to_owned())?;
    }

    for (name, ack) in [("sent", 1), ("delivered", 2), ("read", 3)] {
        gateway.emit("p", "message:ack", &json!({"profileId": "p", "messageId": "m", "status": name}))?;
        let event = next_event(&mut *client)?;
        same(&*event.name(), "message.ack")?;
        let EventView::MessageAck(view) = event.view()? else { return Err(Failure::new(format!("{event:?}"))) };
        same((&*view.message_id, &*view.status, view.ack), ("m", name, ack))?;
    }

    let statuses = [
        json!({"profileId": "p", "status": "connected", "phoneNumber": "62812", "phone": "62812", "new": {"a": 1}}),
        json!({"profileId": "p", "status": "error", "reason": "logged out"}),
    ];
    for argument in statuses {
        gateway.emit("p", "connection:status", &argument)?;
        let event = next_event(&mut *client)?;
        same((&*event.name(), event.profile_id().as_deref()), ("session.status", Some("p")))?;
        let data: Value = serde_json::from_str(event.data().unwrap_or_default())?;
        for (member, value) in argument.as_object().into_iter().flatten().filter(|(member, _)| *member != "profileId") {
            same(&data[member], value)?;
        }
        let EventView::SessionStatus(view) = event.view()? else { return Err(Failure::new(format!("{event:?}"))) };
        same(view.phone.as_deref(), argument["phone"].as_str())?;
    }

    gateway.emit("p", "qr:update", &json!({"profileId": "p", "qrCode": "2@abc"}))?;
    let event = next_event(&mut *client)?;
    same(&*event.name(), "qr.updated")?;
    let EventView::QrUpdated(view) = event.view()? else { return Err(Failure::new(format!("{event:?}"))) };
    same(&*view.qr, "2@abc")?;

    let other = json!({"profileId": "p", "anything": [true]});
    gateway.emit("p", "group:joined", &other)?;
    let event = next_event(&mut *client)?;
    same((&*event.name(), event.profile_id().as_deref()), ("group:joined", Some("p")))?;
    same(serde_json::from_str::<Value>(event.data().unwrap_or_default())?, other)?;

    gateway.emit("p", "announcement", &json!({"text": "without a profile"}))?;
    client.find(|update| matches!(update, OwnedUpdate::Unknown(_)).then_some(()))?;

    gateway.emit("p", "exception", &json!({"status": "error", "message": "Internal server error"}))?;
    let error = client.find(|update| match update {
        OwnedUpdate::Error(error) => Some(error.clone()),
        _ => None,
    })?;
    same(&*error, "Internal server error")?;
    Ok("each with its own view and all of its members, in order")
}

pub(crate) fn envelopes(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    let event = json!({"event": "group.joined", "profileId": "p", "data": {"n": 1}});
    gateway.emit("p", "message", &json!({"type": "event", "payload": event}))?;
    same(&next_data(&mut *client)?["n"], 1)?;
    gateway.order(&json!({"emit": ["event", {"event": "system.note", "data": {"n": 2}}]}))?;
    let broadcast = next_event(&mut *client)?;
    same((&*broadcast.name(), broadcast.profile_id()), ("system.note", None))?;
    gateway.order(&json!({"emit": ["notification", {"id": "1", "title": "t", "body": "b"}]}))?;
    let title = client.find(|update| match update {
        OwnedUpdate::Notification(message) => Some(message.payload_text("title").map(|title| title.into_owned())),
        _ => None,
    })?;
    same(title.as_deref(), Some("t"))?;
    Ok("as in the documented protocol")
}

pub(crate) fn event_both_ways(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    let ack = |status: &str| json!({"profileId": "p", "messageId": "m", "status": status});
    let envelope =
        |name: &str, data: Value| json!({"type": "event", "payload": {"event": name, "profileId": "p", "data": data}});
    for (name, number) in [("sent", 1), ("read", 3)] {
        gateway.emit("p", "message:ack", &ack(name))?;
        let data = json!({"messageId": "m", "status": name, "ack": number});
        gateway.emit("p", "message", &envelope("message.ack", data))?;
    }
    // Without a message id, each is an event of its own.
    gateway.emit("p", "connection:status", &status("p", "connected"))?;
    gateway.emit("p", "message", &envelope("session.status", json!({"status": "connected"})))?;
    gateway.emit("p", "qr:update", &json!({"profileId": "p", "qrCode": "last"}))?;
    let mut seen = Vec::new();
    loop {
        let event = next_event(&mut *client)?;
        if event.name() == "qr.updated" {
            break;
        }
        let data: Value = serde_json::from_str(event.data().unwrap_or_default())?;
        seen.push(data["status"].as_str().unwrap_or_default().to_owned());
    }
    same(seen, ["sent", "read", "connected", "connected"])?;
    Ok("one event for each message and status")
}

pub(crate) fn displace(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 0}))?;
    let mut setup = setup(gateway.url()).key(KEY);
    setup.session = setup.session.second_profile(SecondProfile::Displace);
    let client = client.start(&setup)?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    client.subscribed("q", &["*"])?;
    same(client.status().active, subscribed(&["q"]))?;
    let mut joins = Vec::new();
    while joins.len() < 2 {
        let line = gateway.line_with("join")?;
        if line["allowed"] == true {
            joins.push(line["join"].clone());
        }
    }
    same(joins, ["p", "q"])?;
    same(gateway.said("leave")?, "p")?;
    Ok("joins the second profile, then leaves the first")
}

pub(crate) fn key_rotation(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": ["old"]}))?;
    let setup = setup(gateway.url()).key("old").key("new");
    let mut client = client.start(&setup)?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    gateway.order(&json!({"keys": ["new"]}))?;
    same(client.reason()?, DisconnectReason::SocketIo(SocketIoError::Disconnected))?;
    received_again(&mut *client, &mut gateway)?;
    Ok("`Disconnected`; connected with the new key")
}

pub(crate) fn another_path(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let gateway = gateway.start(&json!({}))?;
    let url = format!("{}/ws", gateway.url());
    for setup in [setup(&*url), ClientSetup::new(&*url)] {
        let reason = client.start(&setup)?.reason()?;
        ensure(matches!(reason, DisconnectReason::Eof | DisconnectReason::Io), || format!("{reason:?}"))?;
    }
    Ok("dropped without an answer, in either dialect, and tried again")
}

pub(crate) fn filter(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 0}))?;
    let mut client = client.start(&setup(gateway.url()).key(KEY))?;
    client.connected()?;
    client.subscribed("p", &["session.status", "new:event"])?;
    gateway.emit("p", "message:ack", &json!({"profileId": "p", "messageId": "m", "status": "read"}))?;
    gateway.emit("p", "qr:update", &json!({"profileId": "p", "qrCode": "1"}))?;
    gateway.emit("p", "connection:status", &status("p", "connecting"))?;
    gateway.emit("p", "new:event", &json!({"profileId": "p", "n": 5}))?;
    same(&next_data(&mut *client)?["status"], "connecting")?;
    same(&next_data(&mut *client)?["n"], 5)?;
    same(client.status().filtered, 2)?;
    Ok("the requested events, and no others")
}

pub(crate) fn binary_event(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    let bytes = json!({"$bytes": "AQI="});
    gateway.emit("p", "e", &json!({"profileId": "p", "n": 1, "parts": [bytes, {"deep": bytes}]}))?;
    gateway.emit("p", "e", &json!({"profileId": "p", "n": 2}))?;
    let binary = next_data(&mut *client)?;
    same((&binary["n"], &binary["parts"]), (&json!(1), &json!(["AQI=", {"deep": "AQI="}])))?;
    same(&next_data(&mut *client)?["n"], 2)?;
    same(client.status().attempt, 1)?;
    Ok("each attachment is shown in Base64 in its place")
}

pub(crate) fn unanswered_join(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 0, "unanswered": 1}))?;
    let mut client = client.start(&setup(gateway.url()).key(KEY))?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    gateway.emit("p", "connection:status", &status("p", "connecting"))?;
    same(&next_data(&mut *client)?["status"], "connecting")?;
    Ok("after 5 s, the answer to the documented envelope counts")
}

pub(crate) fn ping(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keyDelay": 0}))?;
    let mut setup = setup(gateway.url());
    let client_of = |setup: &ClientSetup| -> Outcome<Box<dyn Client>> {
        let client = client.start(setup)?;
        client.connected()?;
        Ok(client)
    };
    let answered = client_of(&setup)?;
    same(answered.ping()?, Answer::Done)?;
    ensure(answered.status().round_trip.is_some(), || "no round trip is known".to_owned())?;
    gateway.order(&json!({"setup": {"silentPing": true}}))?;
    setup.session = setup.session.request_timeout(SHORT);
    let unanswered = client_of(&setup)?;
    same(unanswered.ping()?, Answer::TimedOut)?;
    let status = unanswered.status();
    same((status.state, status.attempt), (ClientState::Ready, 1))?;
    Ok("its `pong` is the round trip; without one, the request times out and nothing else")
}

fn received_again(client: &mut dyn Client, gateway: &mut Gateway) -> Outcome {
    let gap = client.back()?;
    ensure(gap.from <= gap.to, || format!("{gap:?}"))?;
    same(client.status().active, subscribed(&["p"]))?;
    gateway.emit("p", "connection:status", &status("p", "connecting"))?;
    same(&next_data(client)?["status"], "connecting")
}

pub(crate) fn announced_restart(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    gateway.order(&json!({"goAway": true}))?;
    same(client.reason()?, DisconnectReason::SocketIo(SocketIoError::Disconnected))?;
    received_again(&mut *client, &mut gateway)?;
    Ok("`Disconnected`; joined again, and the gap reported")
}

pub(crate) fn crash(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    gateway.order(&json!({"crash": true}))?;
    let reason = client.reason()?;
    ensure(matches!(reason, DisconnectReason::Eof | DisconnectReason::Io), || format!("{reason:?}"))?;
    received_again(&mut *client, &mut gateway)?;
    Ok("joined again, and the gap reported")
}

pub(crate) fn server_heart_stops(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    // Long enough for a busy machine to keep the connections that are not meant.
    let settings = json!({"pingInterval": 1000, "pingTimeout": 1500});
    let (mut client, mut gateway) = start_with(client, gateway, settings)?;
    gateway.order(&json!({"stopHeartbeat": true}))?;
    same(client.reason()?, DisconnectReason::SocketIo(SocketIoError::HeartbeatTimeout))?;
    received_again(&mut *client, &mut gateway)?;
    Ok("lost after `pingInterval` and `pingTimeout`; joined again, and the gap reported")
}

pub(crate) fn client_not_heard(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway =
        gateway.start(&json!({"keys": [KEY], "keyDelay": 0, "pingInterval": 1000, "pingTimeout": 1000}))?;
    let relay = Relay::start(&gateway.url())?;
    let mut client = client.start(&setup(relay.url()).key(KEY))?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    relay.set_deaf(true);
    same(gateway.said("disconnected")?, "ping timeout")?;
    relay.set_deaf(false);
    client.reason()?;
    received_again(&mut *client, &mut gateway)?;
    Ok("the server ends the session; joined again, and the gap reported")
}

pub(crate) fn large_messages(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let mut gateway = gateway.start(&json!({"keys": [KEY], "keyDelay": 0, "maxPayload": 200}))?;
    let mut setup = setup(gateway.url()).key(KEY);
    setup.websocket = setup.websocket.max_message_len(16 << 20);
    let mut client = client.start(&setup)?;
    client.connected()?;
    client.subscribed("p", &["*"])?;
    // The limit is that of the server for what it receives.
    gateway.order(&json!({"profile": "p", "emit": ["e", {"profileId": "p"}], "filler": 2_000_000}))?;
    same(next_data(&mut *client)?["filler"].as_str().map(str::len), Some(2_000_000))?;
    let long = "q".repeat(200);
    same(client.subscribe(&long, &["*"])?, Answer::ConnectionLost)?;
    same(client.reason()?, DisconnectReason::ClosedByPeer { code: Some(1009) })?;
    Ok("2 MB arrive; a message of the client above the limit is closed with 1009")
}

pub(crate) fn close(client: &dyn ClientBinding, gateway: GatewayKind) -> Outcome<&'static str> {
    let (mut client, mut gateway) = start(client, gateway)?;
    client.close()?;
    same(client.end()?, CloseCause::Application)?;
    same(gateway.said("disconnected")?, "client namespace disconnect")?;
    same(gateway.said("left")?, 1000)?;
    Ok("the server receives DISCONNECT and 1000; no update follows the end")
}
