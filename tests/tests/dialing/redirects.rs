//! SEC-HS-14: redirects are limited, and carry no credential to another origin.

use std::sync::{Arc, Mutex};

use multiwa_ws_core::handshake::{Rejection, UpgradeRequest};
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{Client, ClientBuilder, ConnectRequest, KeyPlacement, Net, Permissions, Server};

use super::kit::{Scripted, failure, listen, once, redirect, works};

on_each_runtime! {
    a_redirect_of_each_kind_is_followed
    sec_hs_14_credentials_stay_at_their_origin
    sec_hs_14_redirects_are_limited
    a_redirect_that_says_not_where_to_is_a_refusal
}

async fn a_redirect_of_each_kind_is_followed<R: Net>() {
    let (server, port) = listen::<R>(Server::builder()).await;
    for status in [301, 302, 303, 307, 308] {
        let first = Scripted::start(move |_| redirect(status, &format!("http://127.0.0.1:{port}/ws"))).await;
        works(Client::<R>::builder(format!("ws://127.0.0.1:{}/ws", first.port)), &server).await;
        assert_eq!(first.heads().len(), 1);
    }
}

async fn sec_hs_14_credentials_stay_at_their_origin<R: Net>() {
    // What the last server is shown.
    let shown = Arc::<Mutex<Option<UpgradeRequest>>>::default();
    let seen = shown.clone();
    let authorize = move |request: ConnectRequest| {
        *seen.lock().unwrap() = Some(request.request().clone());
        async { Ok::<_, Rejection>(Permissions::everything()) }
    };
    let (server, port) = listen::<R>(Server::builder().authorize(authorize)).await;

    for placement in [KeyPlacement::Query, KeyPlacement::Header, KeyPlacement::Bearer] {
        // First within the origin, then out of it; the key that it was asked with is in both locations.
        let first = Scripted::start(move |head| {
            let query = head.split_whitespace().nth(1).unwrap().split_once('?').map_or("x", |(_, query)| query);
            if head.starts_with("GET /ws") {
                redirect(307, "/moved?x=1")
            } else {
                redirect(307, &format!("ws://127.0.0.1:{port}/ws?{query}"))
            }
        })
        .await;
        let builder: ClientBuilder<R> = Client::builder(format!("ws://127.0.0.1:{}/ws", first.port));
        let builder = builder
            .api_key("s3cret")
            .key_placement(placement)
            .header("Cookie", "session=s3cret")
            .header("X-Auth-Token", "s3cret")
            .header("X-Trace", "t");
        works(builder, &server).await;

        let heads = first.heads();
        assert_eq!(heads.len(), 2);
        for head in heads {
            assert_eq!(head.matches("s3cret").count(), 3, "{head}");
        }
        let request = shown.lock().unwrap().take().unwrap();
        assert_eq!(request.headers().get_str("X-Trace"), Some("t"));
        assert!(request.api_key().is_none() && !request.target().contains("s3cret"));
        assert!(request.headers().iter().all(|(_, value)| !String::from_utf8_lossy(value).contains("s3cret")));
    }
}

async fn sec_hs_14_redirects_are_limited<R: Net>() {
    for limit in [0, 1, 5] {
        let turning = Scripted::start(|_| redirect(302, "/ws")).await;
        let builder = Client::<R>::builder(format!("ws://127.0.0.1:{}/ws", turning.port)).reconnect(once());
        let builder = if limit == 5 { builder } else { builder.max_redirects(limit) };
        assert_eq!(failure(builder).await.0, DisconnectReason::Refused { status: 302, retry_after: None });
        assert_eq!(turning.heads().len(), usize::from(limit) + 1);
    }
}

async fn a_redirect_that_says_not_where_to_is_a_refusal<R: Net>() {
    for (answer, reported) in [
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "302"),
        (redirect(302, "ftp://127.0.0.1/ws"), "scheme"),
    ] {
        let lost = Scripted::start(move |_| answer.clone()).await;
        let builder = Client::<R>::builder(format!("ws://127.0.0.1:{}/ws", lost.port)).reconnect(once());
        let (reason, detail) = failure(builder).await;
        assert_eq!(reason, DisconnectReason::Refused { status: 302, retry_after: None });
        assert!(detail.contains(reported), "{detail}");
    }
}
