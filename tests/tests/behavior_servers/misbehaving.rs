//! A server and a client that does what no correct one does. Others are served meanwhile.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::HandshakeLimits;
use multiwa_ws_core::websocket::Cause;
use multiwa_ws_testkit::behavior::raw::{KitClient, RawClient, Refused, open};
use multiwa_ws_testkit::behavior::server::{Left, Server, ServerBinding, ServerSetup, SlowReader};
use multiwa_ws_testkit::behavior::{Outcome, ensure, same, wait_for};
use multiwa_ws_testkit::reference::RawFrame;
use serde_json::Value;

/// Short, for waits that have to run out.
const SHORT: Duration = Duration::from_millis(100);

/// A server, a client that is to misbehave and one that is not.
struct Scene {
    server: Box<dyn Server>,
    bad: KitClient,
    good: KitClient,
}

impl Scene {
    fn new(server: &dyn ServerBinding) -> Outcome<Self> {
        Self::with(server, &ServerSetup::default())
    }

    fn with(server: &dyn ServerBinding, setup: &ServerSetup) -> Outcome<Self> {
        let server = server.start(setup)?;
        let (mut bad, mut good) = (KitClient::enter(&server.url())?, KitClient::enter(&server.url())?);
        for client in [&mut bad, &mut good] {
            client.ask(r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#)?;
        }
        Ok(Self { server, bad, good })
    }

    /// How the connection of the one ended. The other is still served.
    fn left(&mut self) -> Outcome<Left> {
        let left = self.server.first_left()?;
        still_served(&*self.server, &mut self.good)?;
        Ok(left)
    }

    /// The one receives `code` and reads on to the end.
    fn closed_with(mut self, code: u16) -> Outcome {
        same(self.bad.end()?.0, code)?;
        self.left().map(drop)
    }
}

/// `client` is the only one that is left, and gets events.
fn still_served(server: &dyn Server, client: &mut KitClient) -> Outcome {
    wait_for("the place of the other", || (server.connections() == 1).then_some(()))?;
    same(server.publish("e", Some("p"), "\"still there\"")?, 1)?;
    ensure(client.text()?.contains("still there"), || "it is not served".to_owned())
}

pub(crate) fn reset(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let Scene { server, bad, mut good } = Scene::new(server)?;
    bad.reset_on_drop()?;
    drop(bad);
    let left = server.first_left()?;
    ensure(matches!(left.closed.cause, Cause::Lost | Cause::Eof), || format!("{left:?}"))?;
    same(left.closed.clean, false)?;
    still_served(&*server, &mut good)?;
    Ok("its slot is free again")
}

pub(crate) fn half_close(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut scene = Scene::new(server)?;
    scene.bad.stream().shutdown(Shutdown::Write)?;
    same(scene.bad.end()?.0, 1006)?;
    same(scene.left()?.closed.cause, Cause::Eof)?;
    Ok("the server ends its side too")
}

pub(crate) fn no_request(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let handshake = HandshakeLimits::new().timeout(SHORT);
    let setup = ServerSetup { handshake, ..ServerSetup::default() };
    let server = server.start(&setup)?;
    let mut stream = open(server.address())?;
    stream.write_all(b"GET /ws HTTP/1.1\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure(answer.starts_with("HTTP/1.1 408 "), || answer)?;
    Ok("HTTP 408 at its deadline")
}

pub(crate) fn silence(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut setup = ServerSetup::default();
    let keep_alive = KeepAlive::new().interval(SHORT).timeout(SHORT);
    setup.websocket = setup.websocket.keep_alive(keep_alive);
    let server = server.start(&setup)?;
    let mut client = KitClient::enter(&server.url())?;
    // `tungstenite` answers a ping only while it reads.
    same(server.first_left()?.closed.cause, Cause::Unresponsive)?;
    same(client.end()?.0, 1006)?;
    wait_for("its place", || (server.connections() == 0).then_some(()))?;
    Ok("lost when no pong came")
}

/// Enough events to fill what the systems on both sides buffer, and the queue of the server.
const EVENTS: usize = 400;

/// Publishes events that the one does not read, each once the other has read the one before.
fn outrun(server: &dyn ServerBinding, slow_reader: SlowReader) -> Outcome<(Scene, Vec<usize>)> {
    let mut setup = ServerSetup { slow_reader, ..ServerSetup::default() };
    setup.websocket = setup.websocket.max_queued(1 << 18);
    let mut scene = Scene::with(server, &setup)?;
    let body = "x".repeat(1 << 16);
    let mut receivers = Vec::new();
    for number in 0..EVENTS {
        receivers.push(scene.server.publish("e", Some("p"), &format!(r#"{{"n":{number},"body":"{body}"}}"#))?);
        same(number_of(&scene.good.text()?)?, number)?;
    }
    Ok((scene, receivers))
}

fn number_of(text: &str) -> Outcome<usize> {
    let event: Value = serde_json::from_str(text)?;
    Ok(event["payload"]["data"]["n"].to_string().parse()?)
}

pub(crate) fn slow_reader_is_closed(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let (mut scene, receivers) = outrun(server, SlowReader::Close)?;
    same(receivers.last(), Some(&1))?;
    let (code, reason) = scene.bad.end()?;
    same(code, 1013)?;
    ensure(!reason.is_empty(), || "no reason is given".to_owned())?;
    scene.left()?;
    Ok("1013 and a reason; the others get every event meanwhile")
}

/// The numbers that the one reads after all, up to `last`.
fn read_up_to(client: &mut KitClient, last: usize) -> Outcome<Vec<usize>> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        numbers.push(number_of(&client.text()?)?);
    }
    Ok(numbers)
}

fn missed(mut scene: Scene, received: usize) -> Outcome {
    scene.bad.close(1000)?;
    scene.bad.end()?;
    same(scene.left()?.dropped, u64::try_from(EVENTS - received)?)
}

pub(crate) fn slow_reader_misses_oldest(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let (mut scene, receivers) = outrun(server, SlowReader::DropOldest)?;
    ensure(receivers.iter().all(|count| *count == 2), || "one was turned away".to_owned())?;
    let numbers = read_up_to(&mut scene.bad, EVENTS - 1)?;
    ensure(numbers.is_sorted() && numbers.len() < EVENTS, || format!("{numbers:?}"))?;
    missed(scene, numbers.len())?;
    Ok("the newest events are kept, the others counted; the others get every event meanwhile")
}

pub(crate) fn slow_reader_misses_newest(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let (mut scene, receivers) = outrun(server, SlowReader::DropNewest)?;
    let queued: Vec<_> = (0..).zip(receivers).filter(|(_, count)| *count == 2).map(|(number, _)| number).collect();
    ensure(queued.len() < EVENTS, || "nothing was dropped".to_owned())?;
    let numbers = read_up_to(&mut scene.bad, queued.last().copied().unwrap_or_default())?;
    same(&numbers, &queued)?;
    missed(scene, numbers.len())?;
    Ok("the oldest events are kept, the others counted; the others get every event meanwhile")
}

pub(crate) fn oversized(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut scene = Scene::new(server)?;
    // One byte more than a message may have. The server stops to read at the header.
    let frame = RawFrame::text(" ".repeat((1 << 20) + 1));
    scene.bad.frame(frame)?;
    scene.closed_with(1009)?;
    Ok("1009")
}

pub(crate) fn no_http(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let server = server.start(&ServerSetup::default())?;
    for (request, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n", "400"),
        ("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", "426"),
        ("POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "405"),
    ] {
        let mut stream = open(server.address())?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure(answer.starts_with(&format!("HTTP/1.1 {status} ")), || format!("{request:?}: {answer:?}"))?;
    }
    KitClient::enter(&server.url())?;
    Ok("HTTP 400, 405 or 426")
}

pub(crate) fn bad_frames(server: &dyn ServerBinding) -> Outcome<&'static str> {
    for bytes in [
        RawFrame::text("{}").encode(),
        RawFrame::text("{}").rsv(1).masked([0; 4]).encode(),
        RawFrame::new(3, "").masked([0; 4]).encode(),
        RawFrame::continuation("").masked([0; 4]).encode(),
    ] {
        let mut scene = Scene::new(server)?;
        scene.bad.bytes(&bytes)?;
        scene.closed_with(1002)?;
    }
    Ok("1002")
}

pub(crate) fn bad_utf8(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut scene = Scene::new(server)?;
    scene.bad.frame(RawFrame::text(b"\xff"))?;
    scene.closed_with(1007)?;
    Ok("1007")
}

pub(crate) fn binary_message(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut scene = Scene::new(server)?;
    scene.bad.frame(RawFrame::binary(b"{}"))?;
    scene.closed_with(1003)?;
    Ok("1003")
}

pub(crate) fn refused_in_a_row(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let mut scene = Scene::new(server)?;
    for _ in 0..65 {
        same(&scene.bad.ask("null")?["type"], &Value::from("error"))?;
    }
    scene.closed_with(1008)?;
    Ok("each gets its error, and the 65th 1008 too")
}

pub(crate) fn another_origin(server: &dyn ServerBinding) -> Outcome<&'static str> {
    let setup = ServerSetup { origin: Some("https://app.example".to_owned()), ..ServerSetup::default() };
    let server = server.start(&setup)?;
    for (origin, status) in
        [("https://app.example", None), ("https://app.example.evil", Some(403)), ("null", Some(403))]
    {
        let refused = KitClient::connect(&server.url(), &[("Origin", origin)])?.err();
        same(refused, status.map(|status| Refused { status: Some(status) }))?;
    }
    let refused = KitClient::connect(&server.url(), &[("Host", "evil.example")])?.err();
    same(refused, Some(Refused { status: Some(403) }))?;
    Ok("HTTP 403")
}
