#!/usr/bin/env python3
"""Counts test cases from what a test runner wrote: prints "passed failed skipped".

usage: count_tests.py meson|tap|vitest FILE
A missing or unreadable file is one failure: a runner that died before it wrote must not look like success.
"""
import json
import re
import sys
from pathlib import Path

CMOCKA_PLAN = re.compile(r"^\[=+\] (?:\w+: )?Running (\d+) test", re.MULTILINE)
CMOCKA_OK = re.compile(r"^\[ +OK +\]", re.MULTILINE)
CMOCKA_SKIPPED = re.compile(r"^\[ +SKIPPED +\] (\w+)$", re.MULTILINE)


def count_cmocka(test):
    """Counts the cases of one test program: what was planned and neither ended well nor was skipped has failed, be it
    by an assertion or by the program's death. A program that is no cmocka program is one case."""
    planned = sum(int(number) for number in CMOCKA_PLAN.findall(test.get("stdout", "")))
    passed = len(CMOCKA_OK.findall(test.get("stdout", "")))
    skipped = len(set(CMOCKA_SKIPPED.findall(test.get("stdout", ""))))  # each is named again in the closing list
    succeeded = test.get("result") in ("OK", "EXPECTEDFAIL")
    if planned == 0:
        if test.get("result") == "SKIP":
            return 0, 0, 1
        return (1, 0, 0) if succeeded else (0, 1, 0)
    failed = max(0, planned - passed - skipped)
    if not succeeded:  # a sanitizer's report at the end comes after the last case
        failed = max(1, failed)
    return passed, failed, skipped


def count_meson(text):
    totals = [0, 0, 0]
    for line in text.splitlines():
        for index, number in enumerate(count_cmocka(json.loads(line))):
            totals[index] += number
    return totals


def count_node_tap(text):
    """Node's runner closes with "# pass N" and its kin at the outermost level."""
    def last(word):
        return int(re.findall(rf"^# {word} (\d+)$", text, re.MULTILINE)[-1])

    return last("pass"), last("fail") + last("cancelled"), last("skipped") + last("todo")


def count_vitest(text):
    report = json.loads(text)
    failed = report["numFailedTests"]
    if not report["success"] and failed == 0:
        failed = 1
    return report["numPassedTests"], failed, report["numPendingTests"] + report.get("numTodoTests", 0)


COUNTERS = {"meson": count_meson, "tap": count_node_tap, "vitest": count_vitest}


def main():
    kind, path = sys.argv[1], Path(sys.argv[2])
    try:
        counts = COUNTERS[kind](path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, IndexError, KeyError) as error:
        print(f"count_tests: {path} cannot be counted: {error!r}", file=sys.stderr)
        counts = (0, 1, 0)
    print(*counts)


main()
