//! Sends back each message that it receives. The Autobahn suite tests this server.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use multiwa_ws_async_std::AsyncStd;
use multiwa_ws_driver::{Net, WebSocket, WebSocketConfig};
use multiwa_ws_testkit::echo::{Runtime, acceptance, echo, exit_code, options};
use multiwa_ws_tokio::Tokio;

/// Sends back every message of every WebSocket connection, on any path, compressed if the client can.
#[derive(Parser)]
struct Arguments {
    /// The runtime to run on
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    runtime: Runtime,
    /// The address to listen on; port 0 takes a free one
    #[arg(value_name = "IP:PORT", default_value = "127.0.0.1:9001")]
    address: SocketAddr,
}

fn main() -> ExitCode {
    let Arguments { runtime, address } = Arguments::parse();
    exit_code(match runtime {
        Runtime::AsyncStd => async_std::task::block_on(serve::<AsyncStd>(address)),
        Runtime::Tokio => tokio::runtime::Runtime::new()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(serve::<Tokio>(address))),
    })
}

async fn serve<N: Net>(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = N::bind(address).await?;
    println!("listening on ws://{}", N::local_addr(&listener)?);
    let options = Arc::new(options());
    loop {
        let (stream, _) = N::accept(&listener).await?;
        let options = options.clone();
        N::spawn(async move { serve_one::<N>(stream, &options).await })?;
    }
}

/// The suite decides whether a connection ended correctly. The server continues with the next one.
async fn serve_one<N: Net>(stream: N::TcpStream, options: &WebSocketConfig) {
    if let Ok((mut socket, ..)) = WebSocket::<_, N>::accept(stream, options, |_| Ok(acceptance())).await {
        let _ = echo(&mut socket).await;
    }
}
