//! Every input that is committed for the fuzz targets, tried once more.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use multiwa_ws_testkit::fuzzing::{Run, TARGETS};

fn fuzz(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(inside)
}

/// The names of what a directory of `fuzz/` holds, without this ending.
fn names(directory: &str, ending: &str) -> io::Result<BTreeSet<String>> {
    let paths = inside(&fuzz(directory))?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    Ok(names.map(|name| name.strip_suffix(ending).unwrap_or(name).to_owned()).collect())
}

fn inside(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    fs::read_dir(directory)?.map(|file| Ok(file?.path())).collect()
}

fn replay(target: &str, run: Run) -> io::Result<()> {
    let inputs = inside(&fuzz("corpus").join(target))?;
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for input in inputs {
        // The test harness shows this line when the target panics.
        println!("{}", input.display());
        run(&fs::read(&input)?);
    }
    Ok(())
}

#[test]
fn every_target_has_a_program_and_a_corpus() -> io::Result<()> {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets", ".rs")?, targets);
    assert_eq!(names("corpus", "")?, targets);
    assert!(names("dictionaries", ".dict")?.is_subset(&targets));
    Ok(())
}

#[test]
fn every_input_of_the_corpora_keeps_every_promise() -> io::Result<()> {
    TARGETS.into_iter().try_for_each(|(target, run)| replay(target, run))
}
