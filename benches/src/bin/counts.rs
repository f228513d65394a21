//! Runs one of our hot paths a given number of times, so that `counts.py` can count its instructions. It reads no clock
//! and uses no entropy source: two runs differ only in the number of passes.

use std::process::ExitCode;

use multiwa_ws_benches::corpus::{Keys, Reader, Script, Wire, text};
use multiwa_ws_benches::memory::READ;
use multiwa_ws_benches::ours::{BATCH, Glance, Run, decoder, encoder, router};
use multiwa_ws_benches::random::Random;

const SUBJECTS: &[&str] = &[
    "decode masked 64 B",
    "decode masked 300 B",
    "decode unmasked 64 B",
    "decode unmasked 300 B",
    "decode masked mixed scripts 300 B",
    "encode masked 300 B",
    "encode unmasked 300 B",
    "route keys first 300 B",
    "route keys last 300 B",
];

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--list"] => SUBJECTS.iter().for_each(|subject| println!("{subject}\t{}", prepare(subject).1)),
        [subject, passes] if SUBJECTS.contains(&subject) => {
            let Ok(passes) = passes.parse::<u32>() else { return usage() };
            let (mut run, _) = prepare(subject);
            for _ in 0..passes {
                std::hint::black_box(run());
            }
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("counts --list | counts SUBJECT PASSES");
    ExitCode::from(2)
}

/// The work, and the number of messages in one pass.
fn prepare(subject: &str) -> (Run, usize) {
    let reader = if subject.contains("unmasked") { Reader::Client } else { Reader::Server };
    let script = if subject.contains("mixed") { Script::Mixed } else { Script::Ascii };
    let len = if subject.ends_with(" 64 B") { 64 } else { 300 };
    if subject.starts_with("decode") {
        let wire = Wire::of_texts(reader, script, len);
        return (decoder(&wire, reader, READ, Glance::default()), wire.messages);
    }
    if subject.starts_with("encode") {
        // The wire to a client is written by a server.
        let writer = if reader == Reader::Client { Reader::Server } else { Reader::Client };
        return (encoder(writer, &text(script, len, &mut Random::new(1)), BATCH), BATCH);
    }
    let keys = if subject.contains("first") { Keys::First } else { Keys::Last };
    let wire = Wire::of_events(keys, len);
    (router(&wire, READ), wire.messages)
}
