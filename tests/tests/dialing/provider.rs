//! URL and key from a provider, asked before each attempt.

use std::sync::{Arc, Mutex};

use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::{DisconnectReason, LifecycleEvent};
use multiwa_ws_driver::{Client, ConnectorError, Destination, Net, Server, Update};

use super::kit::{at_once, exchange, failure, listen, within};

on_each_runtime! {
    a_rotated_key_is_used_from_the_next_attempt_on
    a_provider_that_says_stop_ends_the_client
    a_provider_that_fails_now_is_called_again
    a_url_that_names_no_server_ends_the_client
}

async fn a_rotated_key_is_used_from_the_next_attempt_on<R: Net>() {
    let (server, port) = listen::<R>(Server::builder().api_keys([ApiKey::new("k-1")])).await;
    let key = Arc::new(Mutex::new("k-1"));
    let current = key.clone();
    let provider = move |_| {
        let key = *current.lock().unwrap();
        async move { Ok(Destination::new(format!("ws://127.0.0.1:{port}/ws")).api_key(key)) }
    };
    let (client, mut updates) =
        within(Client::<R>::builder_with(provider).reconnect(at_once()).connect()).await.unwrap();
    exchange(&client, &mut updates, &server).await;

    *key.lock().unwrap() = "k-2";
    assert_eq!(server.replace_api_keys([ApiKey::new("k-2")]), 1);
    within(async {
        while !matches!(updates.next().await.unwrap(), Update::Lifecycle(LifecycleEvent::Ready { .. })) {}
    })
    .await;
    exchange(&client, &mut updates, &server).await;
}

async fn a_provider_that_says_stop_ends_the_client<R: Net>() {
    let builder = Client::<R>::builder_with(|_| async { Err(ConnectorError::stop("no license")) });
    let (reason, detail) = failure(builder.reconnect(at_once())).await;
    assert_eq!(reason, DisconnectReason::Stopped);
    assert!(detail.contains("no license"), "{detail}");
}

async fn a_provider_that_fails_now_is_called_again<R: Net>() {
    let (server, port) = listen::<R>(Server::builder()).await;
    let provider = move |attempt| async move {
        match attempt {
            1 | 2 => Err(ConnectorError::retry("the vault is sealed")),
            _ => Ok(Destination::new(format!("ws://127.0.0.1:{port}/ws"))),
        }
    };
    let (client, mut updates) =
        within(Client::<R>::builder_with(provider).reconnect(at_once()).connect()).await.unwrap();
    exchange(&client, &mut updates, &server).await;
    assert_eq!(client.status().attempt, 3);
}

async fn a_url_that_names_no_server_ends_the_client<R: Net>() {
    let builder = Client::<R>::builder_with(|_| async { Ok(Destination::new("gateway")) });
    let (reason, detail) = failure(builder.reconnect(at_once())).await;
    assert_eq!(reason, DisconnectReason::Stopped);
    assert!(detail.contains("not a URL"), "{detail}");
}
