#!/usr/bin/env python3
"""Runs the Autobahn test suite against the echo programs and compares the verdicts with expected.json.

    python3 tests/autobahn/run.py                         both roles, all cases, on tokio
    python3 tests/autobahn/run.py --role server --case '9.*'
    python3 tests/autobahn/run.py --update-docs           and write the summary into docs/conformance.md

The suite is kosoku, a runner of Autobahn's own case files; it is installed from requirements.txt into a virtual environment
under target/. Exits with 1 when a verdict differs from the table, or when docs/conformance.md does not show this run.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "autobahn"
WORK = ROOT / "target" / "autobahn"
DOCS = ROOT / "docs" / "conformance.md"

ROLES = ("server", "client")
CARGO_RUN = "cargo run --quiet --release --package multiwa-ws-tests --bin"
START_LIMIT = 900  # seconds: the first start builds the program
BEGIN, END = "<!-- autobahn: begin -->", "<!-- autobahn: end -->"

GROUPS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing",
    "9": "Limits and speed",
    "10": "Automatic fragmentation",
    "12": "Compression of different payloads",
    "13": "Compression parameters",
}

# The verdicts on the messages of a case and on its close, as kosoku names them.
Verdict = tuple[str, str]
Results = dict[str, Verdict]


def main() -> int:
    options = parse_arguments()
    expected = read_expected()
    kosoku = install_kosoku()

    runs: dict[tuple[str, str], Results] = {}
    differences = 0
    for runtime in options.runtime:
        for role in options.role:
            print(f"autobahn: {role} on {runtime}", flush=True)
            started = time.monotonic()
            results = run_role(kosoku, role, runtime, options)
            print(f"autobahn: {role} on {runtime}: {len(results)} cases in {time.monotonic() - started:.0f} s")
            runs[role, runtime] = results
            for line in compare(select(expected[role], options.case), results):
                differences += 1
                print(f"  {line}")

    if differences:
        print(f"autobahn: {differences} cases differ from {HERE.name}/expected.json", file=sys.stderr)
        return 1
    print("autobahn: every verdict is as expected")
    if options.case or set(options.role) != set(ROLES) or options.testee_is_another:
        return 0
    return keep_docs(summary(runs), options.update_docs)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", action="append", choices=ROLES, help="what the program under test is (default: both)")
    parser.add_argument("--runtime", action="append", help="runtime of the echo programs, repeatable (default: tokio)")
    parser.add_argument("--case", action="append", default=[], help="case id or glob, repeatable (default: all)")
    parser.add_argument("--limit", type=int, default=1800, help="seconds that one role may take")
    parser.add_argument("--update-docs", action="store_true", help="write the summary into docs/conformance.md")
    parser.add_argument("--server-command", help="another server to test; {address} is replaced")
    parser.add_argument("--client-command", help="another client to test; {url} is replaced")
    options = parser.parse_args()
    options.role = options.role or list(ROLES)
    options.runtime = options.runtime or ["tokio"]
    options.testee_is_another = bool(options.server_command or options.client_command)
    if options.update_docs and (options.case or set(options.role) != set(ROLES) or options.testee_is_another):
        parser.error("--update-docs needs all cases in both roles")
    return options


def read_expected() -> dict[str, Results]:
    table = json.loads((HERE / "expected.json").read_text())
    return {role: {case: (verdict[0], verdict[1]) for case, verdict in table[role].items()} for role in ROLES}


def select(cases: Results, globs: list[str]) -> Results:
    if not globs:
        return cases
    return {case: verdict for case, verdict in cases.items() if any(fnmatch.fnmatch(case, glob) for glob in globs)}


def install_kosoku() -> Path:
    """A virtual environment with the pinned suite, made anew when the pin changed."""
    wanted = (HERE / "requirements.txt").read_text()
    folder = WORK / "venv"
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return folder / "bin" / "kosoku"


def run_role(kosoku: Path, role: str, runtime: str, options: argparse.Namespace) -> Results:
    reports = WORK / "reports" / f"{role}-{runtime}"
    remove_reports(reports)
    selection = [argument for glob in options.case for argument in ("--include", glob)]
    if role == "server":
        test_server(kosoku, [*selection, "--outdir", str(reports)], runtime, options)
    else:
        test_client(kosoku, [*selection, "--outdir", str(reports)], runtime, options)
    return read_reports(reports)


def test_server(kosoku: Path, arguments: list[str], runtime: str, options: argparse.Namespace) -> None:
    address = f"127.0.0.1:{free_port()}"
    command = options.server_command or f"{CARGO_RUN} echo-server -- --runtime {runtime} {{address}}"
    with running(shlex.split(command.replace("{address}", address))) as server:
        wait_until_listening(address, server)
        fuzzing_client = [str(kosoku), "--mode", "fuzzingclient", "--parallelism", "2", *arguments, f"ws://{address}"]
        with running(fuzzing_client) as suite:
            # Its exit code says whether a case failed; the comparison says more.
            suite.wait(options.limit)
        if server.poll() is not None:
            raise SystemExit(f"autobahn: the server ended by itself with {server.returncode}")


def test_client(kosoku: Path, arguments: list[str], runtime: str, options: argparse.Namespace) -> None:
    address = f"127.0.0.1:{free_port()}"
    url = f"ws://{address}"
    command = options.client_command or f"{CARGO_RUN} echo-client -- --runtime {runtime} --parallelism 2 {{url}}"
    with running([str(kosoku), "--mode", "fuzzingserver", *arguments, address]) as suite:
        wait_until_listening(address, suite)
        with running(shlex.split(command.replace("{url}", url))) as client:
            if client.wait(options.limit) != 0:
                raise SystemExit(f"autobahn: the client ended with {client.returncode}")
        # The client's last request, updateReports, makes the suite write them and end.
        suite.wait(60)


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a process group of its own, and ends the whole group: cargo has children."""
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        yield process
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"autobahn: not finished after {error.timeout:.0f} s: {shlex.join(command)}") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_listening(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"autobahn: ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"autobahn: nothing listens on {address} after {START_LIMIT} s")


def remove_reports(folder: Path) -> None:
    """So that a run that writes nothing cannot be taken for the one before it."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "index.json").unlink()


def read_reports(folder: Path) -> Results:
    index = folder / "index.json"
    if not index.is_file():
        raise SystemExit("autobahn: the suite wrote no report")
    agents = json.loads(index.read_text())
    cases = {case: report for reports in agents.values() for case, report in reports.items()}
    return {case: (report["behavior"], report["behaviorClose"]) for case, report in cases.items()}


def compare(expected: Results, results: Results) -> list[str]:
    lines = []
    for case in sorted(expected.keys() | results.keys(), key=numbers):
        wanted, found = expected.get(case), results.get(case)
        if wanted != found:
            lines.append(f"{case}: expected {show(wanted)}, found {show(found)}")
    return lines


def numbers(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def show(verdict: Verdict | None) -> str:
    return "no such case" if verdict is None else f"{verdict[0]}, close {verdict[1]}"


def summary(runs: dict[tuple[str, str], Results]) -> str:
    columns = list(runs)
    suite = (HERE / "requirements.txt").read_text().strip().replace("==", " ")
    lines = [
        f"Made by `python3 tests/autobahn/run.py --update-docs` with {suite}: cases passed strictly, of cases run.",
        "",
        "| cases | " + " | ".join(f"{role}, {runtime}" for role, runtime in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for group, name in GROUPS.items():
        counts = [count(runs[column], group) for column in columns]
        lines.append(f"| {group}.* {name} | " + " | ".join(counts) + " |")
    lines.append("| all | " + " | ".join(count(runs[column], None) for column in columns) + " |")

    lines += ["", "Every case that is not a strict pass:", ""]
    for role, runtime in columns:
        others = {case: verdict for case, verdict in runs[role, runtime].items() if verdict != ("OK", "OK")}
        kinds = Counter(verdict[0] for verdict in others.values())
        text = "; ".join(
            f"{kind.lower()} ({number}): "
            + ", ".join(case for case in sorted(others, key=numbers) if others[case][0] == kind)
            for kind, number in sorted(kinds.items())
        )
        lines.append(f"- {role}, {runtime}: {text or 'none'}")
    return "\n".join(lines)


def count(results: Results, group: str | None) -> str:
    verdicts = [verdict for case, verdict in results.items() if group is None or case.split(".")[0] == group]
    return f"{verdicts.count(('OK', 'OK'))} of {len(verdicts)}"


def keep_docs(section: str, update: bool) -> int:
    text = DOCS.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    updated = f"{before}{BEGIN}\n{section}\n{END}{after}"
    if updated == text:
        return 0
    if not update:
        print("autobahn: docs/conformance.md shows another run: write this one with --update-docs", file=sys.stderr)
        return 1
    DOCS.write_text(updated)
    print("autobahn: wrote docs/conformance.md")
    return 0


if __name__ == "__main__":
    # A run that is told to end must end what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
