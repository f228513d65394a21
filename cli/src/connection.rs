//! What every command that connects to a server is told, and the client that it makes of it.

use std::path::PathBuf;
use std::time::Duration;

use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::{ClientConfig, ReconnectConfig};
use multiwa_ws_tokio::{Client, ClientBuilder, ClientTls, Endpoint, Proxy};

use crate::args;
use crate::exit::End;
use crate::output::note;

/// How long closing may take: less than a client waits before it cuts a connection itself, 5 s, so that it is known whether
/// the server has answered.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_secs(4);

/// Where to connect to, and as whom.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// The server: ws://HOST:PORT/ws or wss://HOST:PORT/ws; without a port it is 80 or 443
    // A string, as the headers below: what is wrong with it must be said without showing it, for it may hold a key.
    url: String,
    /// The key that the server asks for; other users of the machine cannot see it in the environment
    #[arg(long, value_name = "KEY", env = "MULTIWA_WS_API_KEY", hide_env_values = true, value_parser = args::api_key)]
    api_key: Option<ApiKey>,
    /// A further header of the request, such as `Origin: https://example.org`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A file of certificates in PEM that are trusted instead of those of the system; may be repeated
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Vec<PathBuf>,
    /// Accept any certificate: whoever is on the way can read and change everything, the key included. For tests
    #[arg(long, conflicts_with = "authorities")]
    insecure: bool,
    /// The HTTP proxy to connect through: http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    // A string, as the URL: it may hold a password.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Connect through the proxy that https_proxy, http_proxy or all_proxy names, but for the hosts in no_proxy
    #[arg(long, conflicts_with = "proxy")]
    proxy_env: bool,
    /// How long connecting may take, and each answer of the server
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = args::duration)]
    timeout: Duration,
}

impl Connection {
    /// The server, to be shown: without its query, which may hold a key.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, End> {
        self.url.parse().map_err(|error| End::Usage(format!("the URL cannot be used: {error}")))
    }

    /// A client that is to be started.
    pub(crate) fn client(&self, reconnect: ReconnectConfig) -> Result<ClientBuilder, End> {
        let mut builder = Client::builder(self.url.as_str()).session(ClientConfig {
            connect_timeout: self.timeout,
            upgrade_timeout: self.timeout,
            ack_timeout: Some(self.timeout),
            request_timeout: self.timeout,
            // As many as a server has subscriptions by default: each is a request, and nothing else is asked for.
            max_requests: 256,
            reconnect,
            ..ClientConfig::default()
        });
        if let Some(key) = &self.api_key {
            builder = builder.api_key(key.expose());
        }
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(End::Usage("write a header as --header 'NAME: VALUE'".to_owned()));
            };
            let (name, value) = (name.trim(), value.trim());
            builder = match name.eq_ignore_ascii_case("Origin") {
                true => builder.origin(value),
                false => builder.header(name, value),
            };
        }
        if let Some(proxy) = &self.proxy {
            let proxy: Proxy = proxy.parse().map_err(|error| End::Usage(format!("--proxy cannot be used: {error}")))?;
            builder = builder.proxy(proxy);
        } else if self.proxy_env {
            builder = builder.proxy_from_env();
        }
        if let Some(tls) = self.tls()? {
            builder = builder.tls(tls);
        }
        Ok(builder)
    }

    /// Other than the usual TLS, if that is wished.
    fn tls(&self) -> Result<Option<ClientTls>, End> {
        let mut builder = ClientTls::builder();
        if self.insecure {
            note(
                "WARNING: the certificate of the server is not checked: whoever is on the way can read and change all",
            );
            builder = builder.dangerous_accept_any_certificate();
        } else if self.authorities.is_empty() {
            return Ok(None);
        }
        for file in &self.authorities {
            builder = builder.roots_file(file);
        }
        builder.build().map(Some).map_err(|error| End::usage("--ca cannot be used", &error))
    }
}
