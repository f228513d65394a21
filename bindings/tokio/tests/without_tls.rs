//! A build without the feature `tls`.
#![cfg(test)]
#![cfg(not(feature = "tls"))]

use std::error::Error;

use multiwa_ws_tokio::core::session::{CloseCause, DisconnectReason};
use multiwa_ws_tokio::{BuildError, Client, Destination, DialerError};

const URL: &str = "wss://127.0.0.1:1/ws";

#[tokio::test]
async fn a_wss_url_is_an_error_that_names_the_features() {
    let error = Client::builder(URL).start().unwrap_err();
    assert!(matches!(error, BuildError::Dialer(DialerError::NoTls)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("wss") && text.contains("tls-ring") && text.contains("tls-aws-lc"), "{text}");
}

#[tokio::test]
async fn a_wss_url_of_a_provider_stops_the_client() {
    let provider = |_| async { Ok(Destination::new(URL)) };
    let (client, _updates) = Client::builder_with(provider).start().unwrap();
    let cause = client.closed().await;
    assert!(matches!(cause, CloseCause::Lost(DisconnectReason::Stopped)), "{cause:?}");
    let status = client.status();
    let error = status.last_disconnect.as_ref().and_then(Error::source).expect("a cause").to_string();
    assert!(error.contains("tls-ring"), "{error}");
}
