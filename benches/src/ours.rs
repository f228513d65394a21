//! The core of multiwa-ws as a contestant, without streams.

use std::hint::black_box;

use multiwa_ws_core::client::{Client, Config as ClientConfig, TransportAction};
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientEvent, EventNames};
#[cfg(feature = "peers")]
use multiwa_ws_core::websocket::DeflateParameters;
use multiwa_ws_core::websocket::{Compression, Config, Event, Negotiated, Role, WebSocket};
use multiwa_ws_core::{Instant, KeepAlive};

use crate::corpus::{Reader, WANTED, Wire};
use crate::gateway::Gateway;
use crate::memory::{Sink, Source};
#[cfg(feature = "peers")]
use crate::terms::Terms;

/// One pass over the work. Returns a value that must be the same for every contestant.
pub type Run = Box<dyn FnMut() -> u64>;

/// The processing of each decoded text.
pub trait Look: 'static {
    /// A message that the decoder returns as text.
    fn text(&mut self, text: &str);

    /// A message that the decoder returns as bytes after it has checked their UTF-8.
    fn bytes(&mut self, text: &[u8]);

    /// The result since the last call.
    fn found(&mut self) -> u64;
}

/// Reads the first and last bytes of each message.
#[derive(Debug, Default)]
pub struct Glance(u64);

impl Look for Glance {
    #[inline]
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    #[inline]
    fn bytes(&mut self, text: &[u8]) {
        if let [first, .., last] = black_box(text) {
            self.0 += u64::from(*first) + u64::from(*last) + text.len() as u64;
        }
    }

    fn found(&mut self) -> u64 {
        std::mem::take(&mut self.0)
    }
}

/// The seed of every state machine in this module.
pub(crate) const SEED: [u8; 32] = [7; 32];

pub(crate) fn socket(reader: Reader) -> WebSocket {
    socket_with(reader, Compression::default(), &Negotiated::default())
}

fn socket_with(reader: Reader, compression: Compression, negotiated: &Negotiated) -> WebSocket {
    WebSocket::new(Instant::default(), role(reader), &config().compression(compression), negotiated, SEED)
}

pub(crate) fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

/// The longest messages, in the growth plots, exceed the default limit.
pub(crate) fn config() -> Config {
    Config::new().max_message_len(64 << 20)
}

/// Decodes with [`WebSocket::handle_input`], from a buffer of `buffer_len` bytes.
pub fn decoder(wire: &Wire, reader: Reader, buffer_len: usize, look: impl Look) -> Run {
    decode(socket(reader), wire, buffer_len, look)
}

fn decode(mut socket: WebSocket, wire: &Wire, buffer_len: usize, mut look: impl Look) -> Run {
    let mut source = Source::new(wire);
    let mut buffer = vec![0; buffer_len];
    let now = Instant::from_nanos(1);
    Box::new(move || {
        let mut messages = 0;
        while messages < source.messages() {
            let len = source.read(&mut buffer);
            let mut input = &mut buffer[..len];
            while let Some(received) = socket.handle_input(now, &mut input).expect("the wire keeps the rules") {
                if let Event::Text(text) = received.event {
                    look.text(text);
                    messages += 1;
                }
            }
        }
        look.found()
    })
}

/// The number of small messages in one write.
pub const BATCH: usize = 32;

/// Encodes `text` in batches with [`Sender::send_text`](multiwa_ws_core::websocket::Sender::send_text).
pub fn encoder(writer: Reader, text: &str, batch: usize) -> Run {
    let mut socket = socket(writer);
    let text = text.to_owned();
    let sink = Sink::default();
    Box::new(move || {
        for _ in 0..batch {
            socket.sender().send_text(black_box(&text)).expect("there is room");
        }
        write(&mut socket, &sink);
        sink.taken()
    })
}

/// One side of a connection with compression. The terms apply to the server's direction.
#[cfg(feature = "peers")]
fn compressing(reader: Reader, terms: Terms) -> WebSocket {
    let deflate = DeflateParameters {
        server_no_context_takeover: !terms.takeover,
        server_max_window_bits: terms.window_bits,
        ..DeflateParameters::default()
    };
    let compression = Compression::new().level(terms.level);
    socket_with(reader, compression, &Negotiated { deflate: Some(deflate), ..Negotiated::default() })
}

/// Compresses `texts` and encodes them in batches.
#[cfg(feature = "peers")]
pub fn compressing_encoder(texts: &[String], terms: Terms) -> Run {
    let mut socket = compressing(Reader::Server, terms);
    let texts = texts.to_vec();
    let sink = Sink::default();
    Box::new(move || {
        for batch in texts.chunks(BATCH) {
            for text in batch {
                socket.sender().send_text(black_box(text)).expect("there is room");
            }
            write(&mut socket, &sink);
        }
        sink.taken()
    })
}

/// Decodes the compressed messages of a server, from a buffer of `buffer_len` bytes.
#[cfg(feature = "peers")]
pub fn inflating_decoder(wire: &Wire, terms: Terms, buffer_len: usize, look: impl Look) -> Run {
    decode(compressing(Reader::Client, terms), wire, buffer_len, look)
}

pub(crate) fn write(socket: &mut WebSocket, sink: &Sink) {
    loop {
        let mut slices = [&[][..]; 16];
        let filled = socket.poll_transmit(&mut slices);
        if filled == 0 {
            return;
        }
        let mut written = 0;
        for slice in &slices[..filled] {
            sink.write(slice);
            written += slice.len();
        }
        socket.transmitted(Instant::default(), written);
    }
}

/// Routes with a whole [`Client`] that subscribes to [`WANTED`]: it filters, and returns the wanted events.
pub fn router(wire: &Wire, buffer_len: usize) -> Run {
    let mut source = Source::new(wire);
    let mut client = subscriber();
    let mut buffer = vec![0; buffer_len];
    let now = Instant::from_nanos(1);
    let mut at = 0;
    Box::new(move || {
        let (before, mut wanted) = (client.session().counters().received, 0);
        while client.session().counters().received - before < source.messages() as u64 {
            let len = source.read(&mut buffer);
            let mut input = &mut buffer[..len];
            while let Some(received) = client.handle_input(now, &mut input) {
                if let ClientEvent::Event(event) = &received.event {
                    wanted += 1;
                    at += black_box(event.data()).map_or(0, str::len);
                }
            }
        }
        black_box(at);
        wanted
    })
}

/// A client that is connected and subscribes to every event of [`WANTED`].
pub fn subscriber() -> Client {
    let now = Instant::from_nanos(1);
    let config = ClientConfig::new().websocket(config().keep_alive(KeepAlive::OFF));
    let mut client = Client::new(config, SEED);
    client.commands().subscribe(now, WANTED, &EventNames::every()).expect("nothing is in the way");
    client.connect(now).expect("it is idle");
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.connected(now, ClientRequest::new("gateway:3001", "/ws")).expect("a plain request");
    // The upgrade, then the subscription.
    let mut gateway = Gateway::new();
    while !gateway.is_subscribed() {
        let mut answer = gateway.answer(&mut written(&mut client));
        receive(&mut client, &mut answer);
    }
    assert_eq!(client.session().active().len(), 1);
    client
}

/// Passes `bytes` to the client and ignores the events.
fn receive(client: &mut Client, bytes: &mut [u8]) {
    let mut input = bytes;
    while client.handle_input(Instant::default(), &mut input).is_some() {}
}

fn written(client: &mut Client) -> Vec<u8> {
    let mut slices = [&[][..]; 8];
    let filled = client.poll_transmit(&mut slices);
    let bytes = slices[..filled].concat();
    client.transmitted(Instant::default(), bytes.len());
    bytes
}
