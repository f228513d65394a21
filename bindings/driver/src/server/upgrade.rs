//! Clients whose upgrade request another HTTP server has read.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::Version;
use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    HandshakeLimits, Headers, HttpVersion, Rejection, RequestError, UpgradeRequest, Upgraded,
};
use multiwa_ws_core::server::Connection;
use multiwa_ws_core::websocket::Negotiated;

use super::admission::{internal_error, undecided};
use super::connection::{Task, unless_aborted};
use super::entry::Entry;
use super::handle::Server;
use super::observer::{Observed, Peer};
use super::permissions::Permissions;
use super::publisher::wall_clock;
use super::registry::Denied;
use super::shared::Shared;
use super::timeout::within;
use crate::buffer::ReadBuffer;
use crate::sync::Mutex;
use crate::{Io, Net, Runtime, lock};

impl<R: Net> Server<R> {
    /// Decides on an upgrade request that `hyper`, `axum` or another HTTP server has read. Returns the response to send,
    /// and a ticket if the client was accepted.
    ///
    /// The checks are those of a client of the server's own listener: the rules of RFC 6455, the limits, the handshake
    /// permits, the connection rate, the host, the origin, the key and [`authorize`](super::ServerBuilder::authorize).
    /// There are three differences:
    /// - The [path](super::ServerBuilder::path) is not compared, because a router has chosen this handler by its path.
    /// - A client gets 503 if no handshake permit is free. It does not wait.
    /// - A server without a listener does not know whether it is on a loopback address. List the hosts with
    ///   [`allow_host`](super::ServerBuilder::allow_host) to prevent DNS rebinding.
    ///
    /// Only HTTP/1.1 has this upgrade. An HTTP/2 request gets 505.
    ///
    /// `address` is the address of the client, as in [`serve_stream`](Self::serve_stream). The body of the response is
    /// made from bytes: `axum::body::Body`, `http_body_util::Full<Bytes>` and `Vec<u8>` are such types. The future does
    /// not borrow the request. Dropping it refuses the client without a response.
    ///
    /// # With axum
    /// ```ignore
    /// async fn ws(
    ///     State(server): State<Arc<Server>>,
    ///     ConnectInfo(address): ConnectInfo<SocketAddr>,
    ///     mut request: Request,
    /// ) -> Response {
    ///     let upgrade = hyper::upgrade::on(&mut request);
    ///     let (response, ticket) = server.upgrade(&request, Some(address)).await;
    ///     if let Some(ticket) = ticket {
    ///         tokio::spawn(async move {
    ///             if let Ok(upgraded) = upgrade.await {
    ///                 ticket.serve(TokioIo::new(upgraded), &[]).await;
    ///             }
    ///         });
    ///     }
    ///     response
    /// }
    /// ```
    /// The stream `Upgraded` first returns the bytes that hyper has read after the request, so the read buffer is empty
    /// here.
    ///
    /// # With hyper
    /// The connection must allow upgrades: `http1::Builder::new().serve_connection(io, service).with_upgrades()`. The
    /// code is the same as with axum. To read from the stream `S` itself, without the box and the virtual calls of
    /// `Upgraded`, take it apart:
    /// ```ignore
    /// let upgrade = hyper::upgrade::on(&mut request);
    /// let (response, ticket) = server.upgrade(&request, Some(address)).await;
    /// if let Some(ticket) = ticket {
    ///     tokio::spawn(async move {
    ///         if let Ok(upgraded) = upgrade.await
    ///             && let Ok(parts) = upgraded.downcast::<TokioIo<S>>()
    ///         {
    ///             ticket.serve(parts.io.into_inner(), &parts.read_buf).await;
    ///         }
    ///     });
    /// }
    /// response
    /// ```
    /// The examples `behind_axum` and `behind_hyper` of `multiwa-ws-tokio` are whole programs.
    pub fn upgrade<B, T: From<Vec<u8>>>(
        &self,
        request: &http::Request<B>,
        address: Option<SocketAddr>,
    ) -> impl Future<Output = (http::Response<T>, Option<UpgradeTicket<R>>)> + Send + use<B, T, R> {
        let shared = self.shared.clone();
        let request = read(&shared.settings.handshake, request);
        async move {
            match decide::<R>(&shared, request, address).await {
                Ok((upgraded, ticket)) => (response(101, &upgraded.headers, Vec::new()), Some(ticket)),
                Err(rejection) => (refusal(rejection), None),
            }
        }
    }
}

/// An accepted client whose stream has not been taken over yet: see [`Server::upgrade`].
///
/// It holds one of the server's connections. It gives it back if the ticket is dropped, or if the stream does not
/// come within [`HandshakeLimits::timeout`]. A shutdown waits for the ticket, and closes the connection when it is served.
#[must_use = "the client was accepted and waits to be served"]
pub struct UpgradeTicket<R> {
    reservation: Arc<Reservation>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> UpgradeTicket<R> {
    /// Serves the connection over its upgraded stream, until the connection ends. `read_buffer` are the bytes that were
    /// read after the request: the first frames of a client that did not wait for the response.
    ///
    /// If the time of the ticket has passed, the stream is dropped. Spawn or await the future. Dropping it drops the
    /// stream.
    pub fn serve<S>(self, stream: S, read_buffer: &[u8]) -> impl Future<Output = ()> + Send + use<S, R>
    where
        S: Unpin + Send,
        R: Io<S>,
    {
        let task = self.reservation.take().and_then(|accepted| {
            let Accepted { mut client, permissions, negotiated, client_id } = accepted;
            let entry = client.entry.take()?;
            let now = R::now();
            let config = &entry.shared.config;
            let connection = Connection::from_upgraded(now, config, &negotiated, &client_id, wall_clock(now));
            let buffer = ReadBuffer::with(read_buffer);
            Some(Task::<S, R>::upgraded(entry, client.peer, permissions, connection, stream, buffer))
        });
        async {
            if let Some(task) = task {
                task.await;
            }
        }
    }
}

impl<R> Drop for UpgradeTicket<R> {
    fn drop(&mut self) {
        drop(self.reservation.take());
    }
}

impl<R> fmt::Debug for UpgradeTicket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeTicket").finish_non_exhaustive()
    }
}

/// The place of an accepted client, until its ticket is served or dropped or its time has passed.
struct Reservation(Mutex<Place>);

struct Place {
    accepted: Option<Accepted>,
    /// The task that waits for the end of the time.
    timer: Option<Waker>,
}

struct Accepted {
    client: Client,
    permissions: Permissions,
    negotiated: Negotiated,
    client_id: String,
}

impl Reservation {
    fn new(accepted: Accepted) -> Self {
        Self(Mutex::new(Place { accepted: Some(accepted), timer: None }))
    }

    /// Returns the client to the first caller, and ends the timer.
    fn take(&self) -> Option<Accepted> {
        let mut place = lock(&self.0);
        let (accepted, timer) = (place.accepted.take(), place.timer.take());
        drop(place);
        // The lock is released: wakers are foreign code.
        timer.into_iter().for_each(Waker::wake);
        accepted
    }

    /// Ready when the client was taken.
    fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut place = lock(&self.0);
        if place.accepted.is_none() {
            return Poll::Ready(());
        }
        let replaced = place.timer.replace(waker);
        drop(place);
        drop(replaced);
        Poll::Pending
    }

    /// Gives the place back at `deadline`.
    async fn expire<R: Runtime>(self: Arc<Self>, deadline: Instant) {
        let _ = within::<R, _>(deadline, poll_fn(|cx| self.poll_taken(cx))).await;
        drop(self.take());
    }
}

/// A client that is not served yet. If it is dropped, the failure is reported.
struct Client {
    peer: Peer,
    /// Taken when the client is served or its refusal is reported.
    entry: Option<Entry>,
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.shared.observe(Observed::Failed { peer: &self.peer, error: None });
        }
    }
}

/// Accepts or rejects the client, and reports a rejection.
async fn decide<R: Net>(
    shared: &Arc<Shared>,
    request: Result<UpgradeRequest, RequestError>,
    address: Option<SocketAddr>,
) -> Result<(Upgraded, UpgradeTicket<R>), Rejection> {
    let mut client = Client { peer: shared.next_peer(address), entry: None };
    let request = request.map_err(|error| {
        shared.observe(Observed::Failed { peer: &client.peer, error: Some(error) });
        error.rejection().unwrap_or_else(internal_error)
    })?;
    match admit::<R>(shared, &mut client, &request).await {
        Ok((permissions, upgraded, client_id)) => {
            let negotiated = upgraded.negotiated;
            let reservation = Arc::new(Reservation::new(Accepted { client, permissions, negotiated, client_id }));
            let deadline = R::now() + shared.settings.handshake.get_timeout();
            // Without a runtime, the reservation is dropped with the task.
            R::spawn(reservation.clone().expire::<R>(deadline)).map_err(|_| internal_error())?;
            Ok((upgraded, UpgradeTicket { reservation, runtime: PhantomData }))
        }
        Err(rejection) => {
            // The application may have returned a response that is not valid HTTP.
            let rejection = if rejection.check().is_ok() { rejection } else { internal_error() };
            shared.observe(Observed::Refused { peer: &client.peer, status: rejection.status });
            client.entry = None;
            Err(rejection)
        }
    }
}

/// Makes all checks of a request, and the decision of the application.
async fn admit<R: Runtime>(
    shared: &Arc<Shared>,
    client: &mut Client,
    request: &UpgradeRequest,
) -> Result<(Permissions, Upgraded, String), Rejection> {
    let (now, address) = (R::now(), client.peer.address);
    let entry = Entry::for_request(shared, now, address.map(|address| address.ip())).ok_or(Denied::NoRoom)?;
    let entry = client.entry.insert(entry);
    let (key, decision) = entry.evaluate(now, request, address, true)?;
    let permissions = match decision {
        None => Permissions::everything(),
        Some(decision) => {
            let deadline = now + shared.settings.handshake.get_timeout();
            let decided = within::<R, _>(deadline, unless_aborted(entry, decision)).await.flatten();
            decided.unwrap_or_else(|| Err(undecided()))?
        }
    };
    let client_id = entry.admit(key)?;
    let upgraded = shared.config.accept(request, shared.settings.acceptance());
    Ok((permissions, upgraded.map_err(|_| internal_error())?, client_id))
}

fn read<B>(limits: &HandshakeLimits, request: &http::Request<B>) -> Result<UpgradeRequest, RequestError> {
    let version = match request.version() {
        Version::HTTP_09 | Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http2,
    };
    let target = request.uri().to_string();
    UpgradeRequest::from_http(limits, version, request.method().as_str(), &target, request.headers())
}

fn refusal<T: From<Vec<u8>>>(rejection: Rejection) -> http::Response<T> {
    let Rejection { status, mut headers, body } = rejection;
    if headers.get("Upgrade").is_some() {
        // RFC 9110 section 7.8: a sender of Upgrade must list it in Connection.
        headers.append("Connection", "Upgrade").unwrap_or_default();
    }
    response(status, &headers, body)
}

/// The other HTTP server adds the headers that frame the response.
fn response<T: From<Vec<u8>>>(status: u16, headers: &Headers, body: Vec<u8>) -> http::Response<T> {
    let builder = http::Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(T::from(body)).unwrap_or_else(|_| {
        // A name of more than 64 KiB.
        let mut response = http::Response::new(T::from(Vec::new()));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
