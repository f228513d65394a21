//! Prints the events of one profile, one a line, until its input ends:
//! `cargo run --package multiwa-ws-tungstenite --example blocking_logger -- ws://127.0.0.1:3001/ws profile-123 secret`,
//! beside `cargo run -- serve --api-key secret --demo 1`.

use std::env;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use multiwa_ws_tungstenite::{Client, Update};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let (Some(url), Some(profile), Some(key)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: blocking_logger URL PROFILE KEY".into());
    };
    let (client, mut updates) = Client::builder(url).api_key(key).connect()?;
    client.subscribe(&profile, ["*"])?;
    eprintln!("round trip {:?}", client.ping()?);

    // One thread waits for the end of the input and then closes, while this one waits for events.
    thread::spawn(move || {
        io::stdin().lines().for_each(drop);
        client.close();
    });

    let mut out = io::stdout().lock();
    loop {
        match updates.next_timeout(Duration::from_secs(60)) {
            Ok(Some(Update::Event(event))) => {
                writeln!(out, "{} {}", printable(&event.name()), printable(event.data().unwrap_or("null")))?;
            }
            Ok(Some(Update::Lifecycle(lifecycle))) => eprintln!("{lifecycle:?}"),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(_) => eprintln!("nothing happened for a minute"),
        }
    }
}

/// What people write to each other must not command a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}
