//! A relay between a client and its server that can stop to pass on what the client sends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use multiwa_ws_testkit::behavior::Outcome;

/// The relay. It ends with the process.
pub(crate) struct Relay {
    address: SocketAddr,
    deaf: Arc<AtomicBool>,
}

impl Relay {
    /// A relay to a server at a URL without a path.
    pub(crate) fn start(url: &str) -> Outcome<Self> {
        let to: SocketAddr = url.trim_start_matches("ws://").parse()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let deaf = Arc::<AtomicBool>::default();
        let stopped = deaf.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(to) else { return };
                let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
                let stopped = stopped.clone();
                thread::spawn(move || pass(from_client, server, &stopped));
                thread::spawn(move || pass(from_server, client, &AtomicBool::new(false)));
            }
        });
        Ok(Self { address, deaf })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Passes on nothing more from the clients, or all of it again. What was held back is lost.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, deaf: &AtomicBool) {
    let mut piece = [0; 4096];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 {
            break;
        }
        if !deaf.load(Ordering::SeqCst) && to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
