//! Measures how costs grow, and draws plots: see `--help`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use multiwa_ws_benches::growth::{PLOTS, curves, plot};
use multiwa_ws_benches::race::{Effort, rounds};

const HELP: &str = "growth [--rounds N] [--plot NAME]... FOLDER\n\nMeasures every plot, or those named, prints the figures \
                    and draws them into FOLDER, which is made if there is none.\nA figure is the median of N rounds, \
                    15 by default.";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut effort = Effort { rounds: 15, turn: Duration::from_millis(2) };
    let mut folder = None;
    let mut chosen = Vec::new();
    while let Some(arg) = args.next() {
        match &*arg {
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            "--rounds" => effort.rounds = rounds(args.next().as_deref())?,
            "--plot" => chosen.push(known(args.next())?),
            option if option.starts_with('-') => return Err(format!("no such option: {option}\n{HELP}").into()),
            _ if folder.is_some() => return Err(format!("one FOLDER is enough\n{HELP}").into()),
            _ => folder = Some(PathBuf::from(arg)),
        }
    }
    let folder = folder.ok_or_else(|| format!("FOLDER is missing\n{HELP}"))?;
    // An error must show before the measurement, which takes minutes.
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (name, make) in PLOTS {
        if !chosen.is_empty() && !chosen.iter().any(|other| other == name) {
            continue;
        }
        let mut plot = make();
        let measured = curves::measure(std::mem::take(&mut plot.curves), effort);
        println!("{name}: {} by {}", plot.axes[1], plot.axes[0]);
        for curve in &measured {
            println!("  {}", curve.name);
            for (x, y) in &curve.points {
                println!("    {x:>10} {y:>14.3}");
            }
        }
        plot::draw(&plot, &measured, &folder.join(name).with_extension("svg"))?;
    }
    Ok(())
}

/// The name of a plot, if there is such a plot.
fn known(name: Option<String>) -> Result<String, String> {
    let names: Vec<_> = PLOTS.iter().map(|(name, _)| *name).collect();
    let known = name.filter(|name| names.contains(&&**name));
    known.ok_or_else(|| format!("--plot needs the name of a plot: {}", names.join(", ")))
}
