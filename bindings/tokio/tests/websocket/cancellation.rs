//! A future that is dropped at any of its waits loses nothing and sends nothing twice.
//!
//! How the streams dawdle, and at which wait each future is dropped, depends on the seed of the run alone.

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::websocket::{Cause, Compression, Config, Message, Received, SendError, Sender};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, Reader, WebSocket, WebSocketConfig, Writer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::support::{
    self, connect_compressed_over, connect_over, drain, in_memory, large, pattern, quiet_connection, within,
};
use crate::kit::choppy::{self, Choppy, below};
use crate::kit::persist::{persist, unless_waits};

const SEEDS: u64 = 30;

/// A client and a server that compress every message when the seed is odd.
async fn pair(seed: u64, connection: Config) -> (WebSocket<Choppy>, WebSocket<Choppy>) {
    let options = WebSocketConfig::new().connection(connection.compression(Compression::new().threshold(0)));
    match seed % 2 {
        0 => connect_over(choppy::pair(seed), &options).await,
        _ => connect_compressed_over(choppy::pair(seed), &options).await,
    }
}

/// Two sources of random numbers, for two peers.
fn sources(seed: u64) -> (ChaCha8Rng, ChaCha8Rng) {
    (ChaCha8Rng::seed_from_u64(!seed), ChaCha8Rng::seed_from_u64(seed << 32))
}

/// Messages of all kinds and many lengths, each unlike the others.
fn messages() -> Vec<OwnedEvent> {
    let binary =
        (0..20_u8).map(|index| OwnedEvent::Binary([pattern(usize::from(index).pow(2) * 20), vec![index]].concat()));
    let text = (0..20).map(|index| OwnedEvent::Text(format!("{index} {}", "grüße ".repeat(index * 3))));
    binary.zip(text).flat_map(|(binary, text)| [binary, text]).collect()
}

/// Queues a message; some in fragments.
fn send(out: &mut Sender<'_>, message: &OwnedEvent) {
    match message {
        OwnedEvent::Text(text) if text.len() % 3 == 0 => {
            let (first, rest) = text.split_at(1);
            out.send_fragment(Message::Text(first), false).unwrap();
            out.send_fragment(Message::Text(rest), true).unwrap();
        }
        OwnedEvent::Text(text) => out.send_text(text).unwrap(),
        OwnedEvent::Binary(payload) => out.send_binary(payload).unwrap(),
        other => panic!("{other:?} is no message"),
    }
}

/// The next event, to keep.
async fn next(socket: &mut WebSocket<Choppy>) -> Result<Option<OwnedEvent>, Error> {
    Ok(socket.next().await?.map(|received| received.event.into()))
}

/// Sends the next message back; whether there may be more.
async fn answer(socket: &mut WebSocket<Choppy>) -> Result<bool, Error> {
    let Some(Received { event, mut sender }) = socket.next().await? else { return Ok(false) };
    if let message @ (OwnedEvent::Text(_) | OwnedEvent::Binary(_)) = event.into() {
        send(&mut sender, &message);
    }
    Ok(true)
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_no_message_and_no_answer() {
    for seed in 0..SEEDS {
        let (mut client, mut server) = pair(seed, quiet_connection()).await;
        let (mut client_random, mut server_random) = sources(seed);
        for message in messages() {
            send(&mut client.sender(), &message);
        }
        client.sender().ping(b"last").unwrap();
        let talk = async {
            for message in messages() {
                let answer = persist(&mut client_random, async || next(&mut client).await).await.unwrap();
                assert!(answer == Some(message), "{answer:?} with seed {seed}");
            }
            let pong = persist(&mut client_random, async || next(&mut client).await).await.unwrap();
            assert_eq!(pong, Some(OwnedEvent::Pong(b"last".to_vec())), "with seed {seed}");
            client.close(CloseCode::NORMAL, "").await.unwrap();
        };
        let echo = async { while persist(&mut server_random, async || answer(&mut server).await).await.unwrap() {} };
        within(async { tokio::join!(talk, echo) }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_flush_loses_nothing_and_sends_nothing_twice() {
    for seed in 0..SEEDS {
        let (mut client, mut server) = pair(seed, quiet_connection()).await;
        let (mut random, _) = sources(seed);
        let talk = async {
            for message in messages() {
                send(&mut client.sender(), &message);
                persist(&mut random, async || client.flush().await.unwrap()).await;
                assert_eq!(client.sender().queued(), 0);
            }
            client.close(CloseCode::NORMAL, "").await.unwrap();
        };
        let ((), (mut events, ended)) = within(async { tokio::join!(talk, drain(&mut server)) }).await;
        ended.unwrap();
        events.pop();
        assert!(events == messages(), "with seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_has_queued_its_message_whole_or_not_at_all() {
    let mut abandoned = 0;
    for seed in 0..SEEDS {
        // Room for a few messages only, so that sends wait for room as well as for the stream.
        let connection = quiet_connection().max_queued(3000);
        let (mut client, mut server) = pair(seed, connection).await;
        let (mut random, _) = sources(seed);
        let message = |number: u8| OwnedEvent::Binary([pattern(usize::from(number) * 10), vec![number]].concat());
        let mut sent = Vec::new();
        let talk = async {
            for number in 0..200 {
                let OwnedEvent::Binary(payload) = message(number) else { unreachable!() };
                let done = unless_waits(1 + below(&mut random, 3), client.send_binary(&payload)).await;
                sent.push(done.map(Result::unwrap).is_some());
                tokio::task::yield_now().await;
            }
            client.close(CloseCode::NORMAL, "").await.unwrap();
        };
        let ((), (mut events, ended)) = within(async { tokio::join!(talk, drain(&mut server)) }).await;
        ended.unwrap();
        events.pop();
        // In order, each at most once, and every one whose send completed.
        let mut arrived = events.into_iter().peekable();
        for number in 0..200 {
            let has_arrived = arrived.next_if(|event| *event == message(number)).is_some();
            assert!(has_arrived || !sent[usize::from(number)], "message {number} with seed {seed}");
            abandoned += usize::from(!has_arrived);
        }
        assert_eq!(arrived.next(), None, "with seed {seed}");
    }
    assert!(abandoned > 0, "no send was dropped before its message was queued");
}

#[tokio::test]
async fn a_dropped_send_has_queued_what_the_stream_did_not_accept() {
    for len in [0, 50, 300, 5000, 100_000] {
        for masking in [4, 0] {
            let (client, server) = in_memory(100, &large()).await;
            let (mut from, mut to) = if masking > 0 { (client, server) } else { (server, client) };
            let payload = pattern(len);
            let frame_len = len + masking + [2, 4, 10][usize::from(len > 125) + usize::from(len > 65_535)];
            let sent = unless_waits(1, from.send_binary(&payload)).await;
            assert_eq!((sent.is_some(), from.sender().queued()), (frame_len <= 100, frame_len.saturating_sub(100)));
            let (flushed, event) = within(async { tokio::join!(from.flush(), support::next(&mut to)) }).await;
            flushed.unwrap();
            assert!(event == OwnedEvent::Binary(payload), "{len} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_goes_on_and_sends_one_close_frame() {
    for seed in 0..SEEDS {
        let (client, server) = pair(seed, quiet_connection()).await;
        let (mut closing, mut other) = if seed % 4 < 2 { (client, server) } else { (server, client) };
        let (mut random, mut other_random) = sources(seed);
        closing.sender().send_binary(&pattern(5000)).unwrap();
        let close = persist(&mut random, async || closing.close(CloseCode::GOING_AWAY, "bye").await);
        let listen = async {
            let mut events = Vec::new();
            while let Some(event) = persist(&mut other_random, async || next(&mut other).await).await.unwrap() {
                events.push(event);
            }
            events
        };
        let (closed, events) = within(async { tokio::join!(close, listen) }).await;
        closed.unwrap();
        let frame = OwnedEvent::close(1001, "bye");
        assert!(events == [OwnedEvent::Binary(pattern(5000)), frame], "with seed {seed}");
        let (closed, other_closed) = (closing.closed().unwrap(), other.closed().unwrap());
        assert_eq!((closed.cause, other_closed.cause), (Cause::Local, Cause::Peer), "with seed {seed}");
        assert!(closed.clean && other_closed.clean, "with seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_futures_of_a_split_connection_lose_nothing_either_way() {
    for seed in 0..SEEDS {
        let (client, server) = pair(seed, quiet_connection()).await;
        let (client_random, server_random) = sources(seed);
        let talk = |socket: WebSocket<Choppy>, random: ChaCha8Rng| async move {
            let (reader, writer) = socket.split();
            tokio::join!(read(reader, random.clone()), write(writer, random))
        };
        let (((at_client, mut client), mut writer), ((at_server, mut server), _writer)) =
            within(async { tokio::join!(talk(client, client_random), talk(server, server_random)) }).await;
        assert!(at_client == messages() && at_server == messages(), "with seed {seed}");

        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let close = async {
            writer.close(CloseCode::NORMAL, "").await.unwrap();
            while client.next().await.unwrap().is_some() {}
        };
        let listen = async { while persist(&mut random, async || server.next().await.unwrap().is_some()).await {} };
        within(async { tokio::join!(close, listen) }).await;
        assert!(client.closed().unwrap().clean && server.closed().unwrap().clean, "with seed {seed}");
    }
}

/// Reads as many messages as there are.
async fn read(mut reader: Reader<Choppy>, mut random: ChaCha8Rng) -> (Vec<OwnedEvent>, Reader<Choppy>) {
    let mut events = Vec::new();
    while events.len() < messages().len() {
        let event = persist(&mut random, async || reader.next().await.map(|event| event.map(OwnedEvent::from))).await;
        events.push(event.unwrap().expect("a message"));
    }
    (events, reader)
}

/// Writes all messages.
async fn write(mut writer: Writer<Choppy>, mut random: ChaCha8Rng) -> Writer<Choppy> {
    for message in messages() {
        writer.feed(|out| send(out, &message));
        persist(&mut random, async || writer.flush().await.unwrap()).await;
    }
    writer
}

#[tokio::test(start_paused = true)]
async fn a_dropped_upgrade_drops_its_stream_and_the_other_side_learns_of_it() {
    for seed in 0..SEEDS {
        for waits in 1..10 {
            let (client, server) = choppy::pair(seed);
            let options = WebSocketConfig::new().connection(quiet_connection());
            let connect = WebSocket::connect(client, ClientRequest::new("server", "/ws"), &options);
            let accept = WebSocket::accept(server, &options, |_| Ok(Acceptance::default()));
            // One side is dropped at a wait, if it gets there; a connection that the other side has made ends at once.
            if seed % 2 == 0 {
                let (dropped, other) = within(async { tokio::join!(unless_waits(waits, connect), accept) }).await;
                drop(dropped);
                if let Ok((mut socket, ..)) = other {
                    assert!(drain(&mut socket).await.1.is_err(), "with seed {seed}");
                }
            } else {
                let (other, dropped) = within(async { tokio::join!(connect, unless_waits(waits, accept)) }).await;
                drop(dropped);
                if let Ok((mut socket, _)) = other {
                    assert!(drain(&mut socket).await.1.is_err(), "with seed {seed}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_dropped_sends_of_a_writer_have_queued_their_messages_whole_or_not_at_all() {
    for seed in 0..SEEDS {
        let connection = quiet_connection().max_queued(3000);
        let (client, mut server) = pair(seed, connection).await;
        let (mut reader, mut writer) = client.split();
        let (mut random, _) = sources(seed);
        let message = |number: usize| format!("{number} {}", "ü".repeat(number * 5));
        let talk = async {
            let mut sent = Vec::new();
            for number in 0..100 {
                let done = unless_waits(1 + below(&mut random, 3), writer.send_text(&message(number))).await;
                sent.push(done.map(Result::unwrap).is_some());
                tokio::task::yield_now().await;
            }
            // Dropped and begun anew, the first one goes on.
            let close = persist(&mut random, async || writer.close(CloseCode::NORMAL, "").await).await;
            assert!(matches!(close, Ok(()) | Err(Error::Send(SendError::Closed))), "{close:?} with seed {seed}");
            sent
        };
        let read = async { while reader.next().await.unwrap().is_some() {} };
        let (sent, (), (mut events, ended)) = within(async { tokio::join!(talk, read, drain(&mut server)) }).await;
        ended.unwrap();
        events.pop();
        let mut arrived = events.into_iter().peekable();
        for (number, sent) in sent.into_iter().enumerate() {
            let has_arrived = arrived.next_if(|event| *event == OwnedEvent::Text(message(number))).is_some();
            assert!(has_arrived || !sent, "message {number} with seed {seed}");
        }
        assert_eq!(arrived.next(), None, "with seed {seed}");
    }
}
