//! Over Unix sockets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{Client, Server, UnixNet};

use super::kit::{failure, once, works};

on_each_runtime! {
    a_unix_socket_serves_as_well
    a_socket_that_is_not_there_is_an_ordinary_loss
}

/// A path for a socket, which is removed at the end.
pub(crate) struct Socket(pub(crate) PathBuf);

impl Socket {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("multiwa-ws-{}-{number}.sock", std::process::id())))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn a_unix_socket_serves_as_well<R: UnixNet>() {
    let socket = Socket::new();
    let server = Server::<R>::builder().bind_unix(&socket.0).await.unwrap();
    assert_eq!(server.local_addr(), None);
    works(Client::<R>::builder("ws://gateway/ws").unix(&socket.0), &server).await;
}

async fn a_socket_that_is_not_there_is_an_ordinary_loss<R: UnixNet>() {
    let socket = Socket::new();
    let (reason, _) = failure(Client::<R>::builder("ws://gateway/ws").unix(&socket.0).reconnect(once())).await;
    assert_eq!(reason, DisconnectReason::Io);
}
