//! A server that sends ready frames to one client without a pause, as fast as the client takes them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::thread::pin;
use crate::corpus::Wire;
use crate::gateway::Gateway;

/// Starts a server that sends `wire` again and again, on its own thread, on the first processor. It ends when its client
/// closes the connection.
///
/// If it `greets`, it begins after it has answered the upgrade and a subscription. Otherwise it begins at once: the
/// connection has been upgraded.
pub fn start(wire: &Wire, greets: bool) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let bytes = Arc::clone(&wire.bytes);
    std::thread::Builder::new().name("pump".to_owned()).spawn(move || {
        pin(0);
        let (mut stream, _) = listener.accept().expect("a client connects");
        if greets {
            greet(&mut stream).expect("the client subscribes");
        }
        while stream.write_all(&bytes).is_ok() {}
    })?;
    Ok(address)
}

fn greet(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut gateway = Gateway::new();
    let mut buffer = [0; 4 << 10];
    while !gateway.is_subscribed() {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&gateway.answer(&mut buffer[..len]))?;
    }
    Ok(())
}
