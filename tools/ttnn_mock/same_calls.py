#!/usr/bin/env python3
"""Says whether two audits (`pi0 audit --json`) recorded the same calls with the same arguments.

    tools/ttnn_mock/same_calls.py ONE.json OTHER.json

For the two forms of the shim: --device ttnn (on a card, or on TTNN's mock) and ttnn-emulated. What
memory a call left is not compared, nor whether it was captured: the mock has no traces.
"""

import json
import sys

MEMORY = {"circular_buffer_bytes", "l1_bytes_per_core", "dram_bytes", "live_tensors"}
NOT_COMPARED = {"captured", "output", "queue"}  # numbers of traces, handles and queues


def calls(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        operations = json.load(file)["operations"]
    kept = []
    for operation in operations:
        if operation["name"].startswith("ttnn.execute"):
            continue
        call = {key: value for key, value in operation.items() if key not in MEMORY}
        for side in ("inputs", "outputs"):
            call[side] = [
                {key: value for key, value in operand.items() if key not in ("id", "buffer")}
                for operand in operation.get(side, [])
            ]
        call["attributes"] = {
            key: value
            for key, value in operation.get("attributes", {}).items()
            if key not in NOT_COMPARED
        }
        kept.append(call)
    return kept


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    one, other = calls(sys.argv[1]), calls(sys.argv[2])
    for number, (a, b) in enumerate(zip(one, other)):
        if a == b:
            continue
        print(f"call {number} differs: {a['name']} of {a['component']} {a['index']}")
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                print(f"  {key}: {a.get(key)}\n  {' ' * len(key)}  {b.get(key)}")
        return 1
    if len(one) != len(other):
        print(f"{len(one)} calls and {len(other)}")
        return 1
    print(f"the same {len(one)} calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
