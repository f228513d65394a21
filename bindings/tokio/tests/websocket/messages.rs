//! Messages of every form and length, both ways.

use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Message, Received};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, WebSocket, WebSocketConfig};
use tokio::io::{AsyncRead, AsyncWrite, BufStream, duplex};

use super::support::{
    connect_compressed_over, connect_over, drain, echo, in_memory, large, large_connection, next, pattern, quiet, tcp,
    within,
};

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_comes_back_from_an_echo() {
    let (mut client, mut server) = in_memory(64, &quiet()).await;
    let talk = async {
        for payload in ["", "a", "grüße", &"x".repeat(125), &"x".repeat(126), &"x".repeat(70_000)] {
            client.sender().send_text(payload).unwrap();
            assert_eq!(next(&mut client).await, OwnedEvent::text(payload));
            client.sender().send_binary(payload.as_bytes()).unwrap();
            assert_eq!(next(&mut client).await, OwnedEvent::Binary(payload.as_bytes().to_vec()));
        }
        client.close(CloseCode::NORMAL, "").await
    };
    let (closed, echoed) = within(async { tokio::join!(talk, echo(&mut server)) }).await;
    closed.unwrap();
    echoed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fragments_become_one_message_and_a_ping_between_them_is_answered() {
    let (mut client, mut server) = in_memory(64, &quiet()).await;
    let talk = async {
        let mut out = client.sender();
        out.send_fragment(Message::Text("one, "), false).unwrap();
        out.ping(b"between").unwrap();
        out.send_fragment(Message::Text(""), false).unwrap();
        out.send_fragment(Message::Text("two"), true).unwrap();
        (next(&mut client).await, client.close(CloseCode::NORMAL, "").await)
    };
    let ((pong, closed), (events, ended)) = within(async { tokio::join!(talk, drain(&mut server)) }).await;
    assert_eq!(pong, OwnedEvent::Pong(b"between".to_vec()));
    let close = OwnedEvent::close(1000, "");
    assert_eq!(events, [OwnedEvent::Ping(b"between".to_vec()), OwnedEvent::text("one, two"), close]);
    closed.unwrap();
    ended.unwrap();
}

/// Queues a large message on both sides before either reads, and reads both.
async fn exchange_large<S: AsyncRead + AsyncWrite + Unpin>((mut one, mut other): (WebSocket<S>, WebSocket<S>)) {
    let payload = pattern(8 << 20);
    one.sender().send_binary(&payload).unwrap();
    other.sender().send_binary(&payload).unwrap();
    // The one that has its message first may still have some of its own to write.
    let receive = async |socket: &mut WebSocket<S>| (next(socket).await, socket.flush().await.unwrap()).0;
    let (at_one, at_other) = within(async { tokio::join!(receive(&mut one), receive(&mut other)) }).await;
    assert!(at_one == OwnedEvent::Binary(payload.clone()), "the message to the one side is another");
    assert!(at_other == OwnedEvent::Binary(payload), "the message to the other side is another");
}

#[tokio::test(start_paused = true)]
async fn large_messages_pass_each_other_in_memory() {
    exchange_large(in_memory(4096, &large()).await).await;
}

#[tokio::test]
async fn large_messages_pass_each_other_on_tcp() {
    exchange_large(connect_over(tcp().await, &large()).await).await;
}

#[tokio::test]
async fn large_messages_pass_each_other_compressed() {
    exchange_large(connect_compressed_over(tcp().await, &large()).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_buffers_what_it_is_given_is_flushed() {
    let (client, server) = duplex(1 << 16);
    let streams = (BufStream::new(client), BufStream::new(server));
    let (mut client, mut server) = connect_over(streams, &quiet()).await;
    within(client.send_text("by a send")).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("by a send"));
    client.sender().send_text("by a wait").unwrap();
    let (_, text) = within(async { tokio::join!(client.close(CloseCode::NORMAL, ""), next(&mut server)) }).await;
    assert_eq!(text, OwnedEvent::text("by a wait"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answers_is_not_read_from_either() {
    const COUNT: usize = 4096;
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10)).timeout(Duration::from_secs(5));
    let options = WebSocketConfig::new().connection(large_connection().keep_alive(keep_alive));
    let (client, mut server) = connect_over(duplex(1 << 16), &options).await;
    let (mut reader, mut writer) = client.split();
    let payload = pattern(1024);
    for _ in 0..COUNT {
        writer.feed(|sender| sender.send_binary(&payload)).unwrap();
    }
    let mut queued = 0;
    // The peer's silence means nothing while we do not read.
    let stalled = tokio::time::timeout(Duration::from_secs(600), async {
        let answer = async {
            while let Some(Received { event, mut sender }) = server.next().await.unwrap() {
                let OwnedEvent::Binary(payload) = event.into() else { panic!("another event") };
                sender.send_binary(&payload).unwrap();
                queued = queued.max(sender.queued());
            }
        };
        tokio::join!(writer.flush(), answer)
    })
    .await;
    assert!(stalled.is_err());
    assert!((100 << 10..512 << 10).contains(&queued), "{queued} bytes were queued");

    let read_all = async {
        for _ in 0..COUNT {
            assert_eq!(reader.next().await.unwrap().map(OwnedEvent::from), Some(OwnedEvent::Binary(payload.clone())));
        }
        writer.close(CloseCode::NORMAL, "").await.unwrap();
        while reader.next().await.unwrap().is_some() {}
    };
    let ((), echoed) = within(async { tokio::join!(read_all, echo(&mut server)) }).await;
    echoed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_late_for_the_time_that_its_receiver_took_for_the_one_before() {
    let (mut client, mut server) = in_memory(1 << 20, &large()).await;
    client.sender().send_text("first").unwrap();
    client.sender().send_binary(&pattern(500_000)).unwrap();
    within(client.flush()).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("first"));
    // Part of the second one has been read together with the first.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(next(&mut server).await, OwnedEvent::Binary(pattern(500_000)));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_arrived_while_its_receiver_sent_is_not_late() {
    let (mut client, mut server) = in_memory(1 << 10, &large()).await;
    client.sender().send_binary(&pattern(100_000)).unwrap();
    // The beginning of the message is read, then comes a send of our own, and an hour in which nobody reads.
    let beginning = tokio::time::timeout(Duration::from_secs(1), server.next());
    let (_, beginning) =
        within(async { tokio::join!(tokio::time::timeout(Duration::ZERO, client.flush()), beginning) }).await;
    assert!(beginning.is_err());
    let payload = pattern(100_000);
    let exchange = async { (client.flush().await.unwrap(), next(&mut client).await).1 };
    let (received, sent) = within(async { tokio::join!(exchange, server.send_binary(&payload)) }).await;
    sent.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let expected = OwnedEvent::Binary(payload.clone());
    assert!(received == expected && next(&mut server).await == expected);
}

#[tokio::test(start_paused = true)]
async fn f_10_two_peers_that_send_at_the_same_time_do_not_wait_for_each_other() {
    let (mut client, mut server) = in_memory(1 << 10, &large()).await;
    let payload = pattern(2 << 20);
    let send = async |socket: &mut WebSocket<_>| {
        for _ in 0..4 {
            socket.send_binary(&payload).await.unwrap();
        }
    };
    within(async { tokio::join!(send(&mut client), send(&mut server)) }).await;
    for socket in [&mut client, &mut server] {
        for _ in 0..4 {
            assert!(next(socket).await == OwnedEvent::Binary(payload.clone()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f_10_a_send_whose_peer_sends_more_than_is_kept_says_so_and_loses_nothing() {
    let options = WebSocketConfig::new().connection(large_connection().max_message_len(1 << 16));
    let (mut client, server) = connect_over(duplex(1 << 10), &options).await;
    // It sends, and does not read.
    let (mut reader, mut writer) = server.split();
    let payload = pattern(1 << 16);
    let sending = {
        let payload = payload.clone();
        tokio::spawn(async move {
            for _ in 0..4 {
                writer.send_binary(&payload).await.unwrap();
            }
            writer
        })
    };
    let error = within(client.send_binary(&payload)).await.unwrap_err();
    assert!(matches!(error, Error::Unread), "{error:?}");
    for _ in 0..4 {
        assert!(next(&mut client).await == OwnedEvent::Binary(payload.clone()));
    }
    let _writer = within(sending).await.unwrap();
    let (flushed, received) = within(async { tokio::join!(client.flush(), reader.next()) }).await;
    flushed.unwrap();
    assert!(received.unwrap().map(OwnedEvent::from) == Some(OwnedEvent::Binary(payload)));
}
