//! How a connection over TCP ends.
#![cfg(test)]
#![cfg(any(feature = "async-std", feature = "smol"))]

use std::future::poll_fn;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use multiwa_ws_driver::{Io, Net};

/// Shuts down the write side of an accepted stream, and returns what the other end reads meanwhile.
async fn shut_down<N: Net>() -> io::Result<Vec<u8>> {
    let listener = N::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let address = N::local_addr(&listener)?;
    let reading = thread::spawn(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).map(|_| seen)
    });
    let (mut stream, _) = N::accept(&listener).await?;
    poll_fn(|cx| <N as Io<_>>::poll_shutdown(Pin::new(&mut stream), cx)).await?;
    let seen = reading.join();
    drop(stream);
    seen.unwrap_or_else(|_| Err(io::Error::other("the reader panicked")))
}

#[cfg(feature = "async-std")]
#[test]
fn the_end_of_the_write_side_reaches_the_peer_on_async_std() {
    assert!(async_std::task::block_on(shut_down::<multiwa_ws_async_std::AsyncStd>()).unwrap().is_empty());
}

#[cfg(feature = "smol")]
#[test]
fn the_end_of_the_write_side_reaches_the_peer_on_smol() {
    assert!(smol::block_on(shut_down::<multiwa_ws_async_std::smol::Smol>()).unwrap().is_empty());
}
