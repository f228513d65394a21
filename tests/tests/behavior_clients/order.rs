//! LifecycleEvents and events of a client, as one sequence.

use multiwa_ws_core::session::LifecycleEvent;
use multiwa_ws_testkit::behavior::client::{Client, ClientBinding, ClientSetup, OwnedUpdate};
use multiwa_ws_testkit::behavior::scripted::{CONNECTED, Incoming, against, event};
use multiwa_ws_testkit::behavior::{Outcome, same};

/// All that the client reports, in order, on every binding.
const SEQUENCE: [&str; 15] = [
    "connecting 1",
    "opened",
    "ready",
    "event 1",
    "notification",
    "event 2",
    "backoff Eof",
    "connecting 2",
    "opened",
    "ready(gap)",
    "event 3",
    "notification",
    "event 4",
    "closing",
    "closed Application",
];

const NOTIFICATION: &str = r#"{"type":"notification","payload":{"id":"n","title":"t"}}"#;

pub(crate) fn f_02_lifecycle_and_events_come_in_the_order_of_the_wire(
    client: &dyn ClientBinding,
) -> Outcome<&'static str> {
    // The client subscribes before the `ack` of the connection, or after it: all that follows the request is one segment.
    for subscribes_first in [true, false] {
        let script = move |number, incoming: Incoming| {
            let events = [event("e", &format!("{}", 2 * number - 1)), event("e", &format!("{}", 2 * number))];
            let after = [&*events[0], NOTIFICATION, &events[1]];
            let mut link;
            if subscribes_first {
                link = incoming.upgrade(Some("subscription-sets"))?;
                link.acknowledge_between(&[CONNECTED], &after)?;
            } else {
                link = incoming.accept()?;
                link.acknowledge_between(&[], &after)?;
            }
            // The first connection is cut behind them.
            if number == 1 { Ok(()) } else { link.serve() }
        };
        against(script, |server| {
            let mut setup = ClientSetup::new(server.url());
            setup.subscriptions.push(("p".to_owned(), vec!["*".to_owned()]));
            if subscribes_first {
                setup.session = setup.session.ack_timeout(None);
            }
            let mut client = client.start(&setup)?;
            same(sequence(&mut *client)?, SEQUENCE)
        })?;
    }
    Ok("reported in the order of the wire, before and after a reconnect")
}

/// What the client reports until its end. It is closed once it has reported the last event.
fn sequence(client: &mut dyn Client) -> Outcome<Vec<String>> {
    let mut sequence = Vec::new();
    while let Some(update) = client.next()? {
        let update = name(&update);
        let is_last = update == "event 4";
        sequence.push(update);
        if is_last {
            client.close()?;
        }
    }
    Ok(sequence)
}

fn name(update: &OwnedUpdate) -> String {
    match update {
        OwnedUpdate::Event(event) => format!("event {}", event.data().unwrap_or_default()),
        OwnedUpdate::Notification(_) => "notification".to_owned(),
        OwnedUpdate::Lifecycle(LifecycleEvent::Connecting { attempt }) => format!("connecting {attempt}"),
        OwnedUpdate::Lifecycle(LifecycleEvent::Opened) => "opened".to_owned(),
        OwnedUpdate::Lifecycle(LifecycleEvent::Ready { failed, gap }) if failed.is_empty() => match gap {
            None => "ready".to_owned(),
            Some(_) => "ready(gap)".to_owned(),
        },
        OwnedUpdate::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => format!("backoff {reason:?}"),
        OwnedUpdate::Lifecycle(LifecycleEvent::Closing) => "closing".to_owned(),
        OwnedUpdate::Lifecycle(LifecycleEvent::Closed(cause)) => format!("closed {cause:?}"),
        other => format!("{other:?}"),
    }
}
