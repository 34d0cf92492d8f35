#!/usr/bin/env python3
"""Prints gcovr's summary as one line a room (the folder below src/)."""
import json
import sys
from collections import defaultdict


def percent(covered, total):
    return f"{100 * covered / total:5.1f}%" if total else "    -"


def main():
    rooms = defaultdict(lambda: [0, 0, 0, 0])
    with open(sys.argv[1], encoding="utf-8") as file:
        for entry in json.load(file)["files"]:
            parts = entry["filename"].split("/")
            room = parts[1] if len(parts) > 2 else "main"
            numbers = ("line_covered", "line_total", "branch_covered", "branch_total")
            for name in (room, "all"):
                for index, key in enumerate(numbers):
                    rooms[name][index] += entry[key]
    print(f"{'room':<16}{'lines':>8}{'covered':>10}{'branches':>10}{'covered':>10}")
    for name in sorted(rooms, key=lambda room: (room == "all", room)):
        lines_hit, lines, branches_hit, branches = rooms[name]
        print(f"{name:<16}{lines:>8}{percent(lines_hit, lines):>10}{branches:>10}{percent(branches_hit, branches):>10}")


main()
