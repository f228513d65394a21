"""Records the terminal of README.md as an animated SVG, docs/terminal.svg.

    cargo build && python3 docs/record.py target/debug/multiwa-ws

Runs the program and takes its real output. What differs from run to run is replaced: the port, the time of day and measured
times. So the same program gives the same file, and `--check` fails if the committed file is not the one of this program.
"""

import argparse
import html
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

FILE = pathlib.Path(__file__).with_name("terminal.svg")

EVENTS = """\
{"profileId":"profile-123","event":"session.status","data":{"status":"connected","phone":"4930901820"}}
{"profileId":"profile-123","event":"message.received","data":{"id":"1","from":"628123456789@c.us","body":"Is the order on its way?","type":"chat","timestamp":"2026-02-05T10:00:00.000Z","hasMedia":false}}
{"profileId":"profile-123","event":"order.paid","data":{"order":7,"total":"12.50"}}
"""
SERVE = "multiwa-ws serve --api-key secret --wait-for-listeners 1 < events.jsonl"
LISTEN = "multiwa-ws listen ws://127.0.0.1:3001/ws --api-key secret --profile profile-123 --count 3"
DOCTOR = "multiwa-ws doctor ws://127.0.0.1:3001/ws --api-key secret"

# Seconds: for a command to be typed, between two lines of output, to read the result of a command, before the next round.
TYPING, LINE, READING, END = 1.2, 0.35, 2.0, 6.0

COLUMNS, LINE_HEIGHT, COLUMN_WIDTH, MARGIN = 98, 19, 8.2, 14
COLORS = {"command": "#e6edf3", "output": "#9da7b3"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path, help="the program multiwa-ws")
    parser.add_argument("--check", action="store_true", help="compare with the committed file instead of writing it")
    arguments = parser.parse_args()
    drawing = draw(*record(arguments.program.resolve()))
    if not arguments.check:
        FILE.write_text(drawing)
    elif FILE.read_text() != drawing:
        sys.exit(f"{FILE.name} is not a recording of this program: run python3 docs/record.py {arguments.program}")


def record(program):
    """Returns the lines of the two terminals, each with the second when it appears, whether it is a command, and its text."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MULTIWA_WS_API_KEY", "CLICOLOR_FORCE")}
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "events.jsonl").write_text(EVENTS)

        def start(command):
            # A shell executes its last command in its own process, which receives the signals.
            return subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        server = start(SERVE.replace("serve", "serve --listen 127.0.0.1:0"))
        try:
            first = server.stdout.readline()
            port = re.search(r":(\d+)/", first).group(1)
            serving = [first]
            while "waits for listeners" not in serving[-1]:
                serving.append(server.stdout.readline())
                if not serving[-1]:
                    sys.exit("the server has ended: " + "".join(serving))
            listening, examining = (
                start(command.replace(":3001", f":{port}")).communicate(timeout=60)[0].splitlines()
                for command in (LISTEN, DOCTOR))
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)

    now = TYPING
    upper, lower = [(0.0, True, SERVE)], []
    for line in serving:
        upper.append((now, False, replaced(line.rstrip("\n"), port)))
        now += LINE
    for command, output in ((LISTEN, listening), (DOCTOR, examining)):
        now += READING
        lower.append((now, True, command))
        now += TYPING
        for line in output:
            lower.append((now, False, replaced(line, port)))
            now += LINE
    return upper, lower, now + END


def replaced(line, port):
    """A line without what differs from run to run."""
    line = line.replace(f":{port}", ":3001")
    line = re.sub(r"^\d\d:\d\d:\d\d ", "10:15:09 ", line)
    return re.sub(r" +\d+\.\d ms", lambda figure: "0.2 ms".rjust(len(figure.group())), line)


def draw(upper, lower, duration):
    """An SVG of two terminals, one above the other, whose lines appear one after the other."""
    width = round(COLUMNS * COLUMN_WIDTH + 4 * MARGIN)
    styles, texts, top = [], [], MARGIN
    for title, lines in (("the server", upper), ("another terminal", lower)):
        rows = [(at, kind, row) for at, command, text in lines
                for kind, row in wrapped("command" if command else "output", text)]
        height = (len(rows) + 1) * LINE_HEIGHT + 2 * MARGIN
        texts.append(f'<rect x="{MARGIN}" y="{top}" width="{width - 2 * MARGIN}" height="{height}" rx="8" fill="#161b22"/>')
        texts.append(f'<text x="{2 * MARGIN}" y="{top + MARGIN + 8}" fill="#6e7681">{title}</text>')
        for number, (at, kind, row) in enumerate(rows, start=1):
            name = f"l{len(styles)}"
            start = 100 * at / duration
            styles.append(
                f"@keyframes {name}{{0%,{start:.2f}%{{opacity:0}}{start + 0.01:.2f}%,100%{{opacity:1}}}}"
                f".{name}{{animation:{name} {duration:.2f}s infinite}}")
            y = top + MARGIN + 8 + number * LINE_HEIGHT
            texts.append(
                f'<text class="{name}" x="{2 * MARGIN}" y="{y}" fill="{COLORS[kind]}">{html.escape(row, quote=False)}</text>')
        top += height + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" role="img">',
        "<title>A server publishes three events, a listener prints them, and doctor checks the way to the server.</title>",
        "<style>text{font:13.6px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}",
        *styles,
        # Who does not want motion sees all lines at once.
        "@media (prefers-reduced-motion:reduce){text{animation:none!important}}</style>",
        f'<rect width="{width}" height="{top}" fill="#0d1117"/>',
        *texts,
        "</svg>",
        "",
    ])


def wrapped(kind, text):
    """The rows of a line: a terminal breaks what is longer than its width."""
    text = f"$ {text}" if kind == "command" else text
    return [(kind, text[start:start + COLUMNS]) for start in range(0, max(len(text), 1), COLUMNS)]


main()
