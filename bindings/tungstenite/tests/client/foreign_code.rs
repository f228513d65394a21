//! Code of the application that the client calls may itself call any method of the client's handles.

use std::sync::{Arc, Mutex, OnceLock};

use multiwa_ws_core::session::CloseCause;
use multiwa_ws_tungstenite::{Client, ConnectorError};

use crate::peer::{at_once, call, listen, number};
use crate::stream::{ConnectWith, Hook, Hooked, dial};

/// The client that code of the application calls, once there is one.
type Later = Arc<OnceLock<Client>>;

#[test]
fn f_01_a_provider_may_ask_its_client_for_its_status_and_drop_a_handle() {
    call(|| {
        let slot: Arc<Mutex<Option<Client>>> = Arc::default();
        let given = slot.clone();
        let provider = move |_| match given.lock().unwrap().take() {
            Some(client) => Err(ConnectorError::stop(format!("{:?}", client.status().state))),
            None => Err(ConnectorError::retry("not yet")),
        };
        let (client, mut updates) = Client::builder_with(provider).reconnect(at_once()).start().unwrap();
        *slot.lock().unwrap() = Some(client.clone());
        while updates.next().is_some() {}
        assert!(format!("{:#}", client.status().last_disconnect.unwrap()).contains("Connecting"));
    })
    .returned();
}

/// Asks its client for its status whenever it is called, and when it is dropped.
struct Curious(Later);

impl Hook for Curious {
    fn before(&self) {
        let _ = self.0.get().map(Client::status);
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.before();
    }
}

/// A client over one curious stream, for which `use_it` is called, on a thread of its own.
fn curious(use_it: impl FnOnce(Client) + Send + 'static) {
    let listener = listen();
    let later = Later::default();
    let (dial, asked, mut given) = (dial(&listener), later.clone(), false);
    let connector = ConnectWith(move |_| {
        let _ = asked.get().map(Client::status);
        if std::mem::replace(&mut given, true) {
            return Err(ConnectorError::stop("there was one stream"));
        }
        let (stream, request) = dial();
        Ok((Hooked { stream, hook: Curious(asked.clone()) }, request))
    });
    let (client, mut updates) =
        Client::builder("").reconnect(at_once()).subscribe("p", ["e"]).start_with(connector).unwrap();
    assert!(later.set(client.clone()).is_ok());
    let mut peer = listener.accept();
    peer.acknowledge();
    peer.publish(7);
    let used = call(move || {
        assert_eq!(number(&mut updates), 7);
        use_it(client.clone());
        client.closed()
    });
    peer.read_to_end();
    drop(peer);
    assert!(matches!(used.returned(), CloseCause::Application | CloseCause::Lost(_)));
}

#[test]
fn f_01_a_stream_and_a_connector_may_ask_their_client_for_its_status() {
    curious(|client| client.close());
}
