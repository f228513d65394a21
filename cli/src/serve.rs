//! `serve`: a server that publishes the events on standard input.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::websocket::Config;
use multiwa_ws_tokio::{Origin, Publisher, Server, ServerBuilder, ServerTls, SlowReader, TrustedProxy};
use tokio::io::{BufReader, stdin};
use tokio::time::sleep;

use crate::events::publish_lines;
use crate::exit::End;
use crate::generator::{Generator, PROFILES, Rate};
use crate::log::Log;
use crate::output::note;
use crate::signals::{Hangups, Interrupts};
use crate::text::without_mark;
use crate::values;

/// Runs a server that publishes the events on standard input
///
/// Each line is an event in JSON: {"profileId":"p","event":"message.received","data":{...},"timestamp":"..."}. Without a
/// timestamp, the current time is used; a profileId of null means every profile. An event reaches the clients that have
/// subscribed before it is read. The server continues after the end of the input.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  multiwa-ws serve --api-key secret --demo 2
  multiwa-ws serve --api-key secret --wait-for-listeners 1 < events.jsonl
  tail -f events.jsonl | multiwa-ws serve --listen 0.0.0.0:3001 --api-keys-file keys.txt
  multiwa-ws serve --listen 0.0.0.0:3001 --api-keys-file keys.txt --tls-cert chain.pem --tls-key key.pem
  multiwa-ws serve --api-key secret --allow-origin https://dashboard.example.org")]
pub(crate) struct Args {
    /// The address to listen on; with port 0 the server chooses a free port and prints it
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
    /// The path of the WebSocket endpoint
    #[arg(long, value_name = "PATH", default_value = "/ws", value_parser = values::path)]
    path: String,
    /// A key that clients may use; may be repeated. Without any key, the server accepts every client
    #[arg(
        long = "api-key",
        value_name = "KEY",
        env = "MULTIWA_WS_API_KEY",
        hide_env_values = true,
        value_parser = values::api_key
    )]
    api_keys: Vec<ApiKey>,
    /// A file of additional keys, one per line. SIGHUP reloads it and closes the connections of removed keys
    #[arg(long, value_name = "FILE")]
    api_keys_file: Option<PathBuf>,
    /// Use TLS (wss) with this certificate chain: a PEM file with the server's own certificate first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate: a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// An allowed origin of web pages, such as `https://example.org`; may be repeated. Without any, all are allowed
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origins: Vec<Origin>,
    /// A host name that clients may use for this server, in addition to localhost; may be repeated
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
    /// The largest event, in bytes with its envelope, and the longest line. By default clients accept 1048576 bytes; the
    /// default here is smaller, so that members that a later version adds to the envelope still fit
    #[arg(long, value_name = "BYTES", default_value_t = MAX_MESSAGE, value_parser = values::message_len)]
    max_message: usize,
    /// Read standard input only after this many clients have subscribed
    #[arg(long, value_name = "N")]
    wait_for_listeners: Option<NonZeroUsize>,
    /// The largest number of connected clients
    #[arg(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,
    /// The largest number of concurrent handshakes of one address [default: 256]; an IPv6 /64 network counts as one
    /// address
    #[arg(long, value_name = "N")]
    handshakes_per_address: Option<NonZeroUsize>,
    /// A proxy, or a network of proxies such as 10.0.0.0/8, whose X-Forwarded-For or Forwarded is trusted; may be
    /// repeated
    #[arg(long = "trusted-proxy", value_name = "ADDR[/BITS]")]
    trusted_proxies: Vec<TrustedProxy>,
    /// What to do with clients that read too slowly
    #[arg(long, value_name = "POLICY", value_enum, default_value = "close")]
    slow_reader: Policy,
    /// Publish generated events, this many per second
    #[arg(long, value_name = "RATE")]
    demo: Option<Rate>,
    /// Report each client that connects, disconnects or is refused
    #[arg(long, short)]
    verbose: bool,
}

/// The default of clients is 1 MiB.
const MAX_MESSAGE: usize = (1 << 20) - 512;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Close them with code 1013
    Close,
    /// Drop their oldest events
    DropOldest,
    /// Drop their newest events
    DropNewest,
}

pub(crate) async fn run(args: Args) -> Result<(), End> {
    let mut interrupts = Interrupts::new()?;
    let mut hangups = Hangups::new(args.api_keys_file.is_some())?;
    let mut builder = builder(&args);
    let tls = args.tls()?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    if let Some(tls) = tls {
        builder = builder.tls(tls);
    }
    let keys = args.keys_at_start()?;
    let has_keys = keys.is_some();
    match keys {
        Some(keys) => builder = builder.api_keys(keys),
        None => note("WARNING: no API key is set, so the server accepts every client: pass --api-key to require a key"),
    }
    let bound = builder.bind(args.listen).await;
    let server = bound.map_err(|error| End::Failed(format!("cannot listen on {}: {error}", args.listen)))?;
    let server = Arc::new(server);
    let url = url(scheme, &server, &args.path)?;
    note(&format!("listening on {url}"));
    args.invite(&url, has_keys);

    tokio::spawn(publish_input(server.clone(), args.wait_for_listeners, args.max_message));
    let publisher = server.publisher();
    let result = tokio::select! {
        result = publish_demo(args.demo, &publisher) => result,
        () = async { loop { hangups.next().await; args.reload_keys(&server); } } => Ok(()),
        signal = interrupts.next() => Err(End::Signaled(signal)),
    };
    note("shutting down");
    match (result, interrupts.last(SHUTDOWN * 2, server.shutdown(SHUTDOWN)).await) {
        // Only a signal is a regular end of the server.
        (Err(End::Signaled(_)), Some(0)) => Ok(()),
        (result, _) => result,
    }
}

/// How long clients may take to disconnect.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(5);

/// The URL of a server.
pub(crate) fn url(scheme: &str, server: &Server, path: &str) -> Result<String, End> {
    let address = server.local_addr().ok_or_else(|| End::Failed("the server has no address".to_owned()))?;
    Ok(format!("{scheme}://{address}{path}"))
}

fn builder(args: &Args) -> ServerBuilder {
    // Room for several events of the largest length, or the first large one would close every client.
    let max_queued = Config::new().get_max_queued().max(args.max_message.saturating_mul(4));
    let mut builder = Server::builder()
        .path(&args.path)
        .slow_reader(args.slow_reader.into())
        .websocket(Config::new().max_queued(max_queued));
    for origin in &args.allow_origins {
        builder = builder.allow_origin(origin.clone());
    }
    for host in &args.allow_hosts {
        builder = builder.allow_host(host);
    }
    if let Some(connections) = args.max_connections {
        builder = builder.max_connections(connections.get());
    }
    if let Some(handshakes) = args.handshakes_per_address {
        builder = builder.max_handshakes_per_address(handshakes.get());
    }
    let log = Log::new(args.verbose, args.slow_reader == Policy::Close);
    builder.trusted_proxies(args.trusted_proxies.iter().copied()).observe(move |observed| log.report(observed))
}

/// Publishes standard input, after `listeners` clients have subscribed.
async fn publish_input(server: Arc<Server>, listeners: Option<NonZeroUsize>, max_message: usize) {
    /// How often to count the subscribed clients.
    const INTERVAL: Duration = Duration::from_millis(20);
    if let Some(listeners) = listeners {
        note(&format!("standard input waits for listeners: {listeners}"));
        while server.subscribers() < listeners.get() {
            sleep(INTERVAL).await;
        }
    }
    let publisher = server.publisher();
    // Until the input ends, which may be after the shutdown, this task must not hold the server.
    drop(server);
    publish_lines(BufReader::new(stdin()), &publisher, max_message).await;
}

/// Publishes generated events indefinitely if `rate` is set. Otherwise it never returns.
async fn publish_demo(rate: Option<Rate>, publisher: &Publisher) -> Result<(), End> {
    let Some(rate) = rate else { return std::future::pending().await };
    let mut generator = Generator::default();
    let mut ticks = rate.ticks();
    loop {
        ticks.tick().await;
        generator.publish(publisher).await?;
    }
}

impl Args {
    /// Prints a command that shows the events of this server. It has a placeholder for the key, which is never shown.
    fn invite(&self, url: &str, has_keys: bool) {
        let mut command = format!("multiwa-ws listen {}", reachable(url));
        let [demo, ..] = PROFILES;
        let profile = if self.demo.is_some() { demo } else { "PROFILE" };
        command.push_str(&format!(" --profile {profile}"));
        if has_keys {
            command.push_str(" --api-key KEY");
        }
        if let Some(chain) = &self.tls_cert {
            command.push_str(&format!(" --ca {}", chain.display()));
        }
        note("to print its events, run in another terminal:");
        note(&format!("  {command}"));
    }

    /// Like `keys`, but a file without a key is an error: it would refuse every client, or all but those of another key.
    fn keys_at_start(&self) -> Result<Option<Vec<ApiKey>>, End> {
        if let Some(file) = &self.api_keys_file
            && read_keys(file)?.is_empty()
        {
            return Err(End::Usage(format!("{} has no key: write one key on each line", file.display())));
        }
        self.keys()
    }

    /// All keys that clients may use. `None` accepts every client.
    fn keys(&self) -> Result<Option<Vec<ApiKey>>, End> {
        let mut keys = self.api_keys.clone();
        match &self.api_keys_file {
            Some(file) => keys.extend(read_keys(file)?),
            None if keys.is_empty() => return Ok(None),
            None => {}
        }
        Ok(Some(keys))
    }

    /// The TLS settings, if a certificate is configured.
    fn tls(&self) -> Result<Option<ServerTls>, End> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let tls = ServerTls::files(chain, key).build();
        tls.map(Some).map_err(|error| End::usage("the certificate and its key cannot be used", &error))
    }

    /// If the keys cannot be read, the current keys stay in use.
    fn reload_keys(&self, server: &Server) {
        match self.keys() {
            Ok(keys) => {
                let keys = keys.unwrap_or_default();
                let count = keys.len();
                let closed = server.replace_api_keys(keys);
                note(&format!("API keys reloaded: {count} keys, {closed} connections closed"));
            }
            Err(error) => note(&format!("the API keys are unchanged: {error}")),
        }
    }
}

/// The URL with which this machine reaches the server. An unspecified address is only one to listen on.
fn reachable(url: &str) -> String {
    url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
}

/// Reads a file of keys, one per line. Empty lines and lines that begin with `#` are ignored.
fn read_keys(file: &Path) -> Result<Vec<ApiKey>, End> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| End::Usage(format!("the keys in {} cannot be read: {error}", file.display())))?;
    let lines = without_mark(&text).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(ApiKey::new).collect())
}

impl From<Policy> for SlowReader {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Close => Self::Close,
            Policy::DropOldest => Self::DropOldest,
            Policy::DropNewest => Self::DropNewest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_over_loopback() {
        assert_eq!(reachable("ws://0.0.0.0:3001/ws"), "ws://127.0.0.1:3001/ws");
        assert_eq!(reachable("wss://[::]:3001/ws"), "wss://[::1]:3001/ws");
        assert_eq!(reachable("ws://10.0.0.0:3001/ws"), "ws://10.0.0.0:3001/ws");
    }
}
