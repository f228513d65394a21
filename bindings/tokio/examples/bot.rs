//! A bot with two tasks. One reads events and finds commands in the messages. The other runs the commands with a client
//! handle, and prints each answer of the server.
//!
//! Run `cargo run --package multiwa-ws-tokio --example bot -- ws://127.0.0.1:3001/ws secret profile-123` while
//! `cargo run -- serve --api-key secret` is running. Then type a line such as this into the server:
//! `{"profileId":"profile-123","event":"message.received","data":{"body":"watch profile-7"}}`

use std::env;

use multiwa_ws_tokio::{Client, EventView, Update};
use tokio::sync::mpsc;

/// A command to the bot.
enum Command {
    Watch(String),
    Unwatch(String),
    Ping,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let (Some(url), Some(key), Some(profile)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: bot URL KEY PROFILE".into());
    };
    let (client, mut updates) =
        Client::builder(url).api_key(key).subscribe(profile, ["message.received"]).connect().await?;
    println!("ready");

    let (sender, commands) = mpsc::channel(16);
    let answering = tokio::spawn(answer(client, commands));
    while let Some(update) = updates.next().await {
        if let Update::Event(event) = update {
            println!("event {} of {}", event.name(), event.profile_id().as_deref().unwrap_or("every profile"));
            if let Ok(EventView::MessageReceived(message)) = event.view()
                && let Some(command) = Command::read(&message.body)
            {
                // A full channel drops the command, because reading must not wait for the answers.
                let _ = sender.try_send(command);
            }
        }
    }
    drop(sender);
    answering.await?;
    Ok(())
}

/// Runs the commands. Acknowledgements arrive because the other task takes updates.
async fn answer(client: Client, mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        let (what, request) = match &command {
            Command::Watch(profile) => (format!("watching {profile}"), client.subscribe(profile, ["*"])),
            Command::Unwatch(profile) => (format!("no longer watching {profile}"), client.unsubscribe(Some(profile))),
            Command::Ping => ("the server answers".to_owned(), client.ping()),
        };
        match request.await {
            Ok(after) => println!("{what}, after {after:?}"),
            Err(error) => println!("sorry: {error}"),
        }
    }
}

impl Command {
    fn read(body: &str) -> Option<Self> {
        match body.split_once(' ') {
            Some(("watch", profile)) => Some(Self::Watch(profile.to_owned())),
            Some(("unwatch", profile)) => Some(Self::Unwatch(profile.to_owned())),
            None if body == "ping" => Some(Self::Ping),
            _ => None,
        }
    }
}
