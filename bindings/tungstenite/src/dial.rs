//! Dials on a thread that blocks until a deadline: performs the actions of a [`Dialing`](multiwa_ws_driver::dial::Dialing).

use std::io::{self, Read, Write};
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::dial::{Action, Dial, Dialer};
use multiwa_ws_driver::{Clock, ConnectorError, Destination, Tunnel};

use crate::attempts::{Attempts, Waiting};
use crate::clock::Std;
use crate::connector::Connector;
use crate::stream::Stream;
use crate::tls::Secured;

/// Called before each attempt with its number.
pub(crate) type Provider = Arc<dyn Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync>;

/// Opens streams with the dialer of a client.
pub(crate) struct NetConnector {
    dialer: Arc<Dialer<Provider>>,
    /// The time limit for one dial.
    timeout: Duration,
}

impl NetConnector {
    pub(crate) fn new(dialer: Arc<Dialer<Provider>>, timeout: Duration) -> Self {
        Self { dialer, timeout }
    }

    fn open(&self, dial: Dial) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        let deadline = Std::now() + self.timeout;
        open(&self.dialer, dial, deadline).map_err(|ConnectorError { reason, error }| match reason {
            DisconnectReason::Io if deadline <= Std::now() => {
                ConnectorError { reason: DisconnectReason::ConnectTimeout, error }
            }
            reason => ConnectorError { reason, error },
        })
    }
}

impl Connector for NetConnector {
    type Stream = Box<dyn Stream>;

    fn connect(&mut self, attempt: u32) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        self.open(Dial::Attempt(attempt))
    }

    fn redirect(&mut self, response: &Response) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        self.open(Dial::Redirect(Box::new(response.clone())))
    }
}

fn open(
    dialer: &Arc<Dialer<Provider>>,
    dial: Dial,
    deadline: Instant,
) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
    let mut dialing = dialer.start::<Box<dyn Stream>>(dial)?;
    let mut attempts = Attempts::new().map_err(ConnectorError::retry)?;
    loop {
        let now = Std::now();
        if deadline <= now {
            return Err(ConnectorError::retry(io::Error::from(io::ErrorKind::TimedOut)));
        }
        match dialing.poll_action(now) {
            Action::Provide(provider, attempt) => dialing.provided(&provider(attempt)?)?,
            Action::Resolve { host, port } => dialing.resolved((host.as_str(), port).to_socket_addrs())?,
            Action::Connect(address) => {
                if let Some(connected) = attempts.start(address).transpose() {
                    dialing.connected(connected)?;
                }
            }
            Action::Wait(until) => {
                let until = until.map_or(deadline, |until| until.min(deadline));
                if let Some(result) = attempts.wait(until) {
                    dialing.connected(result.map(|stream| Box::new(stream) as _))?;
                }
            }
            Action::Tunnel(mut stream, tunnel) => {
                let opened = open_tunnel(&mut attempts.waiting(&mut stream, deadline), tunnel);
                dialing.tunneled(opened.map(|()| stream))?;
            }
            Action::Tls(mut stream, secure) => {
                let secured = Secured::new(&secure, &mut attempts.waiting(&mut stream, deadline));
                let (secured, request) = secure.finish(secured)?;
                attempts.release(&mut stream);
                return Ok((secured.into_stream(stream), request));
            }
            Action::Done(mut stream, request) => {
                attempts.release(&mut stream);
                return Ok((stream, request));
            }
        }
    }
}

fn open_tunnel(stream: &mut Waiting<'_>, mut tunnel: Tunnel) -> io::Result<()> {
    stream.write_all(tunnel.poll_transmit())?;
    tunnel.transmitted(usize::MAX);
    // Read one byte at a time, so that the bytes after the answer stay in the stream. This happens once per connection.
    let mut byte = [0];
    loop {
        let opened = match stream.read(&mut byte)? {
            0 => Err(tunnel.handle_eof()),
            _ => tunnel.handle_input(&mut &byte[..]),
        };
        if opened.map_err(io::Error::other)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use multiwa_ws_driver::RequestSettings;
    use multiwa_ws_driver::dial::{DialSettings, Route, Source, TlsSettings};

    use super::*;

    #[test]
    fn a_dial_ends_at_its_deadline() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let settings = DialSettings {
            source: Source::Fixed(Destination::new("ws://h/ws")),
            request: RequestSettings::default(),
            route: Route::Proxy(proxy),
            tls: TlsSettings::default(),
        };
        let mut connector = NetConnector::new(Dialer::new(settings).unwrap(), Duration::from_millis(50));
        let Err(error) = connector.connect(1) else { panic!("connected") };
        assert_eq!((error.reason, error.error.kind()), (DisconnectReason::ConnectTimeout, io::ErrorKind::TimedOut));
    }
}
