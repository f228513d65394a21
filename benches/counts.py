#!/usr/bin/env python3
"""Counts the instructions that the hot paths take for a message, and compares them with benches/counts.json.

    python3 benches/counts.py             fails when one takes more than TOLERANCE above its committed figure
    python3 benches/counts.py --update    commits what it finds to the file

Instructions, unlike time, do not depend on what else a machine does. They do depend on the compiler and on the vector
instructions of the processor, as far as valgrind knows them (AVX2): the file names both, and after a change of either it is to be
updated. A figure is the difference of two runs, so that what happens once counts for nothing.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
FIGURES = BENCHES / "counts.json"

# Inlining decisions move by some per cent with any change; a lost fast path costs far more.
TOLERANCE = 0.05

FEW, MANY = 3, 13


def main():
    parser = argparse.ArgumentParser(description="Counts the instructions of the hot paths.")
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name} anew")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is needed: the package of that name has it")
    environment = {"compiler": run(["rustc", "--version"]).stdout.strip(), "vectors": vectors()}

    program = build()
    counts = {}
    for line in run([program, "--list"]).stdout.splitlines():
        subject, messages = line.split("\t")
        counts[subject] = round((collected(program, subject, MANY) - collected(program, subject, FEW))
                                / (MANY - FEW) / int(messages), 1)

    if arguments.update:
        FIGURES.write_text(json.dumps({**environment, "instructions a message": counts}, indent=2) + "\n")
        for subject, count in counts.items():
            print(f"{subject:<36} {count:>8.1f}")
        return 0

    committed = json.loads(FIGURES.read_text())
    for name, value in environment.items():
        if committed[name] != value:
            print(f"note: the figures were taken with {committed[name]}, this is {value}")
    return compare(committed["instructions a message"], counts)


def compare(committed, counts):
    failed = False
    print(f"{'instructions a message':<36} {'committed':>10} {'now':>8}")
    for subject in sorted({*committed, *counts}):
        if subject not in counts or subject not in committed:
            print(f"{subject:<36} is {'no longer counted' if subject in committed else 'new'}: run with --update")
            failed = True
            continue
        change = counts[subject] / committed[subject] - 1
        verdict = ""
        if change > TOLERANCE:
            verdict = f"  MORE THAN {TOLERANCE:.0%} ABOVE"
            failed = True
        elif change < -TOLERANCE:
            verdict = "  a gain: keep it with --update"
        print(f"{subject:<36} {committed[subject]:>10.1f} {counts[subject]:>8.1f} {change:>+7.1%}{verdict}")
    return 1 if failed else 0


def build():
    """Builds the program as it is shipped, without the peers."""
    command = ["cargo", "build", "--release", "--locked", "--no-default-features", "--bin", "counts",
               "--message-format", "json-render-diagnostics", "--manifest-path", str(BENCHES / "Cargo.toml")]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit("the program that is counted does not build")
    artifacts = (json.loads(line) for line in built.stdout.splitlines())
    return next(path for artifact in artifacts if (path := artifact.get("executable")))


def collected(program, subject, passes):
    # Without the environment's own: where the stack begins would depend on it.
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, subject, str(passes)]
    result = run(command, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    return int(re.search(r"Collected : (\d+)", result.stderr).group(1))


def vectors():
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError as error:
        sys.exit(f"Linux is needed, which reports the vector instructions of the processor: {error}")
    flags = re.search(r"^flags\s*:(.*)$", processor, re.MULTILINE)
    known = ["avx2", "avx", "sse4_2"]
    return next((name for name in known if flags and name in flags.group(1).split()), "none known")


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr}")
    return result


if __name__ == "__main__":
    sys.exit(main())
