//! Sends back each message that it receives, case by case. The Autobahn suite tests this client.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use futures_util::{TryStreamExt, stream};
use multiwa_ws_async_std::AsyncStd;
use multiwa_ws_core::websocket::{Event, Received};
use multiwa_ws_driver::{Net, WebSocket, WebSocketConfig};
use multiwa_ws_testkit::echo::{Runtime, echo, exit_code, options, request};
use multiwa_ws_tokio::Tokio;
use url::Url;

/// Runs every case of a fuzzing server, sending back each message, and lets the server write its reports.
#[derive(Parser)]
struct Arguments {
    /// The runtime to run on
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    runtime: Runtime,
    /// The name in the reports
    #[arg(long, default_value = "multiwa-ws")]
    agent: String,
    /// How many cases to run at once
    #[arg(long, default_value = "1")]
    parallelism: NonZeroUsize,
    /// The fuzzing server
    #[arg(value_name = "ws://HOST:PORT", default_value = "ws://127.0.0.1:9001", value_parser = parse_url)]
    url: Url,
}

fn parse_url(text: &str) -> Result<Url, Box<dyn Error + Send + Sync>> {
    let url: Url = text.parse()?;
    if url.scheme() == "ws" { Ok(url) } else { Err("the URL must begin with ws://".into()) }
}

fn main() -> ExitCode {
    let Arguments { runtime, agent, parallelism, url } = Arguments::parse();
    let suite = Suite { url, agent, options: options() };
    exit_code(match runtime {
        Runtime::AsyncStd => async_std::task::block_on(suite.run::<AsyncStd>(parallelism)),
        Runtime::Tokio => tokio::runtime::Runtime::new()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(suite.run::<Tokio>(parallelism))),
    })
}

/// A fuzzing server, and how to talk to it.
struct Suite {
    url: Url,
    agent: String,
    options: WebSocketConfig,
}

impl Suite {
    async fn run<N: Net>(&self, parallelism: NonZeroUsize) -> Result<(), Box<dyn Error>> {
        let count = self.case_count::<N>().await?;
        println!("running {count} cases");
        stream::iter((1..=count).map(Ok))
            .try_for_each_concurrent(parallelism.get(), |case| self.run_case::<N>(case))
            .await?;
        self.update_reports::<N>().await
    }

    async fn case_count<N: Net>(&self) -> Result<u32, Box<dyn Error>> {
        let mut socket = self.connect::<N>("/getCaseCount", &[]).await?;
        let mut count = None;
        while let Some(Received { event, .. }) = socket.next().await? {
            if let Event::Text(text) = event {
                count = Some(text.parse()?);
            }
        }
        count.ok_or_else(|| "the server sent no number of cases".into())
    }

    async fn run_case<N: Net>(&self, case: u32) -> Result<(), Box<dyn Error>> {
        let query = [("case", case.to_string()), ("agent", self.agent.clone())];
        let mut socket = self.connect::<N>("/runCase", &query).await?;
        // The suite decides whether the connection ended correctly.
        let _ = echo(&mut socket).await;
        Ok(())
    }

    async fn update_reports<N: Net>(&self) -> Result<(), Box<dyn Error>> {
        let mut socket = self.connect::<N>("/updateReports", &[("agent", self.agent.clone())]).await?;
        // The suite writes its reports and ends. Some versions send no Close frame.
        while let Ok(Some(_)) = socket.next().await {}
        Ok(())
    }

    async fn connect<N: Net>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<WebSocket<N::TcpStream, N>, Box<dyn Error>> {
        let addresses = self.url.socket_addrs(|| None)?;
        let stream = N::connect(*addresses.first().ok_or("the host has no address")?).await?;
        let mut request = request(self.url.authority(), path);
        for (name, value) in query {
            request.append_query(name, value);
        }
        let (socket, _) = WebSocket::connect(stream, request, &self.options).await?;
        Ok(socket)
    }
}
