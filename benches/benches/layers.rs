//! Each layer of ours by itself, for whoever changes it:
//! `cargo bench --manifest-path benches/Cargo.toml --no-default-features --bench layers`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use multiwa_ws_benches::corpus::{EVENT, Keys, Reader, Script, WANTED, Wire, event, text};
use multiwa_ws_benches::memory::Source;
use multiwa_ws_benches::ours::{BATCH, Glance, decoder, encoder, subscriber};
use multiwa_ws_benches::random::Random;
use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::{FrameDecoder, FrameRules, apply_mask, from_utf8};
use multiwa_ws_core::handshake::{Acceptance, ClientHandshake, ClientRequest, HandshakeLimits, ServerHandshake};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope, EventNames, SubscriptionSet};
use multiwa_ws_core::websocket::{Config, DeflateParameters, Negotiated, Role, SharedMessage, WebSocket};

const NOW: Instant = Instant::from_nanos(1);

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    for len in [64, 300, 4096, 65536] {
        let mut random = Random::new(1);
        let mut payload = text(Script::Ascii, len, &mut random).into_bytes();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("mask {len} B"), |b| {
            b.iter(|| apply_mask(black_box(&mut payload), [1, 2, 3, 4], 0));
        });
        for script in [Script::Ascii, Script::Mixed] {
            let text = text(script, len, &mut random);
            group.bench_function(format!("utf-8 {script:?} {len} B"), |b| {
                b.iter(|| from_utf8(black_box(text.as_bytes())).is_ok());
            });
        }
        let wire = Wire::of_texts(Reader::Server, Script::Ascii, len);
        let mut source = Source::new(&wire);
        let mut buffer = vec![0; wire.bytes.len()];
        let mut frames = FrameDecoder::new(FrameRules::for_server());
        group.throughput(Throughput::Elements(wire.messages as u64));
        group.bench_function(format!("decode {len} B"), |b| {
            b.iter(|| {
                let len = source.read(&mut buffer);
                let mut input = &mut buffer[..len];
                while let Ok(Some(part)) = frames.decode(&mut input) {
                    black_box(part.payload);
                }
            });
        });
    }
    group.finish();
}

fn websocket(c: &mut Criterion) {
    let mut group = c.benchmark_group("websocket");
    for (reader, name) in [(Reader::Server, "server"), (Reader::Client, "client")] {
        for len in [64, 300, 4096] {
            let wire = Wire::of_texts(reader, Script::Ascii, len);
            let mut run = decoder(&wire, reader, 64 << 10, Glance::default());
            group.throughput(Throughput::Elements(wire.messages as u64));
            group.bench_function(format!("{name} receives {len} B"), |b| b.iter(&mut run));
            let mut run = encoder(reader, &text(Script::Ascii, len, &mut Random::new(1)), BATCH);
            group.throughput(Throughput::Elements(BATCH as u64));
            group.bench_function(format!("{name} sends {len} B"), |b| b.iter(&mut run));
        }
    }
    group.finish();
}

fn handshake(c: &mut Criterion) {
    let written = |slices: &[&[u8]]| slices.concat();
    c.bench_function("handshake/both sides", |b| {
        b.iter(|| {
            let request = ClientRequest::new("gateway:3001", "/ws?apiKey=0123456789abcdef");
            let mut client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), [1; 32]).unwrap();
            let mut slices = [&[][..]; 4];
            let filled = client.poll_transmit(&mut slices);
            let mut bytes = written(&slices[..filled]);
            client.transmitted(NOW, bytes.len());
            let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
            server.handle_input(NOW, &mut &mut bytes[..]).unwrap();
            server.accept(NOW, &Acceptance::default()).unwrap();
            let mut answer = server.poll_accepted().unwrap().unsent;
            black_box(client.handle_input(NOW, &mut &mut answer[..]).unwrap())
        });
    });
}

fn session(c: &mut Criterion) {
    let mut group = c.benchmark_group("session");
    for keys in [Keys::First, Keys::Last] {
        for len in [300, 4096] {
            let event = event(keys, WANTED, len, &mut Random::new(1));
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(format!("parse {len} B, keys {keys:?}"), |b| {
                b.iter(|| black_box(Envelope::parse(black_box(&event), DEFAULT_MAX_DEPTH)).unwrap().into_event());
            });
        }
        let wire = Wire::of_events(keys, 300);
        let mut source = Source::new(&wire);
        let mut buffer = vec![0; wire.bytes.len()];
        let mut client = subscriber();
        group.throughput(Throughput::Elements(wire.messages as u64));
        group.bench_function(format!("client routes 300 B, keys {keys:?}"), |b| {
            b.iter(|| {
                let len = source.read(&mut buffer);
                let mut input = &mut buffer[..len];
                while let Some(received) = client.handle_input(NOW, &mut input) {
                    black_box(received.event);
                }
            });
        });
    }
    group.finish();
}

fn hub(c: &mut Criterion) {
    let mut group = c.benchmark_group("hub");
    let event_text = event(Keys::First, WANTED, 300, &mut Random::new(1));
    for (receivers, connections) in [(1, 1), (1, 10_000), (100, 10_000), (10_000, 10_000)] {
        let mut hub = Hub::new();
        for id in 0..connections {
            let mut set = SubscriptionSet::default();
            let profile = if id < receivers { WANTED.to_owned() } else { format!("profile-{id}") };
            set.replace(profile, EventNames::every());
            hub.update(id, set);
        }
        group.throughput(Throughput::Elements(receivers as u64));
        group.bench_function(format!("publish to {receivers} of {connections}"), |b| {
            b.iter(|| {
                let message = SharedMessage::text(black_box(&event_text));
                for id in hub.receivers(Some(WANTED), EVENT) {
                    black_box((id, message.len()));
                }
            });
        });
    }
    group.finish();
}

fn deflate(c: &mut Criterion) {
    let mut group = c.benchmark_group("deflate");
    let negotiated = Negotiated { deflate: Some(DeflateParameters::default()), ..Negotiated::default() };
    let socket = |role| WebSocket::new(NOW, role, &Config::default(), &negotiated, [1; 32]);
    let mut random = Random::new(1);
    let events: Vec<_> = (0..64).map(|_| event(Keys::First, WANTED, 300, &mut random)).collect();
    let encode = |server: &mut WebSocket| {
        for event in &events {
            server.send_text(event).unwrap();
        }
        let mut slices = [&[][..]; 4];
        let filled = server.poll_transmit(&mut slices);
        let bytes = slices[..filled].concat();
        server.transmitted(NOW, bytes.len());
        bytes
    };
    group.throughput(Throughput::Elements(events.len() as u64));
    let mut server = socket(Role::Server);
    group.bench_function("deflate 300 B, context kept", |b| b.iter(|| encode(&mut server)));
    group.bench_function("inflate 300 B, context kept", |b| {
        // The streams of both sides go on together, so the bytes are made for each pass anew, outside of what is timed.
        let (mut server, mut client) = (socket(Role::Server), socket(Role::Client));
        b.iter_batched_ref(
            || encode(&mut server),
            |bytes| {
                let mut input = &mut bytes[..];
                while let Some(received) = client.handle_input(NOW, &mut input).unwrap() {
                    black_box(received.event);
                }
            },
            BatchSize::NumIterations(1),
        );
    });
    group.finish();
}

criterion_group!(layers, frames, websocket, handshake, session, hub, deflate);
criterion_main!(layers);
