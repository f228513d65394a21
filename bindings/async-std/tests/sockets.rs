//! The sockets that the runtimes open and accept.
#![cfg(test)]
#![cfg(any(target_os = "linux", target_os = "android"))]
#![cfg(any(feature = "async-std", feature = "smol"))]

use std::os::fd::AsFd;

use multiwa_ws_driver::Net;
use socket2::SockRef;

async fn unsent<R: Net>(socket: impl Fn(&R::TcpStream) -> u32) {
    let listener = R::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let connected = R::connect(R::local_addr(&listener).unwrap()).await.unwrap();
    let accepted = R::accept(&listener).await.unwrap().0;
    assert_eq!([connected, accepted].map(|stream| socket(&stream)), [128 << 10; 2]);
}

fn of(socket: &impl AsFd) -> u32 {
    SockRef::from(socket).tcp_notsent_lowat().unwrap()
}

#[cfg(feature = "async-std")]
#[test]
fn little_of_a_socket_waits_unsent_in_the_system_on_async_std() {
    async_std::task::block_on(unsent::<multiwa_ws_async_std::AsyncStd>(|stream| of(stream.get_ref())));
}

#[cfg(feature = "smol")]
#[test]
fn little_of_a_socket_waits_unsent_in_the_system_on_smol() {
    smol::block_on(unsent::<multiwa_ws_async_std::smol::Smol>(of));
}
