#!/usr/bin/env python3
"""Replays what `pi0 audit --json FILE` recorded on TTNN's own runtime, on its mock device.

    python3.10 -m pip install --no-deps ttnn==0.71.2
    pi0 audit --random pi0 --device ttnn-emulated --card n150 --json calls.json
    python3.10 tools/replay_on_mock.py calls.json --card n150

TTNN refuses what a card would refuse: shapes, layouts, masks, program configurations, memory. The
circular buffers of each call, which it does not hold against anything on the mock, this tool holds
against the card's L1. What was recorded of L1 must be TTNN's, or an audit would promise what a card
has no room for. No card, no torch. Exit status: 0 all accepted, 1 refused, 77 skipped because this
Python has no such TTNN.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ttnn_mock.replay import Findings, Replay, ReplayError, Worst
from ttnn_mock.runtime import CARDS, TTNN_VERSION, WHAT_IT_NEEDS, Card, Runtime, TtnnMissing

SKIPPED = 77  # CTest's SKIP_RETURN_CODE


def main() -> int:
    arguments = parse_arguments()
    try:
        operations = read_operations(arguments.recording)
    except (OSError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    card = CARDS[arguments.card]
    try:
        runtime = Runtime(card)
    except TtnnMissing as missing:
        print(f"SKIPPED: needs {WHAT_IT_NEEDS}; {missing}")
        return SKIPPED
    replay = Replay(runtime)
    refusal = None
    start = time.monotonic()
    try:
        replay.run(operations)
    except ReplayError as error:
        refusal = str(error)
    refusal = refusal or misjudged(replay.findings)
    seconds = time.monotonic() - start
    if arguments.json:
        report = {"ttnn": TTNN_VERSION, "card": card.name, "seconds": round(seconds, 2)}
        report |= {"refusal": refusal, **asdict(replay.findings)}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print_summary(replay.findings, card, seconds)
    if refusal:
        print(f"REFUSED {refusal}")
    runtime.close()
    return 1 if refusal else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path, help="what pi0 audit --json wrote")
    parser.add_argument("--card", choices=sorted(CARDS), required=True)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there")
    return parser.parse_args()


def read_operations(path: Path) -> list[dict[str, Any]]:
    recording = json.loads(path.read_text())
    if not isinstance(recording, dict) or not isinstance(recording.get("operations"), list):
        raise ValueError(f"{path}: no list of 'operations'; make it with pi0 audit --json")
    if not any(operation.get("inputs") for operation in recording["operations"]):
        raise ValueError(f"{path}: its operations have no 'inputs', so they cannot be replayed")
    return recording["operations"]


def misjudged(findings: Findings) -> str | None:
    """What the recording says of L1 that TTNN does not. More circular buffers are caution."""
    less, off = findings.recorded_less, findings.recorded_tensors_off
    if less.value:
        return f"{less.where}: {less.value} bytes of its circular buffers were not recorded"
    if off.value:
        return f"{off.where}: the recorded tensors in L1 are off by {off.value} bytes a core"
    return None


def print_summary(findings: Findings, card: Card, seconds: float) -> None:
    def of_l1(worst: Worst) -> str:
        share = 100 * worst.value / card.l1_bytes
        return f"{worst.value / 1024:.0f} KiB ({share:.0f} %) at {worst.where or 'no operation'}"

    print(f"TTNN {TTNN_VERSION} on a mock {card.name}: {findings.calls} calls in {seconds:.1f} s")
    print(f"  not replayed: {findings.transfers} transfers, {findings.on_host} on the host")
    print(f"  L1 per core: {card.l1_bytes / 1024:.0f} KiB")
    print(f"    most:             {of_l1(findings.peak_l1)}")
    print(f"    tensors:          {of_l1(findings.peak_tensors)}")
    print(f"    circular buffers: {of_l1(findings.peak_circular_buffers)}")
    if findings.compared:
        print(f"  recorded against TTNN's, at most, in {findings.compared} calls:")
        for what, worst in (
            ("circular buffers too large", findings.recorded_more),
            ("circular buffers too small", findings.recorded_less),
            ("tensors in L1 off", findings.recorded_tensors_off),
        ):
            where = f" at {worst.where}" if worst.where else ""
            print(f"    {what} by {worst.value} bytes{where}")
    if findings.views_recorded_as_copies:
        print(f"  recorded as copies, views to TTNN: {findings.views_recorded_as_copies}")
    for detour, times in sorted(findings.detours.items()):
        print(f"  detour: {detour}, {times} times")


if __name__ == "__main__":
    sys.exit(main())
