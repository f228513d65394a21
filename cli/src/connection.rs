//! The arguments of every command that connects to a server, and the client built from them.

use std::path::PathBuf;
use std::time::Duration;

use multiwa_ws_core::handshake::{ApiKey, ClientRequest};
use multiwa_ws_core::session::{ClientConfig, Dialect, ReconnectConfig};
use multiwa_ws_core::websocket::Config;
use multiwa_ws_tokio::{Client, ClientBuilder, ClientTls, Endpoint, KeepAlive, KeyPlacement, Proxy};

use crate::dialect::{self, Choice};
use crate::exit::End;
use crate::output::note;
use crate::values;

/// How long closing may take. It is less than the close timeout of the client, 5 s, so that the program knows whether the
/// server has answered.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_secs(4);

/// The server to connect to, and the credentials.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// The server: ws://HOST:PORT/ws or wss://HOST:PORT/ws; the default port is 80 or 443
    // A string, like the headers below: an error message must not show the value, since it may contain a key.
    url: String,
    /// The API key. Prefer the environment variable: other users of the machine can see the arguments of a program
    #[arg(long, value_name = "KEY", env = "MULTIWA_WS_API_KEY", hide_env_values = true, value_parser = values::api_key)]
    api_key: Option<ApiKey>,
    /// An additional header of the request, such as `Origin: https://example.org`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A PEM file of certificates to trust instead of those of the system; may be repeated
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Vec<PathBuf>,
    /// Accept any certificate, for tests only. An attacker on the network can then read and change everything, including
    /// the key
    #[arg(long, conflicts_with = "authorities")]
    insecure: bool,
    /// The HTTP proxy to connect through: http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT
    // A string, like the URL: it may contain a password.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Connect through the proxy in https_proxy, http_proxy or all_proxy, except for the hosts in no_proxy
    #[arg(long, conflicts_with = "proxy")]
    proxy_env: bool,
    /// The time limit to connect, and for each answer of the server
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    timeout: Duration,
    /// The largest message to accept, in bytes [default: 1048576]. After a larger one the connection is closed and opened
    /// again
    #[arg(long, value_name = "BYTES", value_parser = values::message_len)]
    max_message: Option<usize>,
    /// What the server speaks. With socket.io, the path /ws of the URL is left out
    #[arg(long, value_enum, default_value = "document")]
    pub(crate) dialect: Choice,
}

impl Connection {
    /// The server for messages to the user: without the query, which may contain a key.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, End> {
        self.url.parse().map_err(|error| End::Usage(format!("the URL cannot be used: {error}")))
    }

    /// The builder of the client.
    pub(crate) fn client(&self, reconnect: ReconnectConfig, dialect: Dialect) -> Result<ClientBuilder, End> {
        let session = ClientConfig::new()
            .connect_timeout(self.timeout)
            .upgrade_timeout(self.timeout)
            .ack_timeout(self.timeout)
            .request_timeout(self.timeout)
            // As many as the subscriptions that a server allows by default: each one is a request, and the program sends
            // no others.
            .max_requests(256)
            .reconnect(reconnect)
            .dialect(dialect);
        let mut builder = Client::builder(dialect::url(&self.url, dialect)).session(session);
        if let Some(key) = &self.api_key {
            builder = builder.api_key(key.expose());
        }
        for (name, value) in self.split_headers()? {
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
        if self.max_message.is_some() {
            builder = builder.websocket(self.websocket());
        }
        Ok(builder)
    }

    /// The upgrade request that the client sends.
    pub(crate) fn request(&self, endpoint: &Endpoint) -> Result<ClientRequest, End> {
        let mut request = endpoint.request();
        if let Some(key) = &self.api_key {
            let placed = KeyPlacement::default().place(key, &mut request);
            placed.map_err(|error| End::Usage(format!("the key cannot be sent: {error}")))?;
        }
        for (name, value) in self.split_headers()? {
            match name.eq_ignore_ascii_case("Origin") {
                true => request.origin = Some(value.to_owned()),
                false => {
                    let appended = request.headers.append(name, value);
                    appended.map_err(|error| End::Usage(format!("a header cannot be sent: {error}")))?;
                }
            }
        }
        request.check().map_err(|error| End::Usage(format!("the request cannot be sent: {error}")))?;
        Ok(request)
    }

    /// The limits of a connection. The session has a ping of its own.
    pub(crate) fn websocket(&self) -> Config {
        let config = Config::new().keep_alive(KeepAlive::OFF);
        match self.max_message {
            Some(len) => config.max_message_len(len),
            None => config,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn uses_proxy(&self) -> bool {
        self.proxy.is_some() || self.proxy_env
    }

    pub(crate) fn tls_or_default(&self) -> Result<ClientTls, End> {
        let default = || ClientTls::builder().build().map_err(|error| End::usage("TLS cannot be used", &error));
        self.tls()?.map_or_else(default, Ok)
    }

    /// Each name and value.
    fn split_headers(&self) -> Result<Vec<(&str, &str)>, End> {
        let mut headers = Vec::new();
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(End::Usage("write a header as --header 'NAME: VALUE'".to_owned()));
            };
            headers.push((name.trim(), value.trim()));
        }
        Ok(headers)
    }

    /// The TLS settings, if they differ from the default.
    fn tls(&self) -> Result<Option<ClientTls>, End> {
        let mut builder = ClientTls::builder();
        if self.insecure {
            note(
                "WARNING: the certificate of the server is not checked: an attacker on the network can read and change \
                 everything",
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
