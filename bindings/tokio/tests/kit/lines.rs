//! Streams between two peers that hold little on their way.

use std::sync::{Arc, LazyLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Both ends of a TCP connection, the one that dialed first.
pub(crate) async fn narrow_tcp() -> (TcpStream, TcpStream) {
    let narrow = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 << 10).unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket
    };
    let listening = narrow();
    listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listening.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let (dialed, accepted) = tokio::join!(narrow().connect(address), listener.accept());
    (dialed.unwrap(), accepted.unwrap().0)
}

/// TLS over both ends of a stream, the client's first.
pub(crate) async fn secure<C, S>((near, far): (C, S)) -> (client::TlsStream<C>, server::TlsStream<S>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (acceptor, connector) = &*TLS;
    let host = ServerName::try_from("localhost").unwrap();
    let (near, far) = tokio::join!(connector.connect(host, near), acceptor.accept(far));
    (near.unwrap(), far.unwrap())
}

static TLS: LazyLock<(TlsAcceptor, TlsConnector)> = LazyLock::new(|| {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = issued.signing_key.serialize_der().try_into().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
});
