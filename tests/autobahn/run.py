#!/usr/bin/env python3
"""Runs the Autobahn test suite against the echo programs and compares the verdicts with expected.json.

    python3 tests/autobahn/run.py                         what CI runs: all cases of 1 to 10, a tenth of 12 and 13
    python3 tests/autobahn/run.py --all                   all cases, with both engines
    python3 tests/autobahn/run.py --all --update-docs     and write the summary into docs/conformance.md
    python3 tests/autobahn/run.py --engine wstest --role server --case '9.*'

The engine `kosoku` runs Autobahn's own case files fast; CI uses it. The engine `wstest` is the original. It needs Python 2.7, on
the PATH or as a version of pyenv. Both are installed, with pinned versions, into environments under target/. The two roles run
side by side. Exits with 1 when a verdict differs from the table, or when docs/conformance.md does not show this run of
all cases.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines import ENGINES, HERE, WORK, Engine, Failure

ROOT = HERE.parents[1]
DOCS = ROOT / "docs" / "conformance.md"

ROLES = ("server", "client")
START_LIMIT = 60  # seconds
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
# Their cases differ in little but the size and number of messages: CI runs every tenth.
COMPRESSION = ("12", "13")

# The verdicts on the messages of a case and on its close, as the suite names them.
Verdict = tuple[str, str]
Results = dict[str, Verdict]

# The processes that run now, so that a signal can end them.
processes: set[subprocess.Popen[bytes]] = set()


def main() -> int:
    options = parse_arguments()
    expected = read_expected()
    cases = select(list(expected["server"]), options)
    options.programs = options.programs or build_programs()

    runs: dict[tuple[str, str, str], Results] = {}
    differences = 0
    for name in options.engine:
        engine = ENGINES[name]
        engine.install()
        for runtime in options.runtime:
            print(f"autobahn: {name} on {runtime}: {len(cases)} cases, as {' and '.join(options.role)}", flush=True)
            started = time.monotonic()
            for role, results in run_roles(engine, runtime, cases, options).items():
                runs[name, role, runtime] = results
                for line in compare({case: expected[role][case] for case in cases}, results):
                    differences += 1
                    print(f"  {role}: {line}")
            print(f"autobahn: {name} on {runtime}: {time.monotonic() - started:.0f} s", flush=True)

    if differences:
        raise Failure(f"{differences} verdicts differ from {HERE.name}/expected.json")
    print("autobahn: every verdict is as expected")
    if not is_whole(options):
        return 0
    return keep_docs(summary(runs), options.update_docs)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="all cases, with both engines unless --engine is given")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="repeatable (default: kosoku)")
    parser.add_argument("--role", action="append", choices=ROLES, help="what the program under test is (default: both)")
    parser.add_argument("--runtime", action="append", help="runtime of the echo programs, repeatable (default: tokio)")
    parser.add_argument("--case", action="append", default=[], help="case id or glob, repeatable")
    parser.add_argument("--limit", type=int, default=3600, help="seconds that one role may take")
    parser.add_argument("--update-docs", action="store_true", help="write the summary into docs/conformance.md")
    parser.add_argument("--programs", type=Path, help="the folder of the echo programs (default: they are built)")
    parser.add_argument("--server-command", help="another server to test; {address} is replaced")
    parser.add_argument("--client-command", help="another client to test; {url} is replaced")
    options = parser.parse_args()
    options.engine = options.engine or (list(ENGINES) if options.all else ["kosoku"])
    options.role = options.role or list(ROLES)
    options.runtime = options.runtime or ["tokio"]
    if options.update_docs and not is_whole(options):
        parser.error("--update-docs needs --all with both engines and both roles")
    return options


def is_whole(options: argparse.Namespace) -> bool:
    """Whether this is the run that docs/conformance.md shows."""
    if not options.all or options.case or options.server_command or options.client_command:
        return False
    return set(options.engine) == set(ENGINES) and set(options.role) == set(ROLES)


def read_expected() -> dict[str, Results]:
    table = json.loads((HERE / "expected.json").read_text())
    return {role: {case: (verdict[0], verdict[1]) for case, verdict in table[role].items()} for role in ROLES}


def select(cases: list[str], options: argparse.Namespace) -> list[str]:
    if options.case:
        return [case for case in cases if any(fnmatch.fnmatch(case, glob) for glob in options.case)]
    if options.all:
        return cases
    compression = [case for case in cases if case.split(".")[0] in COMPRESSION]
    return [case for case in cases if case not in compression] + compression[::10]


def build_programs() -> Path:
    package = ["--package", "multiwa-ws-testkit", "--bin", "echo-server", "--bin", "echo-client"]
    subprocess.run(["cargo", "build", "--quiet", "--release", *package], cwd=ROOT, check=True)
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"


def run_roles(engine: Engine, runtime: str, cases: list[str], options: argparse.Namespace) -> dict[str, Results]:
    """Runs the roles side by side."""
    with ThreadPoolExecutor() as pool:
        runs = {role: pool.submit(run_role, engine, role, runtime, cases, options) for role in options.role}
        return {role: run.result() for role, run in runs.items()}


def run_role(engine: Engine, role: str, runtime: str, cases: list[str], options: argparse.Namespace) -> Results:
    reports = WORK / "reports" / f"{engine.name}-{role}-{runtime}"
    # So that a run that writes nothing cannot be taken for the one before it.
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    if role == "server":
        test_server(engine.client(address, cases, reports), address, reports, runtime, options)
    else:
        test_client(engine.server(address, cases, reports), engine.ends, address, reports, runtime, options)
    return read_reports(reports)


def test_server(suite: list[str], address: str, reports: Path, runtime: str, options: argparse.Namespace) -> None:
    command = options.server_command or f"{options.programs / 'echo-server'} --runtime {runtime} {{address}}"
    with running(command.replace("{address}", address), reports / "server.log") as server:
        wait_until_listening(address, server)
        with running(shlex.join(suite), reports / "suite.log") as fuzzing_client:
            # Its exit code says whether a case failed; the comparison says more.
            fuzzing_client.wait(options.limit)
        if server.poll() is not None:
            raise Failure(f"the server ended by itself with {server.returncode}")


def test_client(
    suite: list[str], ends: bool, address: str, reports: Path, runtime: str, options: argparse.Namespace
) -> None:
    own = f"{options.programs / 'echo-client'} --runtime {runtime} --parallelism 2 {{url}}"
    command = options.client_command or own
    with running(shlex.join(suite), reports / "suite.log") as fuzzing_server:
        wait_until_listening(address, fuzzing_server)
        with running(command.replace("{url}", f"ws://{address}"), reports / "client.log") as client:
            if client.wait(options.limit) != 0:
                raise Failure(f"the client ended with {client.returncode}: see {reports}")
        # The client's last request, updateReports, makes the suite write them.
        if ends:
            fuzzing_server.wait(60)


@contextlib.contextmanager
def running(command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a process group of its own, and ends the whole group."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=ROOT,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    processes.add(process)
    try:
        yield process
    except subprocess.TimeoutExpired as error:
        raise Failure(f"not finished after {error.timeout:.0f} s: {command}: see {log}") from None
    finally:
        processes.discard(process)
        end(process)
        process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end_all(number: int, _frame: object) -> None:
    """A run that is told to end must end what it started, too."""
    for process in tuple(processes):
        end(process)
    sys.exit(128 + number)


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
            raise Failure(f"ended with {process.returncode} before it listened: {process.args!r}")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    raise Failure(f"nothing listens on {address} after {START_LIMIT} s: {process.args!r}")


def read_reports(folder: Path) -> Results:
    index = folder / "index.json"
    if not index.is_file():
        raise Failure(f"the suite wrote no report: see {folder}")
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


def summary(runs: dict[tuple[str, str, str], Results]) -> str:
    lines = ["Made by `python3 tests/autobahn/run.py --all --update-docs`: cases passed strictly, of cases run."]
    for name in dict.fromkeys(name for name, _, _ in runs):
        lines += ["", f"### {ENGINES[name].version}", ""]
        lines += table(
            {f"{role}, {runtime}": results for (engine, role, runtime), results in runs.items() if engine == name}
        )
    return "\n".join(lines)


def table(columns: dict[str, Results]) -> list[str]:
    lines = ["| cases | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for group, name in GROUPS.items():
        counts = [count(results, group) for results in columns.values()]
        lines.append(f"| {group}.* {name} | " + " | ".join(counts) + " |")
    lines.append("| all | " + " | ".join(count(results, None) for results in columns.values()) + " |")

    lines += ["", "Every case that is not a strict pass:", ""]
    for column, results in columns.items():
        others = {case: verdict for case, verdict in results.items() if verdict != ("OK", "OK")}
        kinds = Counter(verdict[0] for verdict in others.values())
        text = "; ".join(
            f"{kind.lower()} ({number}): "
            + ", ".join(case for case in sorted(others, key=numbers) if others[case][0] == kind)
            for kind, number in sorted(kinds.items())
        )
        lines.append(f"- {column}: {text or 'none'}")
    return lines


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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_all)
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"autobahn: {failure}")
