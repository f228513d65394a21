//! A program with an embedded server: it counts lines, and clients with the key can follow the count.
//!
//! Run `cargo run --package multiwa-ws-tokio --example embedded -- 127.0.0.1:3001 secret`, then
//! `cargo run -- listen ws://127.0.0.1:3001/ws --api-key secret --profile counter`. Each line of input increases the
//! count. The program ends at the end of its input.

use std::env;
use std::io;
use std::time::Duration;

use multiwa_ws_tokio::{ApiKey, Observed, Permissions, Publisher, RawJson, Server, SlowReader};
use tokio::runtime::Handle;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let (Some(address), Some(key)) = (args.next(), args.next()) else {
        return Err("usage: embedded ADDR:PORT KEY".into());
    };
    let server = Server::builder()
        .api_keys([ApiKey::new(key)])
        .authorize(|_| async { Ok(Permissions::profiles(["counter"])) })
        .slow_reader(SlowReader::DropOldest) // a slow client needs only the latest state
        .max_connections(100)
        .observe(|observed| {
            if let Observed::Opened { peer } = observed {
                eprintln!("client {} is here", peer.id);
            }
        })
        .bind(address.parse()?)
        .await?;
    eprintln!("listening on {:?}", server.local_addr());

    // The program's own work runs on a separate thread. A publisher can be used from any thread.
    let publisher = server.publisher();
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || count(&publisher, &runtime)).await??;
    let cut = server.shutdown(Duration::from_secs(5)).await;
    println!("{cut} clients had to be cut");
    Ok(())
}

/// Publishes the number of lines so far.
fn count(publisher: &Publisher, runtime: &Handle) -> io::Result<()> {
    for (n, line) in io::stdin().lines().enumerate() {
        line?;
        let data = RawJson::parse(&format!(r#"{{"lines":{}}}"#, n + 1)).map_err(io::Error::other)?.into_owned();
        let published =
            runtime.block_on(publisher.publish("counted", Some("counter"), &data)).map_err(io::Error::other)?;
        println!("{} clients get it", published.receivers);
    }
    Ok(())
}
