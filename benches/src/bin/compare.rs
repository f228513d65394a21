//! Ours beside the peers: see `--help`.

use std::process::ExitCode;
use std::time::Duration;

use multiwa_ws_benches::race::Effort;
use multiwa_ws_benches::report::Report;
use multiwa_ws_benches::servers;
use multiwa_ws_benches::subject::{Options, SUBJECTS, Subject, idle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    // Fan-out and idle connections take up to 20,000; where the system grants fewer, they say so.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let mut options = Options { effort: Effort { rounds: 101, turn: Duration::from_micros(300) }, only: String::new() };
    let mut json = None;
    let mut chosen = Vec::new();
    while let Some(arg) = args.next() {
        match &*arg {
            "--help" => {
                println!("{}", help());
                return Ok(());
            }
            "--json" => json = Some(args.next().ok_or("--json needs the name of a file")?),
            "--rounds" => {
                let rounds = args.next().ok_or("--rounds needs a number")?;
                options.effort.rounds = rounds.parse().map_err(|_| "--rounds needs a number")?;
            }
            "--only" => options.only = args.next().ok_or("--only needs a part of a case's name")?,
            idle::SERVE => {
                let name = args.next().ok_or("it needs the name of a server")?;
                return servers::idle::serve(&name).map_err(|error| format!("{name}: {error}"));
            }
            name => chosen.push(subject(name)?),
        }
    }
    if chosen.is_empty() {
        chosen.extend(SUBJECTS);
    }
    let mut report = match &json {
        Some(file) => read(file)?,
        None => Report::default(),
    };
    report.machine = machine();
    let mut verdicts = Vec::new();
    for subject in chosen {
        let mut put = |case: multiwa_ws_benches::report::Case| {
            println!("{}", case.print());
            verdicts
                .extend(case.goals.iter().map(|goal| (goal.met, format!("{} {}: {goal}", case.subject, case.name))));
            report.put(case);
            // At once: a long run that is stopped has still said something.
            if let Some(file) = &json
                && let Err(error) = write(file, &report)
            {
                eprintln!("{error}");
            }
        };
        (subject.run)(&mut put, &options);
    }
    let met = verdicts.iter().filter(|(met, _)| *met).count();
    println!("{met} of {} goals met", verdicts.len());
    for (_, text) in verdicts.iter().filter(|(met, _)| !met) {
        println!("  {text}");
    }
    Ok(())
}

fn write(file: &str, report: &Report) -> Result<(), String> {
    let text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    std::fs::write(file, text + "\n").map_err(|error| format!("{file}: {error}"))
}

fn subject(name: &str) -> Result<&'static Subject, String> {
    SUBJECTS.iter().find(|subject| subject.name == name).ok_or_else(|| format!("no such subject: {name}\n{}", help()))
}

/// What the file says already; measuring one subject again leaves the others.
fn read(file: &str) -> Result<Report, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{file}: {error}")),
        Err(_) => Ok(Report::default()),
    }
}

fn help() -> String {
    let mut help =
        "compare [--json FILE] [--rounds N] [--only TEXT] [SUBJECT...]\n\nSubjects, all of them by default:\n"
            .to_owned();
    for subject in SUBJECTS {
        help += &format!("  {:<10} {}\n", subject.name, subject.about);
    }
    help + "\nFILE is added to: the tables of docs/performance.md are made from it.\n\
            Only cases with TEXT in their name are measured, as in `compare echo --only async-std`."
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{}, {cores} cores", model.trim_start_matches(['\t', ' ', ':']))
}
