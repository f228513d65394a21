//! Measures how costs grow, and draws it: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use multiwa_ws_benches::growth::{self, PLOTS, plot};
use multiwa_ws_benches::race::Effort;

const HELP: &str = "growth [--rounds N] [--plot NAME]... FOLDER\n\nMeasures every plot, or those named, prints the figures \
                    and draws them into FOLDER.";

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
            "--rounds" => effort.rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--plot" => chosen.push(args.next().ok_or("--plot needs a name")?),
            _ => folder = Some(PathBuf::from(arg)),
        }
    }
    let folder = folder.ok_or(HELP)?;
    for (name, make) in PLOTS {
        if !chosen.is_empty() && !chosen.iter().any(|other| other == name) {
            continue;
        }
        let mut plot = make();
        let measured = growth::measure(std::mem::take(&mut plot.curves), effort);
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
