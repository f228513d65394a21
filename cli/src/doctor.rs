//! `doctor`: checks the way to a server step by step.

mod certificates;
mod probe;
mod report;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use multiwa_ws_core::handshake::{ClientRequest, HandshakeLimits, ResponseError};
use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Dialect, DisconnectReason, Envelope, ReconnectConfig};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{
    BuildError, Client, ClientTls, CloseCode, ConnectError, Disconnect, Endpoint, HandshakeError, WebSocket,
    WebSocketConfig, rustls,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connection::{CLOSE_LIMIT, Connection};
use crate::exit::{End, advice, error_of, why_lost};
use crate::signals::Interrupts;
use report::{Report, Verdict};

/// A deployed gateway ends the session of a wrong key a moment after the CONNECT, when it has looked the key up.
const KEY_CHECK: Duration = Duration::from_secs(2);

/// Checks step by step whether a server can be used, and says what to do next
///
/// The steps are names, tcp, tls, http, dialect and key. Each is printed with its result, its time and what was found. A step
/// that fails is the last one. Through a proxy, one step checks the whole connection.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  MULTIWA_WS_API_KEY=secret multiwa-ws doctor ws://127.0.0.1:3001/ws
  multiwa-ws doctor wss://gateway.example/ws --json | jq -r .next")]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Print each step as one line of JSON: step, result, ms, detail. The last line has next and exitCode
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), End> {
    let mut interrupts = Interrupts::new()?;
    let mut doctor = Doctor::new(&args)?;
    let result = tokio::select! {
        result = doctor.examine() => result,
        signal = interrupts.next() => return End::after_closing(Err(End::Signaled(signal)), false),
    };
    let code = result.as_ref().err().map_or(0, End::code);
    doctor.report.next(&doctor.next, code).await?;
    result
}

/// A TCP stream, or TLS over one.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Doctor<'a> {
    connection: &'a Connection,
    endpoint: Endpoint,
    request: ClientRequest,
    /// `None` for `ws`.
    tls: Option<ClientTls>,
    report: Report,
    /// What to do next.
    next: String,
}

/// Why a step failed.
struct Failed {
    reason: DisconnectReason,
    detail: String,
}

impl Failed {
    fn new(reason: DisconnectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl<'a> Doctor<'a> {
    fn new(args: &'a Args) -> Result<Self, End> {
        let connection = &args.connection;
        let endpoint = connection.endpoint()?;
        let request = connection.request(&endpoint)?;
        let tls = match endpoint.is_tls() {
            true => Some(connection.tls_or_default()?),
            false => None,
        };
        Ok(Self { connection, endpoint, request, tls, report: Report::new(args.json), next: String::new() })
    }

    async fn examine(&mut self) -> Result<(), End> {
        if self.connection.uses_proxy() {
            return self.examine_through_proxy().await;
        }
        let began = Instant::now();
        let addresses = self.names().await;
        let detail = |addresses: &Vec<_>| join(addresses.iter());
        let addresses = self.finish("names", began, addresses, detail).await?;

        let began = Instant::now();
        let stream = self.tcp(&addresses).await;
        let stream = self.finish("tcp", began, stream, |(_, address)| address.clone()).await?.0;

        let stream: Box<dyn Stream> = match self.tls.clone() {
            None => {
                self.report.step("tls", Verdict::Skipped, None, "not used: the scheme of the URL is ws").await?;
                Box::new(stream)
            }
            Some(tls) => {
                let began = Instant::now();
                let stream = self.tls(&tls, stream, &addresses).await;
                Box::new(self.finish("tls", began, stream, certificates::describe).await?)
            }
        };

        let began = Instant::now();
        let upgraded = self.http(stream).await;
        if let Err(Failed { reason: DisconnectReason::Refused { status: 401, .. }, .. }) = &upgraded {
            self.report.step("http", Verdict::Ok, Some(began.elapsed()), "HTTP status 401").await?;
            return self.finish("key", Instant::now(), upgraded, |_| String::new()).await.map(drop);
        }
        let may_be_socketio = matches!(&upgraded, Err(failed) if may_be_socketio(failed.reason));
        let socket = match self.finish("http", began, upgraded, |_| "101 Switching Protocols".to_owned()).await {
            Err(end) if may_be_socketio => return self.examine_socketio(&addresses, end).await,
            socket => socket?,
        };

        self.examine_session(socket).await
    }

    async fn names(&self) -> Result<Vec<SocketAddr>, Failed> {
        let lookup = lookup_host((self.endpoint.host(), self.endpoint.port()));
        let found = self.within(DisconnectReason::Dns, lookup).await?;
        let addresses: Vec<_> = found.map_err(|error| Failed::new(DisconnectReason::Dns, error.to_string()))?.collect();
        match addresses.is_empty() {
            true => Err(Failed::new(DisconnectReason::Dns, "the name has no address")),
            false => Ok(addresses),
        }
    }

    /// Connects to the first address that answers. Returns it as text, with the failures of the addresses before it.
    async fn tcp(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, String), Failed> {
        let mut failures = String::new();
        let mut reason = DisconnectReason::Io;
        for address in addresses {
            let error = match timeout(self.connection.timeout(), TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, format!("{address}{failures}"))),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    reason = DisconnectReason::ConnectTimeout;
                    "no answer in time".to_owned()
                }
            };
            failures.push_str(&format!("; {address}: {error}"));
        }
        Err(Failed::new(reason, failures.trim_start_matches("; ")))
    }

    async fn tls(
        &self,
        tls: &ClientTls,
        stream: TcpStream,
        addresses: &[SocketAddr],
    ) -> Result<TlsStream<TcpStream>, Failed> {
        let error = match self.handshake(tls, stream).await? {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let Some(untrusted) = certificate_error(&error) else {
            return Err(Failed::new(DisconnectReason::Tls, error.to_string()));
        };
        // A handshake that accepts every certificate shows the chain. Nothing is sent after it.
        let mut detail = untrusted.to_string();
        let any = ClientTls::builder().dangerous_accept_any_certificate().build();
        if let Ok(any) = any
            && let Ok((stream, _)) = self.tcp(addresses).await
            && let Ok(Ok(stream)) = self.handshake(&any, stream).await
        {
            detail = format!("{detail}; {}", certificates::describe(&stream));
        }
        Err(Failed::new(DisconnectReason::TlsCertificate, detail))
    }

    async fn handshake(&self, tls: &ClientTls, stream: TcpStream) -> Result<io::Result<TlsStream<TcpStream>>, Failed> {
        let name =
            self.endpoint.server_name().map_err(|error| Failed::new(DisconnectReason::Tls, error.to_string()))?;
        let connect = TlsConnector::from(tls.config().clone()).connect(name, stream);
        self.within(DisconnectReason::ConnectTimeout, connect).await
    }

    async fn http(&self, stream: Box<dyn Stream>) -> Result<WebSocket<Box<dyn Stream>>, Failed> {
        let limits = HandshakeLimits::new().timeout(self.connection.timeout());
        let config = WebSocketConfig::new().connection(self.connection.websocket()).handshake(limits);
        let connected = WebSocket::connect(stream, self.request.clone(), &config).await;
        connected.map(|(socket, _)| socket).map_err(|error| Failed::new(reason_of(&error), describe(&error)))
    }

    /// Waits for the connection ack, and says whether the key was accepted.
    async fn examine_session(&mut self, mut socket: WebSocket<Box<dyn Stream>>) -> Result<(), End> {
        let began = Instant::now();
        let first = timeout(self.connection.timeout(), first_message(&mut socket)).await;
        let key = if has_key(&self.request) { "accepted" } else { "none was given, and the server requires none" };
        match first {
            Ok(First::Message(kind)) if kind == "ack" => {
                let detail = "the documented WebSocket API";
                self.report.step("dialect", Verdict::Ok, Some(began.elapsed()), detail).await?;
                self.report.step("key", Verdict::Ok, None, key).await?;
            }
            // A client uses the connection all the same.
            Ok(First::Message(kind)) => {
                let detail = format!("a WebSocket whose first message is of type {kind:?}, and not the connection ack");
                self.report.step("dialect", Verdict::Unclear, Some(began.elapsed()), &detail).await?;
            }
            Err(_) => {
                let detail = "a WebSocket without a connection ack in time";
                self.report.step("dialect", Verdict::Unclear, Some(began.elapsed()), detail).await?;
            }
            // RFC 6455 section 7.4.1: a policy, which here can only be about the key.
            Ok(First::Closed(Some(1008))) => {
                let failed =
                    Failed::new(DisconnectReason::ClosedByPeer { code: Some(1008) }, "refused with close code 1008");
                return self.finish("key", began, Err(failed), |&()| String::new()).await;
            }
            Ok(First::Closed(code)) => {
                let reason = DisconnectReason::ClosedByPeer { code };
                let failed = Failed::new(reason, reason.to_string());
                return self.finish("dialect", began, Err(failed), |&()| String::new()).await;
            }
        }
        self.next = format!("multiwa-ws listen {} --profile PROFILE, with the same options", self.endpoint);
        // How the server closes is of no interest here.
        let _ = timeout(CLOSE_LIMIT, socket.close(CloseCode::NORMAL, "")).await;
        Ok(())
    }

    /// Asks a server that did not upgrade whether it speaks socket.io. `end` is the end for what it did.
    async fn examine_socketio(&mut self, addresses: &[SocketAddr], end: End) -> Result<(), End> {
        let began = Instant::now();
        let Ok((stream, _)) = self.tcp(addresses).await else { return Err(end) };
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => match self.handshake(tls, stream).await {
                Ok(Ok(stream)) => Box::new(stream),
                _ => return Err(end),
            },
        };
        let asked = timeout(self.connection.timeout(), probe::speaks_socketio(stream, &self.request.host)).await;
        if !asked.unwrap_or(false) {
            return Err(end);
        }
        self.report.step("dialect", Verdict::Ok, Some(began.elapsed()), "socket.io, as a deployed gateway").await?;
        let began = Instant::now();
        let connected = self.connect(Dialect::SocketIo).await?;
        let accepted = match connected {
            // The gateway checks the key after it has acknowledged the CONNECT, and then ends the session.
            Ok(client) => match timeout(KEY_CHECK, client.closed()).await {
                Ok(_) => Err(client.status().last_disconnect),
                Err(_) => Ok(client),
            },
            Err(last) => Err(Some(last)),
        };
        let accepted = accepted.map_err(|last| match last {
            Some(last) => Failed::new(last.reason(), why_lost(&last)),
            None => Failed::new(DisconnectReason::Eof, "the server ended the session"),
        });
        let client = self.finish("key", began, accepted, |_| "accepted".to_owned()).await?;
        client.close().await;
        self.next =
            format!("multiwa-ws listen {} --dialect socket.io --profile PROFILE, with the same options", self.endpoint);
        Ok(())
    }

    /// Connects a client once.
    async fn connect(&self, dialect: Dialect) -> Result<Result<Client, Disconnect>, End> {
        let builder = self.connection.client(ReconnectConfig::new().enabled(false), dialect)?;
        match builder.connect().await {
            Ok((client, _)) => Ok(Ok(client)),
            Err(BuildError::Connect(ConnectError::Disconnected(last))) => Ok(Err(last)),
            Err(error) => Err(error.into()),
        }
    }

    async fn examine_through_proxy(&mut self) -> Result<(), End> {
        let began = Instant::now();
        let connected = self.connect(Dialect::Document).await?;
        let connected = connected.map_err(|last| Failed::new(last.reason(), why_lost(&last)));
        let client = self.finish("proxy", began, connected, |_| "connected through the proxy".to_owned()).await?;
        self.next = format!("multiwa-ws listen {} --profile PROFILE, with the same options", self.endpoint);
        let _ = timeout(CLOSE_LIMIT, client.close()).await;
        Ok(())
    }

    /// Reports the result of a step.
    async fn finish<T>(
        &mut self,
        step: &str,
        began: Instant,
        result: Result<T, Failed>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, End> {
        let took = Some(began.elapsed());
        match result {
            Ok(found) => {
                self.report.step(step, Verdict::Ok, took, &describe(&found)).await?;
                Ok(found)
            }
            Err(Failed { reason, detail }) => {
                self.report.step(step, Verdict::Failed, took, &detail).await?;
                let advice =
                    advice(reason, &detail).unwrap_or("look at the log of the server, or of a proxy before it");
                advice.clone_into(&mut self.next);
                Err(End::for_reason(reason, format!("the step {step} failed")))
            }
        }
    }

    async fn within<F: Future>(&self, reason: DisconnectReason, future: F) -> Result<F::Output, Failed> {
        timeout(self.connection.timeout(), future).await.map_err(|_| Failed::new(reason, "no answer in time"))
    }
}

/// The first message of a connection, or its end.
enum First {
    /// Its `type`.
    Message(String),
    /// The close code, if there is one.
    Closed(Option<u16>),
}

async fn first_message(socket: &mut WebSocket<Box<dyn Stream>>) -> First {
    loop {
        match socket.next().await {
            Ok(Some(received)) => match received.event {
                Event::Text(text) => {
                    let kind = Envelope::parse(text, DEFAULT_MAX_DEPTH).ok().and_then(|envelope| {
                        let kind = envelope.kind()?;
                        Some(kind.into_owned())
                    });
                    return First::Message(kind.unwrap_or_else(|| "none".to_owned()));
                }
                Event::Close(frame) => return First::Closed(frame.map(|frame| frame.code.get())),
                _ => {}
            },
            Ok(None) | Err(_) => return First::Closed(None),
        }
    }
}

/// Whether a server that answers the upgrade in this way may speak socket.io. Such a server ends the connection, or a proxy
/// before it answers with a status for a path that does not exist.
fn may_be_socketio(reason: DisconnectReason) -> bool {
    !matches!(
        reason,
        DisconnectReason::Refused { status: 401 | 403 | 300..=399, .. } | DisconnectReason::UpgradeTimeout
    )
}

/// Whether a request carries a key: see `protocol.md`, Transport.
fn has_key(request: &ClientRequest) -> bool {
    let in_header = |name| request.headers.get_str(name).is_some();
    request.target.contains("apiKey=") || in_header("X-API-Key") || in_header("Authorization")
}

fn reason_of(error: &HandshakeError) -> DisconnectReason {
    match error {
        HandshakeError::Refused(response) => {
            DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() }
        }
        HandshakeError::Response(ResponseError::TimedOut) => DisconnectReason::UpgradeTimeout,
        HandshakeError::Response(ResponseError::NoAnswer | ResponseError::Truncated) => DisconnectReason::Eof,
        HandshakeError::Response(_) => DisconnectReason::BadUpgrade,
        _ => DisconnectReason::Io,
    }
}

fn describe(error: &HandshakeError) -> String {
    let HandshakeError::Refused(response) = error else {
        return match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let status = format!("HTTP status {}", response.status);
    // A query may hold a key.
    let location = response.location().and_then(|location| location.split('?').next());
    match (location, error_of(response)) {
        (Some(location), _) => format!("{status}, a redirect to {location}"),
        (None, Some(error)) => format!("{status}: {error}"),
        (None, None) => status,
    }
}

fn certificate_error(error: &io::Error) -> Option<&rustls::Error> {
    let error = error.get_ref()?.downcast_ref()?;
    matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented).then_some(error)
}

fn join(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A time in milliseconds, with three digits after the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
