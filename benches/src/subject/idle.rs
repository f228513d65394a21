//! The memory of an idle connection: resident bytes of the server's process, which holds nothing else.
//!
//! Each server has its own process, for two reasons: a process has a limit of open files, and no server may reuse the
//! memory of another one. The process is this program, started again. Some connections open and close first, so that
//! one-time allocations are not counted.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::options::{Options, Put};
use crate::corpus::{Script, text};
use crate::goals::Goal;
use crate::load::{PATIENCE, no_answer, of};
use crate::process::{need_open_files, resident};
use crate::race::{Standing, median};
use crate::random::Random;
use crate::report::Case;
use crate::scores::Unit;
use crate::servers::idle::{Exchange, Idle, SERVER, SERVER_DEFLATE, SERVER_TLS, SERVER_UNSUBSCRIBED, STREAMS};
use crate::subscriber;

/// The argument that starts this program as a server whose memory is measured. The name of the server follows.
pub const SERVE: &str = "serve-idle";

const CONNECTIONS: usize = 5000;
/// The number of connections that open and close first. If there were more, the memory that they leave behind would
/// hide the memory of the measured connections.
const WARM_UP: usize = 100;
/// How often each server is measured, with the default number of rounds.
const ROUNDS: usize = 3;

/// The maximum number of bytes for each connection: 2.5 KiB.
const BOUND: f64 = 2560.0;

pub fn run(put: &mut Put<'_>, options: &Options) -> io::Result<()> {
    let rounds = (options.effort.rounds / 33).clamp(1, ROUNDS);
    let bounds = [Goal::AtMost(BOUND), Goal::TimesBestPeer(1.0)];
    let case = |servers: &[Idle], connections: usize, what: &str, goals: &[Goal], put: &mut Put<'_>| {
        let name = format!("{connections} connections, {what}");
        if !options.wants(&name) {
            return Ok(());
        }
        // One end of each connection is in this process, and the other end is in the process of the server.
        need_open_files(connections)?;
        put(Case::new("idle", &name, Unit::BytesAConnection, weigh(servers, connections, rounds)?, goals))
    };
    case(STREAMS, CONNECTIONS, "streams after the upgrade, an echo each", &bounds[1..], put)?;
    // The same peers. The memory for upgrade, session and registry, which they would also need, is not added to theirs.
    let peers: Vec<_> = STREAMS.iter().filter(|stream| stream.standing != Standing::Ours).copied().collect();
    let servers = [&[SERVER], &*peers].concat();
    case(&servers, CONNECTIONS, "whole server, a subscription and an event each", &bounds, put)?;
    case(&[SERVER_UNSUBSCRIBED], CONNECTIONS, "whole server, a ping each", &bounds[..1], put)?;
    case(&[SERVER], 2 * CONNECTIONS, "whole server, a subscription and an event each", &bounds[..1], put)?;
    case(&[SERVER_TLS], CONNECTIONS, "whole server, TLS, a subscription and an event each", &[], put)?;
    // A fifth of the connections, because each has the tables and the window of a compressor.
    let what = "whole server, permessage-deflate, a subscription and an event each";
    case(&[SERVER_DEFLATE], CONNECTIONS / 5, what, &[], put)
}

fn weigh(servers: &[Idle], connections: usize, rounds: usize) -> io::Result<Vec<(String, Standing, f64)>> {
    let mut weights = vec![Vec::with_capacity(rounds); servers.len()];
    for _ in 0..rounds {
        for (server, weights) in servers.iter().zip(&mut weights) {
            weights.push(weigh_once(server, connections).map_err(of(server.name))?);
        }
    }
    let weights = weights.iter_mut().map(|weights| median(weights));
    Ok(servers.iter().zip(weights).map(|(server, weight)| (server.name.to_owned(), server.standing, weight)).collect())
}

fn weigh_once(server: &Idle, connections: usize) -> io::Result<f64> {
    let mut process = Process::start(server)?;
    drop(process.connect((connections / WARM_UP).max(1)).map_err(no_answer)?);
    let before = process.settled()?;
    let open = process.connect(connections).map_err(no_answer)?;
    let grown = process.settled()? - before;
    drop(open);
    Ok(grown / connections as f64)
}

/// A server in its own process, which ends with this one.
struct Process {
    child: Child,
    orders: ChildStdin,
    port: u16,
    exchange: Exchange,
    /// The settings of a client, if the server uses TLS.
    tls: Option<Arc<ClientConfig>>,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

type Connection = BufReader<Box<dyn Stream>>;

impl Process {
    fn start(server: &Idle) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, server.name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).lines();
        let port = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let certificate = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
        let certificate = certificate.collect::<Vec<_>>().join("\n");
        let tls = if certificate.is_empty() { None } else { Some(trust(&certificate)?) };
        let port = port.parse().map_err(io::Error::other)?;
        Ok(Self { child, orders, port, exchange: server.exchange, tls })
    }

    /// Opens connections and completes their exchange.
    fn connect(&mut self, count: usize) -> io::Result<Vec<Connection>> {
        let mut connections = (0..count).map(|index| self.open(index)).collect::<io::Result<Vec<_>>>()?;
        if let Exchange::Event { .. } = self.exchange {
            writeln!(self.orders, "{count}")?;
            for connection in &mut connections {
                subscriber::skip(connection)?;
            }
        }
        Ok(connections)
    }

    fn open(&self, index: usize) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, stream))
            }
        };
        let mut stream = BufReader::with_capacity(1 << 10, stream);
        match self.exchange {
            Exchange::Echo => subscriber::ask(&mut stream, &text(Script::Ascii, 300, &mut Random::new(1)))?,
            Exchange::Ping => {
                subscriber::upgrade(&mut stream, false)?;
                subscriber::ask(&mut stream, r#"{"type":"ping"}"#)?;
            }
            Exchange::Event { deflate } => {
                subscriber::upgrade(&mut stream, deflate)?;
                subscriber::subscribe(&mut stream, &format!("profile-{index}"))?;
            }
        }
        Ok(stream)
    }

    /// The resident bytes of the process, once they no longer change.
    fn settled(&self) -> io::Result<f64> {
        let process = self.child.id().to_string();
        let start = Instant::now();
        let mut before = resident(&process)?;
        while start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(200));
            let now = resident(&process)?;
            if now == before {
                return Ok(now as f64);
            }
            before = now;
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "its memory does not come to rest"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// TLS settings of a client that trusts only this certificate, in PEM.
fn trust(certificate: &str) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(Arc::new(builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth()))
}
