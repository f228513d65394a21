//! The diagrams in the documentation are the machines in the code.

use std::collections::BTreeSet;
use std::fmt::Debug;

use multiwa_ws_core::handshake::state::{ClientEvent, ClientState, ServerEvent, ServerState};

const DOCUMENT: &str = include_str!("../../../docs/architecture-handshake.tmp.md");

/// The arrows of the diagram that begins in `first`.
fn drawn(first: &str) -> BTreeSet<String> {
    let start = format!("    [*] --> {first}\n");
    let (_, diagram) = DOCUMENT.split_once(&start).expect("a diagram that begins in this state");
    let (diagram, _) = diagram.split_once("```").expect("the end of the diagram");
    diagram.lines().map(|line| line.trim().to_owned()).collect()
}

/// The arrows of a machine; a state that nothing leaves ends it.
fn coded<S: Copy + Debug, E: Copy + Debug>(
    states: &[S],
    events: &[E],
    on: impl Fn(S, E) -> Option<S>,
) -> BTreeSet<String> {
    let mut arrows = BTreeSet::new();
    for &state in states {
        let before = arrows.len();
        for &event in events {
            arrows.extend(on(state, event).map(|next| format!("{state:?} --> {next:?}: {event:?}")));
        }
        if arrows.len() == before {
            arrows.insert(format!("{state:?} --> [*]"));
        }
    }
    arrows
}

#[test]
fn the_clients_diagram_is_its_machine() {
    assert_eq!(drawn("AwaitingAnswer"), coded(&ClientState::ALL, &ClientEvent::ALL, ClientState::on));
}

#[test]
fn the_servers_diagram_is_its_machine() {
    assert_eq!(drawn("AwaitingRequest"), coded(&ServerState::ALL, &ServerEvent::ALL, ServerState::on));
}
