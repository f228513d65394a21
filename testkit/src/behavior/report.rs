//! Runs scenarios by binding, and compares the table in the documentation with their results. Tests that start programs
//! from outside of the workspace run only on request.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use super::Outcome;
use crate::process::workspace_root;

/// If this variable is set, the table in the documentation is written again.
const UPDATE: &str = "UPDATE_DOCS";

/// If this variable is set, the tests that start programs from outside of the workspace run. They fail if a program is
/// missing.
const EXTERNAL: &str = "MULTIWA_WS_EXTERNAL";

/// The number of concurrent trials. They mostly wait.
const THREADS: usize = 12;

/// A test that starts a program from outside of the workspace: ignored unless `MULTIWA_WS_EXTERNAL` is set.
pub fn external_trial(name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, run).with_ignored_flag(std::env::var_os(EXTERNAL).is_none())
}

/// Runs the trials that the command line selects, and prints a message if some are left out.
pub fn run(arguments: &Arguments, trials: Vec<Trial>) -> Conclusion {
    let conclusion = libtest_mimic::run(arguments, trials);
    if conclusion.num_ignored > 0 {
        println!(
            "{} tests did not run: they start other programs, and {EXTERNAL}=1 runs them\n",
            conclusion.num_ignored
        );
    }
    conclusion
}

/// The trials of one table.
pub struct Suite {
    /// The name of the table on the page.
    table: &'static str,
    /// The bindings under test.
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    trials: Vec<Trial>,
    seen: Arc<Mutex<Seen>>,
}

/// The results, by row and column, with the number of trials for each.
type Seen = BTreeMap<(usize, &'static str), BTreeMap<String, usize>>;

struct Row {
    scenario: &'static str,
    against: Vec<&'static str>,
}

impl Suite {
    /// A table of this name, with a column for each binding.
    #[must_use]
    pub fn new(table: &'static str, columns: impl IntoIterator<Item = &'static str>) -> Self {
        let columns = columns.into_iter().collect();
        Self { table, columns, rows: Vec::new(), trials: Vec::new(), seen: Arc::default() }
    }

    /// Begins the row of a scenario.
    pub fn row(&mut self, scenario: &'static str) {
        self.rows.push(Row { scenario, against: Vec::new() });
    }

    /// Adds a trial to the row: the binding `column` and its peer `against`. `run` returns the text that an application
    /// would observe. A trial that is `external` starts a program from outside of the workspace.
    pub fn trial(
        &mut self,
        column: &'static str,
        against: &'static str,
        external: bool,
        run: impl FnOnce() -> Outcome<&'static str> + Send + 'static,
    ) {
        let number = self.rows.len();
        let Some(row) = self.rows.last_mut() else { return };
        if !row.against.contains(&against) {
            row.against.push(against);
        }
        let name = format!("{} on {column} against {against}", row.scenario).replace([' ', ','], "_");
        let seen = self.seen.clone();
        let run = move || {
            let found = run().map_err(|failure| Failed::from(format!("{failure:?}")))?;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen.entry((number, column)).or_default().entry(found.to_owned()).or_default() += 1;
            Ok(())
        };
        self.trials.push(if external { external_trial(name, run) } else { Trial::test(name, run) });
    }

    /// Runs the trials that the command line selects. If it selects all of them, prints the table and compares it with
    /// the page.
    #[must_use]
    pub fn run(mut self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(THREADS);
        let conclusion = run(&arguments, std::mem::take(&mut self.trials));
        let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
        if conclusion.has_failed() || !is_whole {
            return conclusion.exit_code();
        }
        match self.compare() {
            Ok(()) => ExitCode::SUCCESS,
            Err(difference) => {
                eprintln!("{difference}");
                ExitCode::FAILURE
            }
        }
    }

    fn compare(&self) -> Result<(), String> {
        let (begin, end) = (format!("<!-- {}: begin -->\n", self.table), format!("<!-- {}: end -->\n", self.table));
        let path = workspace_root().join("docs/bindings.md");
        let page = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
        let Some((before, (committed, after))) = parts else {
            return Err(format!("docs/bindings.md has no table between {begin}and {end}"));
        };
        let table = self.table(committed);
        println!("{table}");
        if table == committed {
            return Ok(());
        }
        if std::env::var_os(UPDATE).is_some() {
            return std::fs::write(&path, [before, &begin, &table, &end, after].concat())
                .map_err(|error| error.to_string());
        }
        Err(format!("docs/bindings.md shows another table; {UPDATE}=1 writes it anew:\n{committed}"))
    }

    /// The table. If no trial of a row ran, the row is copied from the `committed` table.
    fn table(&self, committed: &str) -> String {
        let mut table = format!("| scenario | against | what is seen | {} |\n", self.columns.join(" | "));
        let _ = writeln!(table, "| --- | --- | --- |{}", " --- |".repeat(self.columns.len()));
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, row) in (1..).zip(&self.rows) {
            let cells: Vec<_> = self.columns.iter().map(|column| seen.get(&(number, *column))).collect();
            let start = format!("| {} | {} | ", row.scenario, row.against.join(", "));
            let mut counts = BTreeMap::<&str, usize>::new();
            for (found, count) in cells.iter().copied().flatten().flatten() {
                *counts.entry(found).or_default() += count;
            }
            let Some((common, _)) = counts.iter().max_by_key(|(_, count)| **count) else {
                let line = committed.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
                let _ = writeln!(table, "{line}");
                continue;
            };
            let shown = cells.iter().map(|cell| match cell {
                None => String::new(),
                Some(found) if found.keys().eq([*common]) => "yes".to_owned(),
                Some(found) => found.keys().cloned().collect::<Vec<_>>().join(" or "),
            });
            let _ = writeln!(table, "{start}{common} | {} |", shown.collect::<Vec<_>>().join(" | "));
        }
        table
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("table", &self.table).field("columns", &self.columns).finish_non_exhaustive()
    }
}
