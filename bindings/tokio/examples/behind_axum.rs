//! An `axum` application with a WebSocket endpoint behind TLS, and a client of it.
//!
//! Run `cargo run --package multiwa-ws-tokio --features http --example behind_axum`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use multiwa_ws_tokio::{ApiKey, Client, ClientTls, RawJson, Server, ServerTls, Update};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The application: a page, and the WebSocket endpoint.
pub(crate) fn app(server: Arc<Server>) -> Router {
    Router::new().route("/", get(clients)).route("/ws", get(ws)).with_state(server)
}

async fn clients(State(server): State<Arc<Server>>) -> String {
    format!("{} clients", server.connections())
}

async fn ws(
    State(server): State<Arc<Server>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let (response, ticket) = server.upgrade(&request, Some(address)).await;
    if let Some(ticket) = ticket {
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                ticket.serve(TokioIo::new(upgraded), &[]).await;
            }
        });
    }
    response
}

/// Accepts TLS connections. Without TLS, this function is one line:
/// `axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await`.
pub(crate) async fn serve_tls(listener: TcpListener, tls: TlsAcceptor, app: Router) -> io::Result<()> {
    loop {
        let (stream, address) = listener.accept().await?;
        let (tls, app) = (tls.clone(), app.clone().layer(Extension(ConnectInfo(address))));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new()) // for hyper's limit of the time for a request
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
                .with_upgrades();
            // An error ends this connection only.
            let _ = connection.await;
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
    tokio::spawn(serve_tls(listener, TlsAcceptor::from(tls.config().clone()), app(server.clone())));

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
