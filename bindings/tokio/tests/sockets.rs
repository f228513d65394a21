//! The sockets that the runtime opens and accepts.
#![cfg(test)]
#![cfg(any(target_os = "linux", target_os = "android"))]

use multiwa_ws_driver::Net;
use multiwa_ws_tokio::Tokio;
use socket2::SockRef;

#[tokio::test]
async fn little_of_a_socket_waits_unsent_in_the_system() {
    let listener = Tokio::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = Tokio::local_addr(&listener).unwrap();
    let (connected, accepted) = tokio::join!(<Tokio as Net>::connect(address), Tokio::accept(&listener));
    for stream in [connected.unwrap(), accepted.unwrap().0] {
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), 128 << 10);
    }
}
