//! The architecture page shows what the code does: each diagram and table on it is compared with the code.
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

/// The arrows of the diagram that begins in `first`, but for those to its end.
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
                // Said once in words: from everywhere to the end.
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
