#!/usr/bin/env python3
"""Writes the tables of docs/performance.md from what `compare --json FILE` measured.

    python3 benches/tables.py FILE

Each stands between `<!-- table: SUBJECT -->` and `<!-- end -->`; what is there is replaced.
"""

import json
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
MARKS = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Everything but this is better when it is smaller.
MORE_IS_BETTER = "thousand deliveries a second"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    report = json.loads(Path(sys.argv[1]).read_text())
    page = MARKS.sub(lambda match: match[1] + section(report, match[2]) + match[3], PAGE.read_text())
    PAGE.write_text(page)


def section(report, subject):
    if subject == "machine":
        return f"{report['machine']}.\n"
    cases = [case for case in report["cases"] if case["subject"] == subject]
    if not cases:
        return "Not measured yet.\n"
    head = ["case", "ours", "best peer", "times", "next peers", "reference"]
    judged = any(case.get("goals") for case in cases)
    if judged:
        head.append("wanted")
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
    cells = [case["name"], figure(ours["value"]), *map(name, peers[:1] or [None]), times,
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
