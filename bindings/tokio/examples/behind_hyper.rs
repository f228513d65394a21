//! A `hyper` server with a WebSocket endpoint behind TLS, and a client of it.
//!
//! Run `cargo run --package multiwa-ws-tokio --features http --example behind_hyper`.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use multiwa_ws_tokio::{ApiKey, Client, ClientTls, RawJson, Server, ServerTls, Update};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers a request that came over a stream `S`.
async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: Arc<Server>,
    address: SocketAddr,
    mut request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != "/ws" {
        return Response::new(Full::from(format!("{} clients", server.connections())));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (response, ticket) = server.upgrade(&request, Some(address)).await;
    if let Some(ticket) = ticket {
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await
                && let Ok(parts) = upgraded.downcast::<TokioIo<S>>()
            {
                ticket.serve(parts.io.into_inner(), &parts.read_buf).await;
            }
        });
    }
    response
}

/// Serves one connection over `stream`, which may be plain TCP or TLS.
async fn serve_connection<S>(stream: S, server: Arc<Server>, address: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = |request| {
        let response = answer::<S>(server.clone(), address, request);
        async { Ok::<_, Infallible>(response.await) }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new()) // for hyper's limit of the time for a request
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    // An error ends this connection only.
    let _ = connection.await;
}

/// Accepts connections, with TLS if `tls` is given.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, server: Arc<Server>) -> io::Result<()> {
    loop {
        let (stream, address) = listener.accept().await?;
        let (tls, server) = (tls.clone(), server.clone());
        tokio::spawn(async move {
            match tls {
                None => serve_connection(stream, server, address).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve_connection(stream, server, address).await;
                    }
                }
            }
        });
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let server = Arc::new(Server::builder().api_keys([ApiKey::new("secret")]).build());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("wss://localhost:{}/ws", listener.local_addr()?.port());
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let tls = ServerTls::pem(certificate.cert.pem(), certificate.signing_key.serialize_pem()).build()?;
    tokio::spawn(serve(listener, Some(TlsAcceptor::from(tls.config().clone())), server.clone()));

    let tls = ClientTls::builder().roots_pem(certificate.cert.pem()).build()?;
    let builder = Client::builder(url).tls(tls).api_key("secret").subscribe("profile-123", ["*"]);
    let (client, mut updates) = builder.connect().await?;
    let data = RawJson::parse(r#"{"status":"connected"}"#)?;
    server.publisher().publish("session.status", Some("profile-123"), &data).await?;
    while let Some(update) = updates.next().await {
        if let Update::Event(event) = update {
            println!("{} {}", event.name(), event.data().unwrap_or("null"));
            break;
        }
    }
    client.close().await;
    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
