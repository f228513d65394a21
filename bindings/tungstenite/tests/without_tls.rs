//! A build without the feature `tls`.
#![cfg(test)]
#![cfg(not(feature = "tls"))]

use multiwa_ws_tungstenite::{BuildError, Client, DialerError};

#[test]
fn a_wss_url_is_an_error_that_names_the_features() {
    let error = Client::builder("wss://127.0.0.1:1/ws").start().unwrap_err();
    assert!(matches!(error, BuildError::Dialer(DialerError::NoTls)), "{error:?}");
    assert!(error.to_string().contains("tls-ring"), "{error}");
}
