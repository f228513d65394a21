//! The code that the runtimes with `futures-io` share.

use std::sync::OnceLock;
use std::time;

use multiwa_ws_core::Instant;

/// The present time, counted from the first call.
pub(crate) fn now() -> Instant {
    static EPOCH: OnceLock<time::Instant> = OnceLock::new();
    let elapsed = EPOCH.get_or_init(time::Instant::now).elapsed();
    Instant::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

/// Implements reading and writing of `futures-io` streams on `$runtime`, with and without TLS.
macro_rules! impl_io {
    ($runtime:ty) => {
        impl<S: ::futures_io::AsyncRead + ::futures_io::AsyncWrite> multiwa_ws_driver::Io<S> for $runtime {
            fn poll_read(
                stream: std::pin::Pin<&mut S>,
                cx: &mut std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                stream.poll_read(cx, buffer)
            }

            fn poll_write(
                stream: std::pin::Pin<&mut S>,
                cx: &mut std::task::Context<'_>,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match buffers {
                    [buffer] => stream.poll_write(cx, buffer),
                    buffers => stream.poll_write_vectored(cx, buffers),
                }
            }

            fn poll_flush(
                stream: std::pin::Pin<&mut S>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                stream.poll_flush(cx)
            }

            fn poll_shutdown(
                stream: std::pin::Pin<&mut S>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                stream.poll_close(cx)
            }
        }

        impl<S> multiwa_ws_driver::Tls<S> for $runtime
        where
            S: ::futures_io::AsyncRead + ::futures_io::AsyncWrite + Unpin + Send + 'static,
        {
            const IS_SUPPORTED: bool = cfg!(feature = "tls");

            #[cfg(feature = "tls")]
            type Stream = futures_rustls::TlsStream<S>;
            #[cfg(not(feature = "tls"))]
            type Stream = S;

            #[cfg(feature = "tls")]
            async fn connect_tls(
                config: std::sync::Arc<rustls::ClientConfig>,
                name: rustls::pki_types::ServerName<'static>,
                stream: S,
            ) -> std::io::Result<futures_rustls::TlsStream<S>> {
                futures_rustls::TlsConnector::from(config).connect(name, stream).await.map(Into::into)
            }

            #[cfg(feature = "tls")]
            async fn accept_tls(
                config: std::sync::Arc<rustls::ServerConfig>,
                stream: S,
            ) -> std::io::Result<futures_rustls::TlsStream<S>> {
                futures_rustls::TlsAcceptor::from(config).accept(stream).await.map(Into::into)
            }
        }
    };
}

pub(crate) use impl_io;
