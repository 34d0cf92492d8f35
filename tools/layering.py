#!/usr/bin/env python3
"""Who may include whom in src/, and who may name a vendor. The tables below are the rules; docs/architecture explains them.

Prints one line a breach and ends 1, or nothing and 0.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A room may include headers of the rooms in its row, and its own.
MAY_CALL = {
    "base": "",
    "store": "base",
    "http": "base",
    "security": "base store http",
    "jobs": "base store http",
    "runtime": "base store http security jobs",
    "monitoring": "base store http security jobs runtime",
    "configuration": "base store http security jobs",
    "gateway": "base store http security jobs runtime",
    "deployment": "base store http security jobs runtime configuration gateway",
    "integrations": "base store http security jobs runtime monitoring configuration gateway deployment",
    "hub": "base store http security jobs runtime monitoring configuration gateway deployment integrations",
    "cli": "base",
    "main.c": "base hub cli",
}

# Only these rooms may name a vendor in code. Words of the contract (strings) may carry a vendor's name anywhere.
MAY_NAME_VENDORS = {"integrations", "hub"}
VENDORS = (
    "docker moby portainer consul caddy tailscale headscale cloudflare hetzner digitalocean azure datadog newrelic "
    "sentry honeybadger doppler github gitlab travis codecov codescene blackfire browserstack lambdatest"
).split()

SHELL_CALLS = re.compile(r"\b(system|popen)\s*\(")
MAX_LINES = 800

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
WORD = re.compile(r"[A-Za-z_]\w*")


def room_of(path):
    """The folder below src/; main.c is a room of its own."""
    return path.relative_to(ROOT / "src").parts[0]


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def breaches_of_includes(path, text):
    room = room_of(path)
    if room not in MAY_CALL:
        yield 1, f"the room {room} has no row in tools/layering.py"
        return
    allowed = set(MAY_CALL[room].split()) | {room}
    for match in INCLUDE.finditer(text):
        header = match.group(1)
        if not (ROOT / "src" / header).exists():
            continue  # generated, or beside the file
        if header.split("/")[0] not in allowed:
            yield line_of(text, match.start()), f"{room} may not include {header}"


def breaches_of_names(path, code):
    if room_of(path) not in MAY_NAME_VENDORS:
        for match in WORD.finditer(code):
            vendor = next((v for v in VENDORS if v in match.group(0).lower()), None)
            if vendor:
                yield line_of(code, match.start()), f"{match.group(0)} names the vendor {vendor} outside src/integrations and src/hub"
    for match in SHELL_CALLS.finditer(code):
        yield line_of(code, match.start()), f"{match.group(1)}() starts a shell"


def breaches(path):
    text = path.read_text(encoding="utf-8")
    code = COMMENT_OR_STRING.sub(blank, text)
    yield from breaches_of_includes(path, text)
    yield from breaches_of_names(path, INCLUDE.sub(blank, code))
    if text.count("\n") >= MAX_LINES:
        yield MAX_LINES, f"{text.count(chr(10))} lines, the house's limit is {MAX_LINES - 1}"


def main():
    found = 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        for line, what in breaches(path):
            print(f"{path.relative_to(ROOT)}:{line}: {what}")
            found += 1
    return 1 if found else 0


sys.exit(main())
