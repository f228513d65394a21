//! The architecture page shows what the code does: the diagrams, the table of endings and the loop of a driver on it are
//! compared with the code.
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::handshake::{ClientInput, ClientPhase, ServerInput, ServerPhase};
use crate::session::{self, ClientState, Ending};
use crate::websocket::{Input, Role, State};

const PAGE: &str = include_str!("../../docs/architecture.md");

/// The arrows of the diagram that begins in `first`, except those to its end.
fn drawn(first: &str) -> BTreeSet<String> {
    let start = format!("    [*] --> {first}\n");
    let (_, diagram) = PAGE.split_once(&start).expect("a diagram that begins in this state");
    let (diagram, _) = diagram.split_once("```").expect("the end of the diagram");
    diagram
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && !line.contains("[*]"))
        .collect()
}

fn arrow(from: impl Debug, to: impl Debug, by: impl Debug) -> String {
    format!("{from:?} --> {to:?}: {by:?}")
}

fn coded<S: Copy + Debug, E: Copy + Debug>(
    states: &[S],
    events: &[E],
    next: impl Fn(S, E) -> Option<S>,
) -> BTreeSet<String> {
    let pairs = states.iter().flat_map(|&state| events.iter().map(move |&event| (state, event)));
    pairs.filter_map(|(state, event)| next(state, event).map(|to| arrow(state, to, event))).collect()
}

#[test]
fn the_upgrade_of_the_client() {
    assert_eq!(drawn("AwaitingAnswer"), coded(&ClientPhase::ALL, &ClientInput::ALL, ClientPhase::next));
}

#[test]
fn the_upgrade_of_the_server() {
    assert_eq!(drawn("AwaitingRequest"), coded(&ServerPhase::ALL, &ServerInput::ALL, ServerPhase::next));
}

#[test]
fn the_connection() {
    let mut expected = BTreeSet::new();
    for state in State::ALL {
        for input in Input::ALL {
            let next = |role| state.next(input, role).unwrap_or(state);
            let (client, server) = (next(Role::Client), next(Role::Server));
            if matches!(input, Input::TimedOut | Input::Lost) {
                // The page says this in words: every state goes to the end.
                assert_eq!((client, server), (State::Closed, State::Closed));
                continue;
            }
            for (role, to, other) in [("client", client, server), ("server", server, client)] {
                let mut arrow = arrow(state, to, input);
                if to != other {
                    arrow += &format!(" ({role})");
                }
                if to != state {
                    expected.insert(arrow);
                }
            }
        }
    }
    assert_eq!(drawn("Open"), expected);
}

#[test]
fn the_session_of_the_client() {
    assert_eq!(drawn("Idle"), coded(&ClientState::ALL, &session::Input::ALL, ClientState::next));
}

#[cfg(feature = "socketio")]
#[test]
fn the_socketio_dialect() {
    use crate::socketio::{Input, State};
    assert_eq!(drawn("Opening"), coded(&State::ALL, &Input::ALL, State::next));
}

#[test]
fn the_loop_of_a_driver() {
    let between = |text: &'static str, begin, end| text.split_once(begin).and_then(|(_, rest)| rest.split_once(end));
    let (guide, _) = between(include_str!("guide.rs"), "//! ```no_run\n", "//! ```\n").expect("the code of the guide");
    let (page, _) = between(PAGE, "```rust\n", "```\n").expect("the code of the page");
    let guide = guide.lines().map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default());
    assert_eq!(page.lines().collect::<Vec<_>>(), guide.collect::<Vec<_>>());
}

#[test]
fn the_table_of_endings() {
    let table = PAGE.split("| ending | rule |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let rows = table.lines().skip(2).map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    });
    let rules = Ending::ALL.iter().map(|ending| (format!("{ending:?}"), format!("{:?}", ending.rule())));
    assert_eq!(rows.collect::<Vec<_>>(), rules.collect::<Vec<_>>());
}
