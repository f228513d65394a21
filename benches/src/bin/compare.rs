//! Compares ours with the peers: see `--help`.

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::Duration;

use multiwa_ws_benches::process::raise_open_files;
use multiwa_ws_benches::race::{Effort, rounds};
use multiwa_ws_benches::report::{Case, Report};
use multiwa_ws_benches::servers;
use multiwa_ws_benches::subject::{Options, SUBJECTS, Subject, idle};

fn main() -> ExitCode {
    // A thousand subscribers of each server need some 18,000 open files, and idle connections need 10,000 in a process. If
    // the system allows fewer, these subjects report it.
    raise_open_files();
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
            "--rounds" => options.effort.rounds = rounds(args.next().as_deref())?,
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
    let mut cases = 0;
    let mut verdicts = Vec::new();
    for subject in chosen {
        let mut put = |case: Case| {
            cases += 1;
            println!("{}", case.print());
            verdicts
                .extend(case.goals.iter().map(|goal| (goal.met, format!("{} {}: {goal}", case.subject, case.name))));
            report.put(case);
            // The file is written after each case, so that a long run that is stopped keeps its results.
            json.as_ref().map_or(Ok(()), |file| write(file, &report).map_err(io::Error::other))
        };
        (subject.run)(&mut put, &options).map_err(|error| format!("{}: {error}", subject.name))?;
    }
    if cases == 0 {
        return Err(format!(
            "no case of these subjects has \"{}\" in its name: docs/performance.md has all names, and without --only they \
             are printed as they are measured",
            options.only
        ));
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

/// The results that the file already has. A new measurement of one subject keeps the others.
fn read(file: &str) -> Result<Report, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{file}: {error}")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Report::default()),
        Err(error) => Err(format!("{file}: {error}")),
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
            Only cases with TEXT in their name are measured, as in `compare echo --only async-std`.\n\
            A figure is the median of N rounds, 101 by default, in each of which every contestant has a turn; subjects\n\
            whose turns are long do a third of N, and idle, which starts a process a turn, 3 at most.\n\n\
            It needs Linux, for epoll and /proc. Goals that are missed are printed at the end, and do not change the exit\n\
            code: it is 2 when something could not be measured or written."
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{}, {cores} cores", model.trim_start_matches(['\t', ' ', ':']))
}
