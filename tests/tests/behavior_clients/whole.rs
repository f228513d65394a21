//! A client and a whole server.

use multiwa_ws_core::session::{
    ClientState, CloseCause, DisconnectReason, Event, EventNames, EventView, LifecycleEvent, SecondProfile,
    SubscriptionSet,
};
use multiwa_ws_testkit::behavior::client::{Answer, Client, ClientBinding, ClientSetup, OwnedUpdate};
use multiwa_ws_testkit::behavior::peer::{Peer, PeerKind, PeerSetup};
use multiwa_ws_testkit::behavior::tls::{Certificates, HOST};
use multiwa_ws_testkit::behavior::{Outcome, ensure, same};

const KEY: &str = "the key & more";

/// A server without a key, and a client of it that is ready.
fn start(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<(Box<dyn Client>, Box<dyn Peer>)> {
    start_with(client, peer, &PeerSetup::default(), |_| {})
}

fn start_with(
    client: &dyn ClientBinding,
    peer: PeerKind,
    peer_setup: &PeerSetup,
    adapt: impl FnOnce(&mut ClientSetup),
) -> Outcome<(Box<dyn Client>, Box<dyn Peer>)> {
    let server = peer.start(peer_setup)?;
    let mut setup = ClientSetup::new(server.url());
    adapt(&mut setup);
    let client = client.start(&setup)?;
    client.connected()?;
    Ok((client, server))
}

fn subscribed(profiles: &[&str]) -> SubscriptionSet {
    let mut set = SubscriptionSet::default();
    for profile in profiles {
        set.add(*profile, EventNames::every());
    }
    set
}

pub(crate) fn connect(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let server = peer.start(&PeerSetup::with_key(KEY))?;
    let mut client = client.start(&ClientSetup::new(server.url()).key(KEY))?;
    client.connected()?;
    let status = client.status();
    same((status.state, status.attempt), (ClientState::Ready, 1))?;
    same(client.next()?, Some(OwnedUpdate::Lifecycle(LifecycleEvent::Connecting { attempt: 1 })))?;
    same(client.next()?, Some(OwnedUpdate::Lifecycle(LifecycleEvent::Opened)))?;
    same(client.next()?, Some(OwnedUpdate::Lifecycle(LifecycleEvent::Ready { failed: Vec::new(), gap: None })))?;
    Ok("ready at the first attempt")
}

pub(crate) fn wrong_key(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let server = peer.start(&PeerSetup::with_key(KEY))?;
    refused(client, &ClientSetup::new(server.url()).key("wrong-key"), 401)?;
    refused(client, &ClientSetup::new(server.url()), 401)?;
    Ok("HTTP 401; no further attempt, and the key not shown")
}

pub(crate) fn wrong_path(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let server = peer.start(&PeerSetup::default())?;
    refused(client, &ClientSetup::new(server.url().replace("/ws", "/other")), 404)?;
    Ok("HTTP 404; no further attempt")
}

fn refused(client: &dyn ClientBinding, setup: &ClientSetup, status: u16) -> Outcome {
    let mut client = client.start(setup)?;
    let reason = DisconnectReason::Refused { status, retry_after: None };
    match client.ready()? {
        Ok(()) => ensure(false, || "it was let in".to_owned())?,
        Err(error) => {
            same(error.reason, Some(reason))?;
            ensure(error.text.contains(&status.to_string()) && !error.text.contains("wrong-key"), || error.text)?;
        }
    }
    same(client.status().attempt, 1)?;
    same(client.end()?, CloseCause::Lost(reason))
}

pub(crate) fn subscribe(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    server.publish("message.received", Some("p"), "0")?;
    client.subscribed("p", &["*"])?;
    same(client.status().active, subscribed(&["p"]))?;
    server.publish("message.received", Some("p"), "1")?;
    same(client.data()?, "1")?;
    same(client.unsubscribe(None)?, Answer::Done)?;
    same(client.status().active, subscribed(&[]))?;
    server.publish("message.received", Some("p"), "2")?;
    // The answer to what follows comes behind it.
    client.subscribed("p", &["*"])?;
    server.publish("message.received", Some("p"), "3")?;
    same(client.data()?, "3")?;
    let refused = client.subscribe("p", &[])?;
    ensure(matches!(refused, Answer::Command(_)), || format!("{refused:?}"))?;
    same(client.status().active, subscribed(&["p"]))?;
    Ok("acknowledged; events from then on, until it ends")
}

pub(crate) fn second_profile_with_sets(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.subscribed("p", &["*"])?;
    client.subscribed("q", &["*"])?;
    same(client.status().active, subscribed(&["p", "q"]))?;
    server.publish("e", Some("p"), "1")?;
    server.publish("e", Some("q"), "2")?;
    same((client.data()?, client.data()?), ("1".to_owned(), "2".to_owned()))?;
    same(client.unsubscribe(Some("p"))?, Answer::Done)?;
    server.publish("e", Some("p"), "3")?;
    server.publish("e", Some("q"), "4")?;
    same(client.data()?, "4")?;
    Ok("events of both profiles arrive; each can be unsubscribed alone")
}

fn without_sets() -> PeerSetup {
    PeerSetup { sets: false, ..PeerSetup::default() }
}

pub(crate) fn second_profile_refused(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start_with(client, peer, &without_sets(), |_| {})?;
    client.subscribed("p", &["*"])?;
    same(client.subscribe("q", &["*"])?, Answer::SetsUnsupported)?;
    same(client.status().active, subscribed(&["p"]))?;
    server.publish("e", Some("q"), "1")?;
    server.publish("e", Some("p"), "2")?;
    same(client.data()?, "2")?;
    Ok("the second profile is refused; the first stays")
}

pub(crate) fn second_profile_displaces(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let displace = |setup: &mut ClientSetup| setup.session = setup.session.second_profile(SecondProfile::Displace);
    let (mut client, mut server) = start_with(client, peer, &without_sets(), displace)?;
    client.subscribed("p", &["*"])?;
    client.subscribed("q", &["*"])?;
    same(client.status().active, subscribed(&["q"]))?;
    // A deployed server goes on to send the events of the first.
    server.publish("e", Some("p"), "1")?;
    server.publish("e", Some("q"), "2")?;
    same(client.data()?, "2")?;
    Ok("the second profile displaces the first, whose events no longer arrive")
}

pub(crate) fn every_kind_of_event(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.subscribed("p", &["*"])?;
    let events: [(&str, Option<&str>, &str); 6] = [
        (
            "message.received",
            Some("p"),
            r#"{"id":"i","from":"628123456789@c.us","body":"Grüße 👋\n\u0000","type":"chat","timestamp":"t","hasMedia":false,"new":{"a":[1]}}"#,
        ),
        ("session.status", Some("p"), r#"{"status":"connected","phone":"628123456789"}"#),
        ("qr.updated", Some("p"), r#"{"qr":"2@abc"}"#),
        ("message.ack", Some("p"), r#"{"messageId":"m","status":"read","ack":3}"#),
        ("group.joined", Some("p"), r#"{"anything":true}"#),
        ("session.status", None, r#"{"status":"restarting"}"#),
    ];
    for (name, profile, data) in events {
        server.publish(name, profile, data)?;
    }
    let mut kinds = Vec::new();
    for (name, profile, data) in events {
        let event = next_event(&mut *client)?;
        same((&*event.name(), event.profile_id().as_deref()), (name, profile))?;
        let parse = serde_json::from_str::<serde_json::Value>;
        same(parse(event.data().unwrap_or_default())?, parse(data)?)?;
        ensure(event.timestamp().is_some(), || "it has no timestamp".to_owned())?;
        kinds.push(match event.view()? {
            EventView::MessageReceived(message) => message.body.into_owned(),
            EventView::SessionStatus(status) => status.status.into_owned(),
            EventView::QrUpdated(code) => code.qr.into_owned(),
            EventView::MessageAck(ack) => ack.ack.to_string(),
            _ => "other".to_owned(),
        });
    }
    same(kinds, ["Grüße 👋\n\0", "connected", "2@abc", "3", "other", "restarting"])?;
    Ok("each with its own view and all of its data, in order")
}

fn next_event(client: &mut dyn Client) -> Outcome<Event<'static>> {
    client.find(|update| match update {
        OwnedUpdate::Event(event) => Some(event.clone()),
        _ => None,
    })
}

pub(crate) fn filter(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.subscribed("p", &["session.status", "new.event"])?;
    for (name, profile, data) in [
        ("message.received", Some("p"), "1"),
        ("session.status", Some("q"), "2"),
        ("session.statu", Some("p"), "3"),
        ("Session.Status", Some("p"), "4"),
        ("message.received", None, "5"),
        ("session.status", Some("p"), "6"),
        ("new.event", Some("p"), "7"),
    ] {
        server.publish(name, profile, data)?;
    }
    same((client.data()?, client.data()?), ("6".to_owned(), "7".to_owned()))?;
    Ok("the requested events, and no others")
}

pub(crate) fn ping(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (client, _server) = start(client, peer)?;
    same(client.status().round_trip, None)?;
    same(client.ping()?, Answer::Done)?;
    ensure(client.status().round_trip.is_some(), || "no round trip is known".to_owned())?;
    Ok("answered; the round trip is known")
}

pub(crate) fn announced_restart(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.subscribed("p", &["*"])?;
    server.go_away()?;
    same(client.reason()?, DisconnectReason::ClosedByPeer { code: Some(1001) })?;
    received_again(&mut *client, &mut *server)?;
    Ok("1001; reconnected, subscribed, and the gap reported")
}

pub(crate) fn crash(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.subscribed("p", &["*"])?;
    server.crash()?;
    let reason = client.reason()?;
    ensure(matches!(reason, DisconnectReason::Eof | DisconnectReason::Io), || format!("{reason:?}"))?;
    received_again(&mut *client, &mut *server)?;
    Ok("reconnected, subscribed, and the gap reported")
}

fn received_again(client: &mut dyn Client, server: &mut dyn Peer) -> Outcome {
    let gap = client.back()?;
    ensure(gap.from <= gap.to, || format!("{gap:?}"))?;
    same(client.status().active, subscribed(&["p"]))?;
    server.publish("e", Some("p"), "1")?;
    same(client.data()?, "1")
}

pub(crate) fn close(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let (mut client, mut server) = start(client, peer)?;
    client.close()?;
    same(client.end()?, CloseCause::Application)?;
    same(client.status().state, ClientState::Closed)?;
    same(server.left_with()?, 1000)?;
    let refused = client.ping()?;
    ensure(matches!(refused, Answer::Command(_)), || format!("{refused:?}"))?;
    Ok("the server receives 1000; no update follows the end")
}

pub(crate) fn key_rotation(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let rotate = |setup: &mut ClientSetup| {
        setup.keys = vec!["old".to_owned(), "new".to_owned()];
        setup.reconnect = setup.reconnect.after_policy_violation(true);
    };
    let (mut client, mut server) = start_with(client, peer, &PeerSetup::with_key("old"), rotate)?;
    client.subscribed("p", &["*"])?;
    server.replace_keys(&["new"])?;
    same(client.reason()?, DisconnectReason::ClosedByPeer { code: Some(1008) })?;
    received_again(&mut *client, &mut *server)?;
    Ok("1008; reconnected with the new key")
}

pub(crate) fn compression(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let setup = PeerSetup { compression: true, ..PeerSetup::default() };
    let (mut client, mut server) = start_with(client, peer, &setup, |setup| setup.compression = true)?;
    client.subscribed("p", &["*"])?;
    let data = format!("\"{}\"", "compress me ".repeat(1_000));
    for _ in 0..3 {
        server.publish("e", Some("p"), &data)?;
    }
    for _ in 0..3 {
        same(&client.data()?, &data)?;
    }
    Ok(if server.compresses()? { "`permessage-deflate`" } else { "not offered: sent uncompressed" })
}

pub(crate) fn tls(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let certificates = Certificates::new()?;
    let setup = PeerSetup { tls: Some(certificates.clone()), ..PeerSetup::with_key(KEY) };
    let trust = certificates.client()?;
    let (mut client, mut server) = start_with(client, peer, &setup, |setup| {
        setup.keys.push(KEY.to_owned());
        setup.tls = Some(trust);
    })?;
    client.subscribed("p", &["*"])?;
    server.publish("e", Some("p"), "1")?;
    same(client.data()?, "1")?;
    client.close()?;
    same(server.left_with()?, 1000)?;
    Ok("as without TLS")
}

pub(crate) fn certificate_not_trusted(client: &dyn ClientBinding, peer: PeerKind) -> Outcome<&'static str> {
    let certificates = Certificates::new()?;
    let server = peer.start(&PeerSetup { tls: Some(certificates.clone()), ..PeerSetup::default() })?;
    let stranger = Certificates::new()?.client()?;
    ends_by_certificate(client, ClientSetup { tls: Some(stranger), ..ClientSetup::new(server.url()) })?;
    // One for another name is none for this one, whoever has issued it.
    let by_address = server.url().replace(HOST, "127.0.0.1");
    ends_by_certificate(client, ClientSetup { tls: Some(certificates.client()?), ..ClientSetup::new(by_address) })?;
    Ok("closed at once; the error names the certificate")
}

fn ends_by_certificate(client: &dyn ClientBinding, setup: ClientSetup) -> Outcome {
    let mut client = client.start(&setup)?;
    same(client.ready()?.map_err(|error| error.reason), Err(Some(DisconnectReason::TlsCertificate)))?;
    same(client.status().attempt, 1)?;
    same(client.end()?, CloseCause::Lost(DisconnectReason::TlsCertificate))
}
