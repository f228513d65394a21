//! Stays connected to a server and prints the events of one profile, on smol. Run
//! `cargo run --package multiwa-ws-async-std --features smol --example smol_client` while
//! `cargo run -- serve --api-key secret --demo 1` is running.

use multiwa_ws_async_std::Update;
use multiwa_ws_async_std::smol::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:3001/ws".to_owned());
    smol::block_on(async {
        let (client, mut updates) = Client::builder(url).api_key("secret").connect().await?;
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
    })
}
