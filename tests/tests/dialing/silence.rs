//! A server that ends the connection instead of answering, as the deployed gateway does (`protocol.md`, top).

use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{Client, Net};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::kit::{failure, loopback, once, read_head};

on_each_runtime! {
    a_connection_that_ends_without_an_answer_names_the_deployed_gateway
}

async fn a_connection_that_ends_without_an_answer_names_the_deployed_gateway<R: Net>() {
    for reset in [false, true] {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            if reset {
                // What has arrived and was not read makes the end a reset.
                stream.read_u8().await.unwrap();
            } else {
                read_head(&mut stream).await;
            }
        });
        let builder = Client::<R>::builder(format!("ws://127.0.0.1:{port}/ws")).reconnect(once());
        let (reason, detail) = failure(builder).await;
        assert_eq!(reason, if reset { DisconnectReason::Io } else { DisconnectReason::Eof }, "{detail}");
        assert!(detail.contains("socket.io"), "{detail}");
    }
}
