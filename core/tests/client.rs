//! The whole client: what its commands do to the transport.
#![cfg(test)]

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, Config, TransportAction};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, HandshakeLimits, ServerHandshake};
use multiwa_ws_core::session::ClientState;

const NOW: Instant = Instant::from_nanos(7);

fn upgrading(config: Config) -> Client {
    let mut client = Client::new(config, [1; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
    client
}

fn open() -> Client {
    open_with(Config::default())
}

fn open_with(config: Config) -> Client {
    let mut client = upgrading(config);
    let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
    assert!(server.handle_input(NOW, &mut &mut written(&mut client)[..]).unwrap().is_some());
    server.accept(NOW, &Acceptance::default()).unwrap();
    let mut answer = server.poll_accepted().unwrap().unsent;
    assert!(client.handle_input(NOW, &mut &mut answer[..]).is_none());
    client
}

/// What the client wants written, taken by the transport.
fn written(client: &mut Client) -> Vec<u8> {
    let mut slices = [&[][..]; 8];
    let filled = client.poll_transmit(&mut slices);
    let bytes = slices[..filled].concat();
    client.transmitted(bytes.len());
    bytes
}

#[test]
fn closing_queues_the_close_frame_before_the_command_returns() {
    let mut client = open();
    client.commands().close(NOW);
    let bytes = written(&mut client);
    assert_eq!(bytes[..2], [0x88, 0x82], "{bytes:x?}");
}

#[test]
fn a_client_that_gives_up_at_a_binary_message_tells_the_server_why() {
    let mut config = Config::default();
    config.session.reconnect.enabled = false;
    let mut client = open_with(config);
    assert!(client.handle_input(NOW, &mut &mut [0x82, 0][..]).is_none());
    assert_eq!(client.session().state(), ClientState::Closed);
    let bytes = written(&mut client);
    assert_eq!(bytes[0], 0x88, "{bytes:x?}");
    assert!(client.poll_timeout().is_some(), "the closing handshake has a deadline");
    let mut answer = [0x88, 2, 0x03, 0xeb];
    assert!(client.handle_input(NOW, &mut &mut answer[..]).is_none());
    client.handle_eof(NOW);
    assert_eq!((client.poll_action(), client.poll_timeout()), (Some(TransportAction::Disconnect), None));
}

#[test]
fn closing_while_the_upgrade_is_under_way_drops_the_transport() {
    let mut client = upgrading(Config::default());
    client.commands().close(NOW);
    assert_eq!((written(&mut client), client.poll_timeout()), (vec![], None));
    assert_eq!(client.poll_action(), Some(TransportAction::Disconnect));
}

#[test]
fn closing_while_the_transport_is_being_opened_gives_the_attempt_up() {
    let mut client = Client::new(Config::default(), [1; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.commands().close(NOW);
    assert_eq!(client.poll_action(), Some(TransportAction::Disconnect));
    assert_eq!(client.poll_action(), None);
}
