//! Through an HTTP proxy (RFC 9110 section 9.3.6).

use std::sync::{Arc, Mutex};

use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{Client, Net, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::kit::{Scripted, failure, listen, loopback, once, read_head, works};

on_each_runtime! {
    a_proxy_leads_to_the_server_that_it_is_asked_for
    a_refusal_of_a_proxy_differs_from_one_of_a_server
}

/// A proxy on a free port that leads everywhere to `port`, and the requests that it got.
async fn proxy(port: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let head = read_head(&mut client).await;
            seen.lock().unwrap().push(head);
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move {
                client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 p\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own, heads)
}

async fn a_proxy_leads_to_the_server_that_it_is_asked_for<R: Net>() {
    let (server, port) = listen::<R>(Server::builder().allow_any_host()).await;
    let (proxy, heads) = proxy(port).await;
    let address = format!("http://name:pass@127.0.0.1:{proxy}").parse().unwrap();
    // A name that only the proxy can resolve.
    works(Client::<R>::builder("ws://gateway.invalid:3001/ws?apiKey=s3cret").proxy(address), &server).await;
    let expected = "CONNECT gateway.invalid:3001 HTTP/1.1\r\nHost: gateway.invalid:3001\r\n\
                    Proxy-Authorization: Basic bmFtZTpwYXNz\r\n\r\n";
    assert_eq!(*heads.lock().unwrap(), [expected]);
}

async fn a_refusal_of_a_proxy_differs_from_one_of_a_server<R: Net>() {
    for (status, reported) in [(407, "name and a password"), (502, "HTTP status 502")] {
        let proxy = Scripted::start(move |_| format!("HTTP/1.1 {status} No\r\n\r\n")).await;
        let address = format!("http://127.0.0.1:{}", proxy.port).parse().unwrap();
        let (reason, detail) =
            failure(Client::<R>::builder("ws://gateway.invalid/ws").proxy(address).reconnect(once())).await;
        assert_eq!(reason, DisconnectReason::Io);
        assert!(detail.contains(reported), "{detail}");
    }
}
