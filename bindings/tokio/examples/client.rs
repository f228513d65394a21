//! Stays connected to a server and prints the events of one profile. Run
//! `cargo run --package multiwa-ws-tokio --example client` while `cargo run -- serve --api-key secret --demo 1` is
//! running.

use multiwa_ws_tokio::{Client, Update};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, mut updates) = Client::builder("ws://127.0.0.1:3001/ws").api_key("secret").connect().await?;
    client.subscribe("profile-123", ["message.received", "session.status"]).await?;
    println!("round trip {:?}", client.ping().await?);
    while let Some(update) = updates.next().await {
        match update {
            Update::Event(event) => println!("{} {}", event.name(), event.data().unwrap_or("null")),
            Update::Lifecycle(lifecycle) => eprintln!("{lifecycle:?}"),
            _ => {}
        }
    }
    Ok(())
}
