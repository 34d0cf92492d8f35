#!/usr/bin/env python3
"""Writes docs/architecture/deployment.md from src/deployment/machine.h: the diagram, the table of steps and moves as the
code has them. `deployment_doc.py --check` says whether the page is stale and ends 1."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "src/deployment/machine.h"
PAGE = ROOT / "docs/architecture/deployment.md"


def comment(text):
    """The header's opening comment without its stars, in paragraphs of lines."""
    body = re.match(r"/\*(.*?)\*/", text, re.DOTALL).group(1)
    return [re.sub(r"^ \* ?", "", line) if i else line.strip() for i, line in enumerate(body.rstrip().split("\n"))]


def rows(text):
    table = re.search(r"#define DEPLOYMENT_STEPS\(X\)(.*?)\n\n", text, re.DOTALL).group(1).replace("\\\n", "\n")
    found = re.findall(r'X\(STEP_\w+,\s*"(\w+)",\s*"(\w+)",\s*(\d+),\s*(\d+),\s*"([^"]*)"\)', table)
    if len(found) != table.count("X(STEP_"):
        sys.exit(f"{HEADER}: a row of the table is written otherwise than the others")
    return found


def duration(seconds):
    seconds = int(seconds)
    return f"{seconds // 60} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds} s"


def page(text):
    lines = comment(text)
    drawing = [line for line in lines if re.match(r" {2,}\S", line)]
    words = " ".join(line for line in lines if line and line not in drawing)
    out = ["# How a deployment runs", "",
           "Made by `tools/deployment_doc.py` from `src/deployment/machine.h`; do not edit.", "", words, "", "```text"]
    out += [line[2:] for line in drawing]
    out += ["```", "", "| step | state | progress | deadline | how it is undone |", "|---|---|---|---|---|"]
    out += [f"| `{name}` | `{state}` | {progress} % | {duration(deadline)} | {undo} |"
            for name, state, progress, deadline, undo in rows(text)]
    out += ["", "What the owner may choose himself (a drain's limit, a stop's grace, a health check's own times) is added to its",
            "step's deadline. Each step has a mark in the journal before it and after it; a hub that starts again goes on from the",
            "last one, and each step finds its own half-done work by names made from the deployment's id and the instance's number.",
            "Why it ends as it does: decisions 0011 (endings), 0012 (what a switch is judged by).", ""]
    return "\n".join(out)


def main():
    wanted = page(HEADER.read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
            sys.exit(f"{PAGE.relative_to(ROOT)} is stale: python3 tools/deployment_doc.py")
        return
    PAGE.write_text(wanted, encoding="utf-8")


main()
