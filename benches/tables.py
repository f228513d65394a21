#!/usr/bin/env python3
"""Writes the tables of docs/performance.md from what `compare --json FILE` measured.

    python3 benches/tables.py FILE [NATIVE]

NATIVE is what a build for this machine measured (`RUSTFLAGS="-C target-cpu=native"`): the tables `native SUBJECT`. Each stands
between `<!-- table: SUBJECT -->` and `<!-- end -->`; what is there is replaced.
"""

import json
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
MARKS = re.compile(r"(<!-- table: (native )?(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Everything but this is better when it is smaller.
MORE_IS_BETTER = "thousand deliveries a second"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    reports = [json.loads(Path(file).read_text()) for file in sys.argv[1:]]

    def table(match):
        if match[2] and len(reports) == 1:
            return match[0]
        return match[1] + section(reports[1 if match[2] else 0], match[3]) + match[4]

    PAGE.write_text(MARKS.sub(table, PAGE.read_text()))


def section(report, subject):
    if subject == "machine":
        return f"{report['machine']}.\n"
    cases = [case for case in report["cases"] if case["subject"] == subject]
    if not cases:
        return "Not measured yet.\n"
    head = ["case", "ours", "best peer", "times", "next peers", "reference"]
    evaluated = any(case.get("goals") for case in cases)
    if evaluated:
        head.append("goal")
    lines = [f"In {cases[0]['unit']}.", "", line(head), line("---" for _ in head)]
    lines += [line(row(case)[:len(head)]) for case in cases]
    return "\n".join(lines) + "\n"


def row(case):
    more = case["unit"] == MORE_IS_BETTER
    ranked = sorted(case["results"], key=lambda score: score["value"], reverse=more)
    by = {standing: [score for score in ranked if score["standing"] == standing]
          for standing in ("ours", "peer", "reference")}
    ours, peers = by["ours"][0], by["peer"]
    times = ""
    if peers:
        ratio = ours["value"] / peers[0]["value"] if more else peers[0]["value"] / ours["value"]
        times = f"{ratio:.2f}"
    # Who of ours it is, where several take part.
    shown = ", ".join(map(name, by["ours"])) if len(by["ours"]) > 1 else figure(ours["value"])
    cells = [case["name"], shown, *map(name, peers[:1] or [None]), times,
             ", ".join(map(name, peers[1:4])), ", ".join(map(name, by["reference"])),
             "; ".join(map(goal, case.get("goals", [])))]
    return cells


def line(cells):
    return "| " + " | ".join(cells) + " |"


def name(score):
    return "" if score is None else f"{figure(score['value'])} {score['name']}"


def goal(verdict):
    wanted = verdict["goal"].replace("at most ", "at most %s " % figure(verdict["wanted"]))
    if not verdict["goal"].startswith("at most"):
        wanted = f"{verdict['wanted']:.2f} {verdict['goal']}"
        wanted += f" ({verdict['reached']:.2f})"
    return ("met: " if verdict["met"] else "**short**: ") + wanted


def figure(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    main()
