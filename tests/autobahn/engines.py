"""The two programs that play the cases of the Autobahn suite, and how each is installed and started."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import shutil
import subprocess
import venv
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "target" / "autobahn"


class Failure(Exception):
    """The run cannot go on."""


class Engine(ABC):
    """Plays cases as a client of the server under test, or as a server of the client under test."""

    # The package that it comes from.
    package: str
    # Whether its server ends when it has written its reports.
    ends: bool

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @property
    def version(self) -> str:
        """The package and its version."""
        pins = dict(line.split("==") for line in requirements(self.name).read_text().split())
        return f"{self.package} {pins[self.package]}"

    @abstractmethod
    def install(self) -> None: ...

    @abstractmethod
    def client(self, address: str, cases: list[str], reports: Path) -> list[str]:
        """The command that tests the server at an address."""

    @abstractmethod
    def server(self, address: str, cases: list[str], reports: Path) -> list[str]:
        """The command that waits for a client at an address."""


class Kosoku(Engine):
    """Runs Autobahn's own case files on a quick engine."""

    package = "kosoku"
    ends = True

    def install(self) -> None:
        install(self.name, create_environment)

    def client(self, address: str, cases: list[str], reports: Path) -> list[str]:
        return [*self.command("fuzzingclient", cases, reports), "--parallelism", "2", f"ws://{address}"]

    def server(self, address: str, cases: list[str], reports: Path) -> list[str]:
        return [*self.command("fuzzingserver", cases, reports), address]

    def command(self, mode: str, cases: list[str], reports: Path) -> list[str]:
        selection = [argument for case in cases for argument in ("--include", case)]
        return [program(self.name), "--mode", mode, *selection, "--outdir", str(reports)]


class Wstest(Engine):
    """The original, a program for Python 2.7."""

    package = "autobahntestsuite"
    ends = False

    def install(self) -> None:
        install(self.name, create_environment_of_python2)

    def client(self, address: str, cases: list[str], reports: Path) -> list[str]:
        return self.command("fuzzingclient", {"servers": [{"url": f"ws://{address}"}]}, cases, reports)

    def server(self, address: str, cases: list[str], reports: Path) -> list[str]:
        return self.command("fuzzingserver", {"url": f"ws://{address}"}, cases, reports)

    def command(self, mode: str, where: dict[str, object], cases: list[str], reports: Path) -> list[str]:
        spec = reports / "spec.json"
        spec.write_text(json.dumps({**where, "cases": cases, "outdir": str(reports)}))
        # The web server for its pages is not needed.
        return [program(self.name), "--mode", mode, "--spec", str(spec), "--webport", "0"]


ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Kosoku(), Wstest())}


def requirements(name: str) -> Path:
    return HERE / "requirements" / f"{name}.txt"


def program(name: str) -> str:
    return str(WORK / name / "bin" / name)


def install(name: str, create: Callable[[Path], None]) -> None:
    """An environment with the packages of a list, made anew when the list changed."""
    wanted = requirements(name).read_text()
    folder = WORK / name
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    create(folder)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(requirements(name))], check=True)
    stamp.write_text(wanted)


def create_environment(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)


def create_environment_of_python2(folder: Path) -> None:
    python = find_python2()
    install("virtualenv", create_environment)
    subprocess.run([program("virtualenv"), "--quiet", "--clear", "--python", python, folder], check=True)


def find_python2() -> str:
    """An interpreter of Python 2.7: on the PATH, or a version of pyenv."""
    candidates = [["python2.7"]]
    if shutil.which("pyenv"):
        versions = subprocess.run(["pyenv", "versions", "--bare"], stdout=subprocess.PIPE, text=True, check=True).stdout
        candidates += [
            ["env", f"PYENV_VERSION={version}", "pyenv", "exec", "python2.7"]
            for version in fnmatch.filter(versions.split(), "2.7*")
        ]
    for candidate in candidates:
        # `python2.7` may be a shim of pyenv, which fails unless its version is selected.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            command = [*candidate, "-c", "import sys; print(sys.executable)"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    raise Failure(
        "the engine wstest needs Python 2.7, and there is none on the PATH or in pyenv: "
        "install it (`pyenv install 2.7.18`), or choose --engine kosoku"
    )
