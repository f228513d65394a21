//! Publishes one event per second to the clients that subscribe to it. Run
//! `cargo run --package multiwa-ws-tokio --example server`, then
//! `cargo run -- listen ws://127.0.0.1:3001/ws --api-key secret --profile profile-123`.

use multiwa_ws_tokio::{ApiKey, Permissions, RawJson, Server};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .api_keys([ApiKey::new("secret")])
        .authorize(|request| async move {
            println!("{:?} from {:?}", request.address(), request.origin());
            Ok(Permissions::profiles(["profile-123"])) // this key may subscribe to this profile
        })
        .bind("127.0.0.1:3001".parse()?)
        .await?;
    let publisher = server.publisher(); // cheap to clone, from any task
    for n in 0..60 {
        let data = RawJson::parse(&format!(r#"{{"status":"connected","n":{n}}}"#))?.into_owned();
        let published = publisher.publish("session.status", Some("profile-123"), &data).await?;
        println!("{} of {} clients receive it", published.receivers, server.connections());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    server.shutdown(Duration::from_secs(5)).await; // 1001 to everyone
    Ok(())
}
