#!/usr/bin/env python3
"""Holds the arrows between rooms: a file under src/ includes only from rooms its own may use.

The rooms and their arrows are those of docs/design.md. Tests may also use src/files to read
goldens, and the reference device to compare with.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = {
    "files": [],
    "device": [],
    "device/reference": ["device"],
    "device/cpu": ["device", "device/cpu/kernels"],
    "device/cpu/kernels": [],
    "device/ttnn": ["device"],
    "device/registry": ["device", "device/reference", "device/cpu", "device/ttnn"],
    "model": ["device"],
    "checkpoint": ["model", "device", "files"],
    "image": ["files"],
    "prompt": ["files"],
    "policy": ["checkpoint", "image", "prompt", "model", "device", "device/registry", "device/cpu", "files"],
    "check": ["policy", "checkpoint", "image", "prompt", "model", "device", "device/registry", "device/cpu", "files"],
    "cli": ["check", "policy", "checkpoint", "model", "device", "device/registry", "device/cpu", "files"],
}
TTNN = re.compile(r"#include <(ttnn|tt-metalium|tt_stl)/", re.MULTILINE)
THIRD_PARTY = re.compile(r"#include <(nlohmann|CLI|png|jpeg|sentencepiece|ttnn)", re.MULTILINE)


def room_of(path: pathlib.PurePath) -> str:
    """The room that a path relative to src/ lies in."""
    return path.parent.as_posix()


def main() -> int:
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.[hc]*")):
        relative = path.relative_to(ROOT / "src")
        room = room_of(relative)
        if room not in ROOMS:
            wrong.append(f"src/{relative}: no such room; name it in tools/check_rooms.py")
            continue
        allowed = {room, *ROOMS[room]} | ({"files", "device/reference"} if path.name.endswith(("_test.cc", "_testing.h")) else set())
        text = path.read_text()
        if TTNN.search(text) and not relative.as_posix().startswith("device/ttnn/real_shim"):
            wrong.append(f"src/{relative}: includes TTNN, which only device/ttnn/real_shim* may")
        for include in re.findall(r'#include "([^"]+)"', text):
            target = room_of(pathlib.PurePath(include))
            if target != "pi0" and target not in allowed:
                wrong.append(
                    f"src/{relative}: includes {include}, but {room}/ may not use {target}/"
                )
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
