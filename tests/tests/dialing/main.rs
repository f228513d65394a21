//! How a client reaches its server: TLS, redirects, proxies, Unix sockets, and a provider of URL and key, on each runtime.
#![cfg(test)]

/// Runs each scenario on each runtime.
macro_rules! on_each_runtime {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        mod on_tokio {
            $($(#[$attribute])* #[tokio::test] async fn $name() { super::$name::<multiwa_ws_tokio::Tokio>().await })*
        }
        mod on_async_std {
            $($(#[$attribute])* #[tokio::test] async fn $name() { super::$name::<multiwa_ws_async_std::AsyncStd>().await })*
        }
    };
}

mod half_close;
mod kit;
mod provider;
mod proxy;
mod redirects;
mod silence;
mod tls;
#[cfg(unix)]
mod unix;
