#!/usr/bin/env python3
"""Holds the arrows between rooms: a file under src/ includes only from rooms that its own uses.

The rooms and what each USES are read from CMakeLists.txt; docs/design.md must name the same rooms.
A test (x_test.cc, x_testing.h, test_support.h) may also include from its room's TESTS_USE.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TTNN = re.compile(r"#include <(ttnn|tt-metalium|tt_stl)/", re.MULTILINE)
THIRD_PARTY = re.compile(r"#include <(nlohmann|CLI|png|jpeg|sentencepiece|ttnn)", re.MULTILINE)
OF_TESTS = re.compile(r"(_test\.cc|_testing\.(h|cc)|/test_support\.h)$")
KERNELS = "device/cpu/kernels"  # compiled by pi0_cpu_kernels(); includes nothing of ours


def rooms_of_cmake() -> dict[str, dict[str, set[str]]]:
    """A room's name -> {"USES": rooms, "TESTS_USE": rooms}."""
    rooms = {KERNELS: {"USES": set(), "TESTS_USE": set()}}
    text = re.sub(r"#.*", "", (ROOT / "CMakeLists.txt").read_text())
    for call in re.findall(r"\bpi0_room\(([^()]*)\)", text):
        name, *words = call.split()
        rooms[name] = {"USES": set(), "TESTS_USE": set()}
        kind = ""
        for word in words:
            if word in ("PARSES", "COMPUTES", "USES", "TESTS_USE", "LIBRARIES"):
                kind = word
            elif kind in rooms[name]:
                rooms[name][kind].add(word)
    return rooms


def room_of(path: pathlib.PurePath) -> str:
    """The room that a path relative to src/ lies in."""
    return path.parent.as_posix()


def main() -> int:
    rooms = rooms_of_cmake()
    wrong = []
    for name, room in rooms.items():
        for other in (room["USES"] | room["TESTS_USE"]) - rooms.keys():
            wrong.append(f"CMakeLists.txt: {name} uses {other}, which is no room")
    design = (ROOT / "docs/design.md").read_text()
    described = set(re.findall(r"^\| `src/([\w/]+)/`", design, re.MULTILINE))
    for name in sorted(described ^ rooms.keys()):
        found = "CMakeLists.txt" if name in rooms else "docs/design.md"
        wrong.append(f"{name}: a room in {found} alone, expected in CMakeLists.txt and docs/design.md")
    used = {name: set() for name in rooms}
    for path in sorted(p for p in (ROOT / "src").rglob("*") if p.suffix in (".h", ".cc")):
        relative = path.relative_to(ROOT / "src")
        name = room_of(relative)
        if name not in rooms:
            wrong.append(f"src/{relative}: no such room in CMakeLists.txt")
            continue
        allowed = {"pi0", name} | rooms[name]["USES"]
        if OF_TESTS.search(path.as_posix()):
            allowed |= rooms[name]["TESTS_USE"]
        text = path.read_text()
        if TTNN.search(text) and name != "device/ttnn/real":
            wrong.append(f"src/{relative}: includes TTNN, which only device/ttnn/real/ may")
        for include in re.findall(r'#include "([^"]+)"', text):
            target = room_of(pathlib.PurePath(include))
            used[name].add(target)
            if target not in allowed:
                wrong.append(f"src/{relative}: includes {include}, but {name}/ does not use {target}/")
    for name, room in rooms.items():
        for other in sorted((room["USES"] | room["TESTS_USE"]) - used[name]):
            wrong.append(f"CMakeLists.txt: {name} uses {other}, but includes nothing of it")
    for path in sorted((ROOT / "include").rglob("*.h")):
        text = path.read_text()
        if THIRD_PARTY.search(text) or re.search(r'#include "(?!pi0/)', text):
            wrong.append(
                f"{path.relative_to(ROOT)}: a public header includes more than pi0/ and std"
            )
    print("\n".join(wrong) if wrong else "rooms: every arrow holds", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
