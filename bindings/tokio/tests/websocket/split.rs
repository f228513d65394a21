//! A reader and a writer in tasks of their own.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Cause, Event, Negotiated, Role, SendError};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, Reader, WebSocket, WebSocketConfig, Writer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::Instant;

use super::support::{connect_over, drain, in_memory, large, next, pattern, quiet, quiet_connection, tcp, within};

const COUNT: u32 = 500;

/// Sends numbered messages of many lengths, then closes.
async fn write_all<S: AsyncRead + AsyncWrite + Unpin>(mut writer: Writer<S>) -> Writer<S> {
    for number in 0..COUNT {
        writer.send_binary(&message(number)).await.unwrap();
    }
    writer
}

/// Reads as many.
async fn read_all<S: AsyncRead + AsyncWrite + Unpin>(mut reader: Reader<S>) -> Reader<S> {
    for number in 0..COUNT {
        match reader.next().await.unwrap() {
            Some(Event::Binary(payload)) => assert!(payload == message(number), "message {number} is another"),
            event => panic!("{event:?} for message {number}"),
        }
    }
    reader
}

fn message(number: u32) -> Vec<u8> {
    let mut message = pattern((number as usize * 97) % 5000);
    message.extend(number.to_be_bytes());
    message
}

async fn talk_both_ways<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(streams: (S, S)) {
    let (client, server) = connect_over(streams, &quiet()).await;
    let ((client_reader, client_writer), (server_reader, server_writer)) = (client.split(), server.split());
    // Four tasks: nobody polls for another.
    let writing = tokio::spawn(write_all(client_writer));
    let answering = tokio::spawn(write_all(server_writer));
    let reading = tokio::spawn(read_all(client_reader));
    let listening = tokio::spawn(read_all(server_reader));
    let (writer, _answerer, reader, listener) =
        within(async { tokio::join!(writing, answering, reading, listening) }).await;
    let (mut writer, mut reader, mut listener) = (writer.unwrap(), reader.unwrap(), listener.unwrap());

    within(writer.close(CloseCode::NORMAL, "done")).await.unwrap();
    let ends = async {
        tokio::join!(async { while reader.next().await.unwrap().is_some() {} }, async {
            while listener.next().await.unwrap().is_some() {}
        })
    };
    within(ends).await;
    let closed = reader.closed().unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (Cause::Local, CloseCode::NORMAL, true));
    let closed = listener.closed().unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (Cause::Peer, CloseCode::NORMAL, true));
}

#[tokio::test(start_paused = true)]
async fn both_sides_read_and_write_at_once_over_a_narrow_stream() {
    talk_both_ways(duplex(64)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_read_and_write_at_once_over_tcp_on_two_threads() {
    talk_both_ways(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn the_reader_answers_pings_without_the_writer() {
    let (mut client, server) = in_memory(64, &quiet()).await;
    let (mut reader, writer) = server.split();
    drop(writer);
    let reading = tokio::spawn(async move {
        let event = reader.next().await.unwrap().map(OwnedEvent::from);
        (event, reader.next().await.unwrap().map(OwnedEvent::from), reader.next().await.unwrap().map(OwnedEvent::from))
    });
    client.sender().ping(b"1").unwrap();
    assert_eq!(next(&mut client).await, OwnedEvent::Pong(b"1".to_vec()));
    within(client.close(CloseCode::NORMAL, "")).await.unwrap();
    let close = OwnedEvent::close(1000, "");
    assert_eq!(within(reading).await.unwrap(), (Some(OwnedEvent::Ping(b"1".to_vec())), Some(close), None));
}

#[tokio::test(start_paused = true)]
async fn large_messages_pass_each_other_between_readers_and_writers() {
    let (client, server) = in_memory(4096, &large()).await;
    let ((mut client_reader, mut client_writer), (mut server_reader, mut server_writer)) =
        (client.split(), server.split());
    let payload = pattern(2 << 20);
    let reading = async |reader: &mut Reader<DuplexStream>| {
        let event = reader.next().await.unwrap().map(OwnedEvent::from);
        assert!(event == Some(OwnedEvent::Binary(payload.clone())), "the message is another");
    };
    let (sent, answered, ..) = within(async {
        tokio::join!(
            client_writer.send_binary(&payload),
            server_writer.send_binary(&payload),
            reading(&mut client_reader),
            reading(&mut server_reader),
        )
    })
    .await;
    sent.unwrap();
    answered.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_close_by_the_writer_ends_a_reader_that_waits_at_the_deadline() {
    // The peer neither answers nor hangs up.
    let (_client, server) = in_memory(64, &quiet()).await;
    let (mut reader, mut writer) = server.split();
    let started = Instant::now();
    let reading = tokio::spawn(async move {
        while reader.next().await.unwrap().is_some() {}
        reader.closed().unwrap()
    });
    tokio::task::yield_now().await;
    within(writer.close(CloseCode::GOING_AWAY, "")).await.unwrap();
    let closed = within(reading).await.unwrap();
    assert_eq!((closed.cause, closed.clean), (Cause::Local, false));
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_ends_a_reader_that_waits() {
    let (config, negotiated) = (quiet_connection(), Negotiated::default());
    let server: WebSocket<_> = WebSocket::from_upgraded(Torn, Role::Server, &config, &negotiated, b"").unwrap();
    let (mut reader, mut writer) = server.split();
    let reading = tokio::spawn(async move { reader.next().await.map(|_| ()) });
    tokio::task::yield_now().await;
    let sent = within(writer.send_text("lost")).await;
    assert!(matches!(sent, Err(Error::Send(SendError::Closed))), "{sent:?}");
    let ended = within(reading).await.unwrap();
    assert!(matches!(&ended, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe), "{ended:?}");
}

/// A stream that brings nothing and takes nothing.
struct Torn;

impl AsyncRead for Torn {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Torn {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_writer_learns_that_the_peer_has_closed() {
    let (mut client, server) = in_memory(64, &quiet()).await;
    let (mut reader, mut writer) = server.split();
    let reading = tokio::spawn(async move { while reader.next().await.unwrap().is_some() {} });
    within(client.close(CloseCode::NORMAL, "")).await.unwrap();
    within(reading).await.unwrap();
    for _ in 0..2 {
        let result = within(writer.send_text("too late")).await;
        assert!(matches!(result, Err(Error::Send(SendError::Closed))), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_for_room_goes_on_when_the_peer_reads() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1000));
    let (mut client, server) = connect_over(duplex(64), &options).await;
    let (mut reader, mut writer) = server.split();
    tokio::spawn(async move { while let Ok(Some(_)) = reader.next().await {} });
    let writing = tokio::spawn(async move {
        for _ in 0..10 {
            writer.send_binary(&pattern(600)).await.unwrap();
        }
        writer
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!writing.is_finished());
    for _ in 0..10 {
        assert_eq!(next(&mut client).await, OwnedEvent::Binary(pattern(600)));
    }
    within(writing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_for_room_is_woken_when_the_connection_ends() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1000));
    let (client, server) = connect_over(duplex(64), &options).await;
    let (mut reader, mut writer): (Reader<DuplexStream>, _) = server.split();
    let reading = tokio::spawn(async move { drain_reader(&mut reader).await });
    let writing = tokio::spawn(async move {
        loop {
            if let Err(error) = writer.send_binary(&pattern(600)).await {
                break error;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(client);
    let error = within(writing).await.unwrap();
    assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
    assert!(within(reading).await.unwrap().is_err());
}

async fn drain_reader(reader: &mut Reader<DuplexStream>) -> Result<(), Error> {
    while reader.next().await?.is_some() {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_in_the_queue_is_sent_before_the_close() {
    let (mut client, server) = in_memory(64, &quiet()).await;
    let (mut reader, mut writer) = server.split();
    let reading = tokio::spawn(async move { drain_reader(&mut reader).await });
    writer.feed(|out| out.send_binary(&pattern(10_000))).unwrap();
    let (closed, (events, ended)) =
        within(async { tokio::join!(writer.close(CloseCode::NORMAL, "bye"), drain(&mut client)) }).await;
    closed.unwrap();
    ended.unwrap();
    let close = OwnedEvent::close(1000, "bye");
    assert_eq!(events, [OwnedEvent::Binary(pattern(10_000)), close]);
    within(reading).await.unwrap().unwrap();
}
