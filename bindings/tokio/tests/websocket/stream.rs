//! Connections as streams and sinks of messages.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::SendError;
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, Message, WebSocket, WebSocketConfig};
use tokio::io::{DuplexStream, duplex};

use super::support::{connect_over, drain, in_memory, large, next, pattern, quiet, quiet_connection, tcp, within};

/// Short and long messages of both kinds.
fn messages() -> Vec<Message> {
    let lens = [0, 1, 125, 126, 70_000];
    lens.into_iter().flat_map(|len| [Message::from("x".repeat(len)), Message::from(pattern(len))]).collect()
}

/// Sends every message and awaits its echo, then closes.
async fn talk<S>(mut stream: S)
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    for message in messages() {
        stream.send(message.clone()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), message);
    }
    stream.close().await.unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_forwarded_to_its_own_sink_is_an_echo() {
    let (client, server) = in_memory(64, &quiet()).await;
    let (sink, stream) = server.into_stream().split();
    let ((), echoed) = within(async { tokio::join!(talk(client.into_stream()), stream.forward(sink)) }).await;
    echoed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_forwarded_to_its_writer_is_an_echo() {
    let (client, server) = in_memory(64, &quiet()).await;
    let (reader, writer) = server.split();
    let ((), echoed) =
        within(async { tokio::join!(talk(client.into_stream()), reader.forward(writer.into_sink())) }).await;
    echoed.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_parts_of_a_split_stream_work_in_different_tasks() {
    const COUNT: usize = 500;
    let (client, server) = connect_over(tcp().await, &large()).await;
    let tasks = [client, server].map(|socket| {
        let (mut sink, mut stream) = socket.into_stream().split();
        let sending = tokio::spawn(async move {
            for number in 0..COUNT {
                sink.send(pattern(number * 97 % 50_000).into()).await.unwrap();
            }
            sink
        });
        let receiving = tokio::spawn(async move {
            for number in 0..COUNT {
                assert!(stream.next().await.unwrap().unwrap() == Message::from(pattern(number * 97 % 50_000)));
            }
            stream
        });
        (sending, receiving)
    });
    let [(sending, receiving), (answering, listening)] = tasks;
    let (sink, stream, other_sink, mut other_stream) =
        within(async { tokio::try_join!(sending, receiving, answering, listening) }).await.unwrap();
    // One task waits for a message while the other closes.
    let ended = tokio::spawn(async move { (other_sink, other_stream.next().await.is_none()) });
    let mut client = sink.reunite(stream).unwrap();
    within(client.close()).await.unwrap();
    assert!(within(ended).await.unwrap().1);
    assert!(client.get_ref().closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_a_message_is_woken_when_the_other_task_closes() {
    let (client, mut server) = in_memory(64, &quiet()).await;
    let (mut sink, mut stream) = client.into_stream().split();
    let waiting = tokio::spawn(async move { stream.next().await.is_none() });
    tokio::task::yield_now().await;
    let (closed, _) = within(async { tokio::join!(sink.close(), drain(&mut server)) }).await;
    closed.unwrap();
    assert!(within(waiting).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_keep_alive_runs_while_one_task_reads_and_the_other_has_written() {
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10)).timeout(Duration::from_secs(5));
    let options = WebSocketConfig::new().connection(quiet_connection().keep_alive(keep_alive));
    // The peer answers no ping, since nobody reads.
    let (client, _server) = connect_over(duplex(1 << 10), &options).await;
    let (mut sink, mut stream) = client.into_stream().split();
    let waiting = tokio::spawn(async move { (stream.next().await, stream.next().await) });
    tokio::task::yield_now().await;
    within(sink.send("sent".into())).await.unwrap();
    let (first, second) = within(waiting).await.unwrap();
    assert!(matches!(first, Some(Err(Error::Unresponsive))), "{first:?}");
    assert!(second.is_none());
}

/// Feeds messages of 600 bytes to a sink until it is not ready, and returns how many it took.
fn fill(sink: &mut (impl Sink<Message, Error = Error> + Unpin)) -> usize {
    (0..1000).take_while(|_| sink.feed(pattern(600).into()).now_or_never().is_some_and(|fed| fed.is_ok())).count()
}

/// A queue of 10,000 bytes over a line that holds 64.
async fn narrow() -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(10_000));
    connect_over(duplex(64), &options).await
}

async fn is_not_ready_while_its_queue_is_full(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    mut server: WebSocket<DuplexStream>,
) {
    // At most the queue, the message beside it and what the line holds.
    let taken = fill(&mut sink);
    assert!((15..=17).contains(&taken), "{taken} messages were taken");
    assert_eq!(fill(&mut sink), 0, "nothing was read in between");

    let reading = async {
        for _ in 0..taken {
            assert_eq!(next(&mut server).await, OwnedEvent::Binary(pattern(600)));
        }
    };
    let (flushed, ()) = within(async { tokio::join!(sink.flush(), reading) }).await;
    flushed.unwrap();
    assert!(sink.feed("again".into()).now_or_never().is_some(), "a sink that was read is ready");
    let (closed, (events, _)) = within(async { tokio::join!(sink.close(), drain(&mut server)) }).await;
    closed.unwrap();
    assert_eq!(events, [OwnedEvent::text("again"), OwnedEvent::close(1000, "")]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_ready_while_a_slow_reader_fills_its_queue() {
    let (client, server) = narrow().await;
    is_not_ready_while_its_queue_is_full(client.into_stream(), server).await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_is_not_ready_while_a_slow_reader_fills_its_queue() {
    let (client, server) = narrow().await;
    let (mut reader, writer) = client.split();
    let reading = tokio::spawn(async move { while reader.next().await.unwrap().is_some() {} });
    is_not_ready_while_its_queue_is_full(writer.into_sink(), server).await;
    within(reading).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_fed_without_a_pause_writes_before_its_queue_is_full() {
    let (client, mut server) = in_memory(1 << 20, &quiet()).await;
    let mut sink = client.into_stream();
    for _ in 0..200 {
        sink.feed(pattern(1_000).into()).await.unwrap();
    }
    assert_eq!(next(&mut server).await, OwnedEvent::Binary(pattern(1_000)));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_fits_is_an_error_and_the_next_one_is_sent() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1_000));
    let (client, mut server) = connect_over(duplex(64), &options).await;
    let mut sink = client.into_stream();
    let refused = within(sink.send(pattern(2_000).into())).await;
    assert!(matches!(refused, Err(Error::Send(SendError::QueueFull { .. }))), "{refused:?}");
    let (sent, received) = within(async { tokio::join!(sink.send("fits".into()), next(&mut server)) }).await;
    sent.unwrap();
    assert_eq!(received, OwnedEvent::text("fits"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_fits_is_an_error_of_close_too() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1_000));
    for split in [false, true] {
        let (client, server) = connect_over(duplex(64), &options).await;
        let _server = server;
        let refused = if split {
            let (_reader, writer) = client.split();
            let mut sink = writer.into_sink();
            sink.feed(pattern(2_000).into()).await.unwrap();
            within(sink.close()).await
        } else {
            let mut sink = client.into_stream();
            sink.feed(pattern(2_000).into()).await.unwrap();
            within(sink.close()).await
        };
        assert!(matches!(refused, Err(Error::Send(SendError::QueueFull { .. }))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_a_client_that_writes_much_before_it_reads() {
    // More than the queue and the bytes that are read ahead.
    const COUNT: usize = 128;
    let (client, server) = in_memory(1 << 10, &quiet()).await;
    let (sink, stream) = server.into_stream().split();
    let echo = tokio::spawn(stream.forward(sink));
    let (mut reader, mut writer) = client.split();
    let writing = tokio::spawn(async move {
        for _ in 0..COUNT {
            writer.send_binary(&pattern(64 << 10)).await.unwrap();
        }
        writer
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..COUNT {
        let echoed = within(StreamExt::next(&mut reader)).await.unwrap().unwrap();
        assert!(echoed == Message::from(pattern(64 << 10)));
    }
    within(writing).await.unwrap().close(CloseCode::NORMAL, "").await.unwrap();
    assert!(within(StreamExt::next(&mut reader)).await.is_none());
    within(echo).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_while_nobody_reads_is_sent_after_messages_were_taken() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1_000).max_message_len(1_000));
    let (client, server) = connect_over(duplex(64), &options).await;
    let mut stream = client.into_stream();
    let (mut reader, mut writer) = server.split();
    let flood = tokio::spawn(async move {
        for _ in 0..10 {
            writer.send_binary(&pattern(600)).await.unwrap();
        }
    });
    // There is no room in the queue for the second.
    let waits = "waits".repeat(120);
    stream.feed(pattern(600).into()).await.unwrap();
    stream.feed(waits.as_str().into()).await.unwrap();
    let unread = within(stream.flush()).await;
    assert!(matches!(unread, Err(Error::Unread)), "{unread:?}");
    let taking = tokio::spawn(async move {
        let mut received = Vec::new();
        while received.len() < 2 {
            received.push(StreamExt::next(&mut reader).await.unwrap().unwrap());
        }
        received
    });
    for _ in 0..10 {
        assert!(within(stream.next()).await.unwrap().unwrap() == Message::from(pattern(600)));
    }
    within(stream.flush()).await.unwrap();
    within(flood).await.unwrap();
    assert!(within(taking).await.unwrap() == [Message::from(pattern(600)), Message::from(waits)]);
}

#[tokio::test(start_paused = true)]
async fn two_sinks_that_send_at_the_same_time_do_not_wait_for_each_other() {
    let (client, server) = in_memory(1 << 10, &large()).await;
    let exchange = async |socket: WebSocket<_>| {
        let mut stream = socket.into_stream();
        stream.send(pattern(2 << 20).into()).await.unwrap();
        assert!(stream.next().await.unwrap().unwrap() == Message::from(pattern(2 << 20)));
        stream.flush().await.unwrap();
    };
    within(async { tokio::join!(exchange(client), exchange(server)) }).await;
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_connection_is_returned_once() {
    let (client, server) = in_memory(64, &quiet()).await;
    let mut stream = client.into_stream();
    drop(server);
    let first = within(stream.next()).await;
    assert!(matches!(first, Some(Err(Error::UnexpectedEof | Error::Io(_)))), "{first:?}");
    assert!(within(stream.next()).await.is_none());
    let sent = within(stream.send("late".into())).await;
    assert!(matches!(sent, Err(Error::Send(SendError::Closed))), "{sent:?}");
    within(stream.close()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_while_it_waits_for_room_has_sent_nothing() {
    let options = WebSocketConfig::new().connection(quiet_connection().max_queued(1_000));
    let (client, mut server) = connect_over(duplex(64), &options).await;
    let mut sink = client.into_stream();
    let taken = fill(&mut sink);
    {
        let mut sending = pin!(sink.send("dropped".into()));
        assert!(matches!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    }
    let (closed, (events, _)) = within(async { tokio::join!(sink.close(), drain(&mut server)) }).await;
    closed.unwrap();
    assert_eq!(events.len(), taken + 1, "the messages and the Close frame");
    assert!(!events.contains(&OwnedEvent::text("dropped")));
}
