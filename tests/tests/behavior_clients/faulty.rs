//! A client and a server that does what no correct one does.

use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{ClientState, CloseCause, DisconnectReason, LifecycleEvent};
use multiwa_ws_testkit::behavior::client::{Answer, Client, ClientBinding, ClientSetup, Overflow, OwnedUpdate};
use multiwa_ws_testkit::behavior::scripted::{Incoming, Link, Scripted, against};
use multiwa_ws_testkit::behavior::{Outcome, ensure, same, wait_for};
use multiwa_ws_testkit::reference::RawFrame;

/// Short, for waits that have to run out.
const SHORT: Duration = Duration::from_millis(100);

fn start(client: &dyn ClientBinding, server: &Scripted) -> Outcome<Box<dyn Client>> {
    start_with(client, server, |_| {})
}

fn start_with(
    client: &dyn ClientBinding,
    server: &Scripted,
    adapt: impl FnOnce(&mut ClientSetup),
) -> Outcome<Box<dyn Client>> {
    let mut setup = ClientSetup::new(server.url());
    adapt(&mut setup);
    client.start(&setup)
}

/// A server that takes a subscription and then does `fault` to the first connection, and serves all others.
fn at_first(
    fault: impl Fn(Link) -> Outcome + Send + Sync + 'static,
) -> impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static {
    move |number, incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        if number == 1 { fault(link) } else { link.serve() }
    }
}

/// The client loses the first connection by `reason` and is back.
fn comes_back(client: &mut dyn Client, reason: impl Fn(DisconnectReason) -> bool) -> Outcome {
    client.connected()?;
    client.subscribed("p", &["*"])?;
    let seen = client.reason()?;
    ensure(reason(seen), || format!("{seen:?}"))?;
    client.back()?;
    same(client.status().active.len(), 1)
}

pub(crate) fn reset(client: &dyn ClientBinding) -> Outcome<&'static str> {
    against(at_first(Link::reset), |server| {
        comes_back(&mut *start(client, server)?, |reason| matches!(reason, DisconnectReason::Io))?;
        Ok("lost; reconnected, subscribed, and the gap reported")
    })
}

pub(crate) fn half_close(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = at_first(|mut link| {
        link.half_close()?;
        // The client has to end its own side.
        same(link.client_left()?, None)
    });
    against(script, |server| {
        comes_back(&mut *start(client, server)?, |reason| reason == DisconnectReason::Eof)?;
        Ok("lost; reconnected, subscribed, and the gap reported")
    })
}

/// Does `fault` to the first connection and serves all others, of which a short deadline may end some more on a busy machine.
fn first_then_serve(
    fault: impl Fn(Incoming) -> Outcome + Send + Sync + 'static,
) -> impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static {
    move |number, incoming| {
        if number == 1 {
            return fault(incoming);
        }
        match incoming.accept() {
            Ok(link) => link.serve(),
            Err(_) => Ok(()),
        }
    }
}

pub(crate) fn no_upgrade(client: &dyn ClientBinding) -> Outcome<&'static str> {
    against(first_then_serve(Incoming::ignore), |server| {
        let mut client = start_with(client, server, |setup| setup.session = setup.session.upgrade_timeout(SHORT))?;
        same(client.reason()?, DisconnectReason::UpgradeTimeout)?;
        client.connected()?;
        Ok("fails at its deadline, and is tried again")
    })
}

pub(crate) fn silence(client: &dyn ClientBinding) -> Outcome<&'static str> {
    against(first_then_serve(|incoming| incoming.accept()?.ignore()), |server| {
        let keep_alive = KeepAlive::new().interval(SHORT).timeout(SHORT);
        let mut client = start_with(client, server, |setup| setup.session = setup.session.keep_alive(keep_alive))?;
        client.connected()?;
        // What is not answered stays desired.
        same(client.subscribe("p", &["*"])?, Answer::ConnectionLost)?;
        same(client.reason()?, DisconnectReason::PongTimeout)?;
        wait_for("the subscription", || (client.status().active.len() == 1).then_some(()))?;
        Ok("lost when no `pong` came; reconnected and subscribed")
    })
}

pub(crate) fn no_ack(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| incoming.upgrade(None)?.serve();
    against(script, |server| {
        let mut client = start_with(client, server, |setup| setup.session = setup.session.ack_timeout(SHORT))?;
        client.find(|update| matches!(update, OwnedUpdate::Lifecycle(LifecycleEvent::AckMissing)).then_some(()))?;
        client.connected()?;
        client.subscribed("p", &["*"])?;
        Ok("reported, and the connection is used")
    })
}

pub(crate) fn no_answer(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| incoming.accept()?.ignore();
    against(script, |server| {
        let client = start_with(client, server, |setup| {
            setup.session = setup.session.request_timeout(SHORT);
            // For the end, which this server ignores as well.
            setup.session = setup.session.close_timeout(SHORT);
        })?;
        client.connected()?;
        same(client.subscribe("p", &["*"])?, Answer::TimedOut)?;
        same(client.ping()?, Answer::TimedOut)?;
        Ok("each request times out, and the connection is kept")
    })
}

pub(crate) fn no_close_back(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| incoming.accept()?.ignore();
    against(script, |server| {
        let mut client = start_with(client, server, |setup| setup.session = setup.session.close_timeout(SHORT))?;
        client.connected()?;
        client.close()?;
        same(client.end()?, CloseCause::Application)?;
        Ok("closed at its deadline")
    })
}

/// The last number that a server sends to a client that does not read.
const LAST: usize = 19;
const CAPACITY: usize = 4;

/// A client with a short queue, to which a server has sent events 0 to `LAST` before it answers a ping.
fn slow_reader<T>(
    client: &dyn ClientBinding,
    overflow: Overflow,
    scenario: impl FnOnce(Box<dyn Client>) -> Outcome<T>,
) -> Outcome<T> {
    let script = |_, incoming: Incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        for number in 0..=LAST {
            link.event("e", &number.to_string())?;
        }
        link.serve()
    };
    against(script, |server| {
        let client = start_with(client, server, |setup| {
            setup.capacity = CAPACITY;
            setup.overflow = overflow;
        })?;
        client.connected()?;
        client.subscribed("p", &["*"])?;
        scenario(client)
    })
}

fn numbers(client: &mut dyn Client, count: usize) -> Outcome<Vec<usize>> {
    (0..count).map(|_| Ok(client.data()?.parse()?)).collect()
}

pub(crate) fn slow_reader_waits(client: &dyn ClientBinding) -> Outcome<&'static str> {
    slow_reader(client, Overflow::Wait, |mut client| {
        same(numbers(&mut *client, LAST + 1)?, (0..=LAST).collect::<Vec<_>>())?;
        same(client.ping()?, Answer::Done)?;
        same(client.status().dropped, 0)?;
        Ok("nothing is lost")
    })
}

pub(crate) fn slow_reader_drops_oldest(client: &dyn ClientBinding) -> Outcome<&'static str> {
    slow_reader(client, Overflow::DropOldest, |mut client| {
        same(client.ping()?, Answer::Done)?;
        same(numbers(&mut *client, CAPACITY)?, (LAST + 1 - CAPACITY..=LAST).collect::<Vec<_>>())?;
        same(client.status().dropped, 16)?;
        Ok("the newest are kept, the others counted; requests are answered meanwhile")
    })
}

pub(crate) fn slow_reader_drops_newest(client: &dyn ClientBinding) -> Outcome<&'static str> {
    slow_reader(client, Overflow::DropNewest, |mut client| {
        same(client.ping()?, Answer::Done)?;
        same(numbers(&mut *client, CAPACITY)?, (0..CAPACITY).collect::<Vec<_>>())?;
        same(client.status().dropped, 16)?;
        Ok("the oldest are kept, the others counted; requests are answered meanwhile")
    })
}

pub(crate) fn slow_reader_closes(client: &dyn ClientBinding) -> Outcome<&'static str> {
    slow_reader(client, Overflow::Close, |mut client| {
        // Whoever reads meanwhile may keep up.
        wait_for("the end", || (client.status().state == ClientState::Closed).then_some(()))?;
        same(numbers(&mut *client, CAPACITY)?, (0..CAPACITY).collect::<Vec<_>>())?;
        same(client.end()?, CloseCause::Application)?;
        Ok("closed, after the queued updates are read")
    })
}

/// Does `fault` on every connection; the client closes each with `code`, and stops after the third in a row.
fn misunderstood(
    client: &dyn ClientBinding,
    code: u16,
    reason: DisconnectReason,
    fault: impl Fn(&mut Link) -> Outcome + Send + Sync + 'static,
) -> Outcome {
    let script = move |_, incoming: Incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        fault(&mut link)?;
        same(link.client_left()?, Some(code))
    };
    against(script, |server| {
        let mut client = start(client, server)?;
        client.connected()?;
        client.subscribe("p", &["*"])?;
        same(client.end()?, CloseCause::Lost(reason))?;
        same(server.connections(), 3)
    })
}

pub(crate) fn oversized(client: &dyn ClientBinding) -> Outcome<&'static str> {
    // More connections than a misunderstanding gets: see `misunderstood`.
    const FAULTY: usize = 4;
    let script = |number, incoming: Incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        if number > FAULTY {
            return link.serve();
        }
        // One byte more than a message may have.
        link.frame(&RawFrame::text(" ".repeat((1 << 20) + 1)))?;
        same(link.client_left()?, Some(1009))
    };
    against(script, |server| {
        let mut client = start(client, server)?;
        client.connected()?;
        client.subscribe("p", &["*"])?;
        for _ in 0..FAULTY {
            same(client.reason()?, DisconnectReason::Violation { code: 1009 })?;
        }
        client.back()?;
        Ok("closed with 1009 and reconnected, each time")
    })
}

pub(crate) fn bad_frame(client: &dyn ClientBinding) -> Outcome<&'static str> {
    misunderstood(client, 1002, DisconnectReason::Violation { code: 1002 }, |link| {
        link.frame(&RawFrame::text("{}").rsv(7))
    })?;
    Ok("closed with 1002; tried twice more")
}

pub(crate) fn bad_utf8(client: &dyn ClientBinding) -> Outcome<&'static str> {
    misunderstood(client, 1007, DisconnectReason::Violation { code: 1007 }, |link| {
        link.frame(&RawFrame::text(b"\xff\xfe"))
    })?;
    Ok("closed with 1007; tried twice more")
}

pub(crate) fn binary_message(client: &dyn ClientBinding) -> Outcome<&'static str> {
    misunderstood(client, 1003, DisconnectReason::Violation { code: 1003 }, |link| {
        link.frame(&RawFrame::binary(b"{}"))
    })?;
    Ok("closed with 1003; tried twice more")
}

pub(crate) fn no_http(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |number, incoming: Incoming| match number {
        1 => incoming.answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        2 => incoming.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        3 => incoming.answer(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        ),
        _ => incoming.accept()?.serve(),
    };
    against(script, |server| {
        let mut client = start(client, server)?;
        same(client.reason()?, DisconnectReason::BadUpgrade)?;
        same(client.reason()?, DisconnectReason::Refused { status: 200, retry_after: None })?;
        same(client.reason()?, DisconnectReason::BadUpgrade)?;
        client.connected()?;
        Ok("each attempt fails, and is tried again")
    })
}

pub(crate) fn bad_json(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        for text in [
            r#"{"type":"#,
            r#"{"type":"new.thing","payload":{}}"#,
            "[]",
            r#"{"type":"ack","requestId":"of nobody"}"#,
            r#"{"type":"error","payload":{"error":"by the way"}}"#,
            r#"{"type":"notification","payload":{"id":"n","title":"t"}}"#,
            &"[".repeat(65),
        ] {
            link.text(text)?;
        }
        link.event("e", "1")?;
        link.serve()
    };
    against(script, |server| {
        let mut client = start(client, server)?;
        client.connected()?;
        client.subscribed("p", &["*"])?;
        let mut updates = Vec::new();
        while updates.last() != Some(&"event") {
            updates.extend(client.find(|update| {
                Some(match update {
                    OwnedUpdate::Event(_) => Some("event"),
                    OwnedUpdate::Notification(_) => Some("notification"),
                    OwnedUpdate::Unknown(_) => Some("unknown"),
                    OwnedUpdate::Error(_) => Some("error"),
                    OwnedUpdate::Invalid(_) => Some("invalid"),
                    OwnedUpdate::Lifecycle(_) => None,
                })
            })?);
        }
        same(updates, ["invalid", "unknown", "unknown", "error", "notification", "invalid", "event"])?;
        same(client.ping()?, Answer::Done)?;
        Ok("each is reported by its kind, and the connection continues")
    })
}

pub(crate) fn leaking_server(client: &dyn ClientBinding) -> Outcome<&'static str> {
    let script = |_, incoming: Incoming| {
        let mut link = incoming.accept()?;
        link.event("early", "0")?;
        link.acknowledge()?;
        link.event("other", "1")?;
        link.text(r#"{"type":"event","payload":{"event":"e","profileId":"q","data":2}}"#)?;
        link.event("e", "3")?;
        link.serve()
    };
    against(script, |server| {
        let mut client = start(client, server)?;
        client.connected()?;
        client.subscribed("p", &["e"])?;
        same(client.data()?, "3")?;
        same(client.status().filtered, 3)?;
        Ok("dropped and counted")
    })
}

/// A server that closes each connection with `body`.
fn closing(body: &[u8]) -> impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static {
    let frame = RawFrame::close_with_body(body);
    move |_, incoming| {
        let mut link = incoming.accept()?;
        link.acknowledge()?;
        link.frame(&frame)?;
        link.client_left().map(drop)
    }
}

pub(crate) fn close_for_good(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for code in [1000_u16, 1008] {
        against(closing(&code.to_be_bytes()), |server| {
            let mut client = start(client, server)?;
            client.connected()?;
            client.subscribe("p", &["*"])?;
            same(client.end()?, CloseCause::Lost(DisconnectReason::ClosedByPeer { code: Some(code) }))?;
            same(server.connections(), 1)
        })?;
    }
    Ok("closed, unless it is configured to try again")
}

pub(crate) fn close_for_now(client: &dyn ClientBinding) -> Outcome<&'static str> {
    for code in [Some(1001_u16), Some(1011), Some(1012), Some(1013), Some(4000), None] {
        let body = code.map(u16::to_be_bytes);
        against(closing(body.as_ref().map_or(&[], |body| &body[..])), |server| {
            let mut client = start_with(client, server, |setup| {
                setup.reconnect = setup.reconnect.max_attempts(2);
            })?;
            client.connected()?;
            client.subscribe("p", &["*"])?;
            same(client.reason()?, DisconnectReason::ClosedByPeer { code })?;
            same(client.end()?, CloseCause::Lost(DisconnectReason::ClosedByPeer { code }))?;
            same(server.connections(), 2)
        })?;
    }
    Ok("tried again")
}
