//! Servers, ours and the peers', each on one thread. Only async-std has its own threads, which share a processor.
//!
//! The servers here echo. Their connections begin after the upgrade, so that only WebSocket is measured. They answer
//! all messages of one read before they flush. Only `fastwebsockets` and `wtx` write each answer by itself, and take
//! part a second time with batches. [`broadcast`] has the servers that publish, and [`idle`] the servers for idle
//! memory. In both, ours is the whole server with its upgrade, and also takes part as a stream. [`pump`] is the server
//! of the clients that are measured.

mod batched;
pub mod broadcast;
pub mod idle;
pub mod orders;
mod ours;
mod outlet;
mod peers;
pub mod pump;
mod raw;
mod thread;

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::race::Standing;

pub use thread::{pin, runtime};

/// An echo server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub name: &'static str,
    pub standing: Standing,
    /// Serves until the process ends.
    pub run: fn(TcpListener) -> io::Result<()>,
}

/// Every echo server.
pub const SERVERS: &[Server] = &[
    Server { name: "multiwa-ws-tokio", standing: Standing::Ours, run: ours::tokio },
    Server { name: "tokio-tungstenite", standing: Standing::Peer, run: peers::tokio_tungstenite },
    Server { name: "tokio-tungstenite, 8 KiB", standing: Standing::Peer, run: peers::tokio_tungstenite_small },
    Server { name: "fastwebsockets", standing: Standing::Peer, run: peers::fastwebsockets },
    Server { name: "fastwebsockets, batched", standing: Standing::Peer, run: peers::fastwebsockets_batched },
    Server { name: "tokio-websockets", standing: Standing::Peer, run: peers::tokio_websockets },
    Server { name: "sockudo-ws stream", standing: Standing::Peer, run: peers::sockudo },
    Server { name: "yawc", standing: Standing::Peer, run: peers::yawc },
    Server { name: "wtx", standing: Standing::Peer, run: peers::wtx },
    Server { name: "wtx, batched", standing: Standing::Peer, run: peers::wtx_batched },
    Server { name: "raw epoll", standing: Standing::Reference, run: raw::epoll },
    Server { name: "raw tokio", standing: Standing::Reference, run: raw::tokio },
];

/// The servers on async-std. They are only compared with each other.
pub const ASYNC_STD_SERVERS: &[Server] = &[
    Server { name: "multiwa-ws-async-std", standing: Standing::Ours, run: ours::async_std },
    Server { name: "raw async-std", standing: Standing::Reference, run: raw::async_std },
];

impl Server {
    /// Starts it on its own thread, on the first processor.
    pub fn start(self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            pin(0);
            (self.run)(listener).expect("the server runs");
        });
        Ok(address)
    }
}
