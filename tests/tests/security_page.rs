//! `docs/security.md` says where each attack is tested. It is held to the tests, and the tests to it.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/security.md");

/// The cells of every row of the table whose first cell is an id.
fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    PAGE.lines().filter(|line| line.starts_with("| SEC-")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("three cells: {line}"))
    })
}

/// What a cell cites: `file::test` between backticks, or `::test` for another one of the same file.
fn citations(cell: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut file = "";
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quoted| quoted.split_once("::"))
        .map(|(named, test)| {
            if !named.is_empty() {
                file = named;
            }
            (file, test)
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every `sec_*` test of the sources below `directory`, as its file and its name.
fn security_tests(directory: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
            security_tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let lines = source.lines().filter_map(|line| line.split_once("fn sec_"));
            let tests = lines.filter(|(before, _)| matches!(before.trim(), "" | "async" | "pub(crate)"));
            found.extend(tests.map(|(_, rest)| {
                let end = rest.find(['(', '<']).unwrap_or(rest.len());
                (file.clone(), format!("sec_{}", &rest[..end]))
            }));
        }
    }
}

#[test]
fn every_citation_is_a_test() {
    for [id, _, cell] in rows() {
        for (file, test) in citations(cell) {
            let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{id}, {file}: {error}"));
            let declared = [format!("fn {test}("), format!("fn {test}<")];
            assert!(declared.iter().any(|declared| source.contains(declared)), "{id}: {file} has no {test}");
        }
    }
}

#[test]
fn every_security_test_is_cited_in_the_row_of_its_id() {
    let mut tests = BTreeSet::new();
    security_tests(&root(), &mut tests);
    assert!(tests.len() > 80, "only {} tests were found", tests.len());
    let rows: Vec<_> = rows().collect();
    for (file, test) in tests {
        let id = test.split('_').take(3).collect::<Vec<_>>().join("-").to_uppercase();
        let [.., cell] = rows.iter().find(|[row, ..]| *row == id).unwrap_or_else(|| panic!("no row {id}"));
        let cited = citations(cell).iter().any(|(cited, name)| (*cited, *name) == (&*file, &*test));
        assert!(cited, "docs/security.md, row {id}, does not cite `{file}::{test}`");
    }
}

#[test]
fn every_row_is_there_once_and_is_tested_or_open() {
    let expected = [("HS", 15), ("FR", 14), ("PD", 10), ("AP", 12)]
        .into_iter()
        .flat_map(|(group, count)| (1..=count).map(move |number| format!("SEC-{group}-{number:02}")));
    let rows: Vec<_> = rows().collect();
    assert!(rows.iter().map(|[id, ..]| *id).eq(expected), "the ids in order");
    for [id, promise, cell] in rows {
        assert!(!promise.is_empty(), "{id}");
        assert!(!citations(cell).is_empty() || cell.starts_with("open: "), "{id} is neither tested nor open");
    }
}
