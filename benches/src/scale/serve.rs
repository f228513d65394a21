//! The servers: ours, and a loop over `epoll` that does the same writes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};

use multiwa_ws_core::session::RawJson;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::sync::mpsc::unbounded_channel;

use super::event::{LEN, data, monotonic};
use crate::corpus::{EVENT, WANTED, frame};
use crate::servers::{pin, runtime};
use crate::subscriber;

/// A server that publishes.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub name: &'static str,
    /// Serves this number of connections until its standard input ends.
    run: fn(usize) -> io::Result<()>,
    /// The steps of a client after it has connected.
    pub(super) subscribe: fn(&mut BufReader<TcpStream>) -> io::Result<()>,
}

pub const SERVERS: &[Server] = &[
    Server {
        name: "ours",
        run: ours,
        subscribe: |stream| {
            subscriber::upgrade(stream, false)?;
            subscriber::subscribe(stream, WANTED)
        },
    },
    Server { name: "raw", run: raw, subscribe: |_| Ok(()) },
];

/// The server with this name.
///
/// # Errors
/// There is none.
pub fn server(name: &str) -> Result<&'static Server, String> {
    SERVERS.iter().find(|server| server.name == name).ok_or(format!("there is no server {name}: ours or raw"))
}

/// Runs the server in this process.
///
/// # Errors
/// Those of the sockets.
pub fn serve(server: &Server, connections: usize) -> io::Result<()> {
    pin(0);
    (server.run)(connections)
}

/// The body that makes the text of an event [`LEN`] bytes long.
fn body() -> String {
    "x".repeat(LEN - text(&data(0, 0, "")).len())
}

fn text(data: &str) -> String {
    let at = "2026-02-05T10:00:00.123Z";
    format!(
        r#"{{"type":"event","payload":{{"event":"{EVENT}","profileId":"{WANTED}","data":{data},"timestamp":"{at}"}}}}"#
    )
}

/// The whole server as users have it, with the defaults.
fn ours(_: usize) -> io::Result<()> {
    let (orders, mut taken) = unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = orders.send(line);
        }
    });
    runtime()?.block_on(async {
        let server = multiwa_ws_tokio::Server::builder().bind(([127, 0, 0, 1], 0).into()).await?;
        println!("{}", server.local_addr().expect("it listens").port());
        let (publisher, body) = (server.publisher(), body());
        let mut number = 0;
        while taken.recv().await.is_some() {
            let data = data(number, monotonic(), &body);
            let data = RawJson::parse(&data).expect("it is JSON");
            publisher.publish(EVENT, Some(WANTED), &data).await.map_err(io::Error::other)?;
            number += 1;
        }
        Ok(())
    })
}

/// One thread that writes a frame to one socket after the other. What a socket does not take waits for it.
fn raw(connections: usize) -> io::Result<()> {
    const ORDERS: u64 = u64::MAX;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut subscribers = Vec::with_capacity(connections);
    for index in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::OUT | EventFlags::ET)?;
        subscribers.push(Subscriber { stream, unsent: VecDeque::new() });
    }
    let input = io::stdin();
    epoll::add(&epoll, &input, EventData::new_u64(ORDERS), EventFlags::IN)?;
    let (mut events, mut number, body) = (Vec::with_capacity(1024), 0, body());
    let mut orders = [0; 256];
    loop {
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            if event.data.u64() != ORDERS {
                subscribers[event.data.u64() as usize].flush()?;
                continue;
            }
            let read = rustix::io::read(&input, &mut orders)?;
            if read == 0 {
                return Ok(());
            }
            for _ in orders[..read].iter().filter(|byte| **byte == b'\n') {
                let mut bytes = Vec::with_capacity(LEN + 4);
                frame(&mut bytes, true, 0x1, None, text(&data(number, monotonic(), &body)).as_bytes());
                number += 1;
                for subscriber in &mut subscribers {
                    subscriber.send(&bytes)?;
                }
            }
        }
    }
}

struct Subscriber {
    stream: TcpStream,
    unsent: VecDeque<u8>,
}

impl Subscriber {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = if self.unsent.is_empty() { write(&self.stream, bytes)? } else { 0 };
        self.unsent.extend(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = write(&self.stream, self.unsent.as_slices().0)?;
            if sent == 0 {
                break;
            }
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}

fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}
