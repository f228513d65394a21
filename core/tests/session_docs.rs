//! The architecture page shows what the code does.
#![cfg(test)]

use std::collections::BTreeSet;

use multiwa_ws_core::session::{RETRY_RULES, TRANSITIONS};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/architecture-session.tmp.md");

#[test]
fn the_diagram_shows_every_transition_and_no_other() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let diagram = page.split("stateDiagram-v2").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let arrows = diagram.lines().filter(|line| line.contains("-->") && !line.contains("[*]"));
    let shown: BTreeSet<String> = arrows.map(|line| line.trim().to_owned()).collect();
    let arrow = |(from, by, to): &(_, _, _)| format!("{from:?} --> {to:?}: {by:?}");
    assert_eq!(shown, TRANSITIONS.iter().map(arrow).collect());
}

#[test]
fn the_table_of_endings_shows_every_rule_and_no_other() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let table = page.split("| ending | rule |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let rows = table.lines().skip(2).map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    });
    let rules = RETRY_RULES.iter().map(|(ending, rule)| (format!("{ending:?}"), format!("{rule:?}")));
    assert_eq!(rows.collect::<Vec<_>>(), rules.collect::<Vec<_>>());
}
