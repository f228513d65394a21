//! A closing handshake ends with the end of one side's writing (RFC 6455 section 7.1.1), which a runtime must not leave out.

use std::future::poll_fn;
use std::pin::Pin;

use multiwa_ws_driver::{Io, Net};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::kit::{loopback, within};

on_each_runtime! {
    ending_the_write_side_of_a_tcp_socket_leaves_the_other_side_open
}

async fn ending_the_write_side_of_a_tcp_socket_leaves_the_other_side_open<R: Net>() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(R::connect(address), listener.accept());
    half_closes::<_, R>(ours.unwrap(), theirs.unwrap().0).await;
}

#[cfg(unix)]
mod unix {
    use multiwa_ws_driver::UnixNet;
    use tokio::net::UnixListener;

    use super::super::unix::Socket;
    use super::half_closes;

    on_each_runtime! {
        ending_the_write_side_of_a_unix_socket_leaves_the_other_side_open
    }

    async fn ending_the_write_side_of_a_unix_socket_leaves_the_other_side_open<R: UnixNet>() {
        let socket = Socket::new();
        let listener = UnixListener::bind(&socket.0).unwrap();
        let (ours, theirs) = tokio::join!(R::connect_unix(&socket.0), listener.accept());
        half_closes::<_, R>(ours.unwrap(), theirs.unwrap().0).await;
    }
}

async fn half_closes<S: Unpin, R: Io<S>>(mut ours: S, mut theirs: impl AsyncRead + AsyncWrite + Unpin) {
    within(poll_fn(|cx| R::poll_shutdown(Pin::new(&mut ours), cx))).await.unwrap();
    let mut byte = [0];
    assert_eq!(within(theirs.read(&mut byte)).await.unwrap(), 0);
    theirs.write_all(b"x").await.unwrap();
    assert_eq!(within(poll_fn(|cx| R::poll_read(Pin::new(&mut ours), cx, &mut byte))).await.unwrap(), 1);
}
