#!/usr/bin/env python3
"""What a call from Python costs beside the C++ call inside it; two threads; memory.

  PYTHONPATH=build/release/python/package python bench/python_overhead.py examples/policy [--calls N]
      [--warm N] [--grow N] [--dtype int8] [--one-policy]

Three images of 480x640, as numpy has them. The C++ call's own time is its total_ms, measured inside
it; the rest of the call is the binding: looking keys up, numpy's arrays in and out. `--grow` calls as
often again and tells how memory grew. Two threads, each with a policy of one thread on a core of its
own, are compared with one of them alone, in turns; `--one-policy` leaves that out, at full size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from typing import Any

import numpy as np

import libpi0


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def observation_for(policy: libpi0.Policy) -> dict[str, Any]:
    random = np.random.default_rng(0)
    seen: dict[str, Any] = {
        key: random.integers(256, size=(480, 640, 3), dtype=np.uint8) for key in policy.info["image_keys"]
    }
    seen[policy.info["state_keys"][0]] = random.random(policy.info["state_dims"] or 7).astype(np.float32)
    seen[policy.info["prompt_key"]] = "open the drawer"
    return seen


def calls_a_second(policies: list[libpi0.Policy], seconds: float) -> float:
    """All of them at once, each in a thread of its own."""
    counts = [0] * len(policies)
    end = time.perf_counter() + seconds

    def call(which: int) -> None:
        seen = observation_for(policies[which])
        while time.perf_counter() < end:
            policies[which].infer(seen, time_stages=False)
            counts[which] += 1

    threads = [threading.Thread(target=call, args=(which,)) for which in range(len(policies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--one-policy", action="store_true")
    parser.add_argument("--grow", type=int, default=0)
    parser.add_argument("--dtype", default="fp32")
    arguments = parser.parse_args()

    policy = libpi0.Policy(arguments.checkpoint, device="cpu", dtype=arguments.dtype, threads=1, affinity=[0])
    seen = observation_for(policy)
    for _ in range(arguments.warm):
        policy.infer(seen)
    inside, beside = [], []
    for _ in range(arguments.calls):
        begin = time.perf_counter()
        timing = policy.infer(seen)["policy_timing"]
        wall = (time.perf_counter() - begin) * 1e3
        inside.append(timing["infer_ms"] + timing["preprocess_ms"])
        beside.append(wall - inside[-1])
    inside.sort()
    beside.sort()
    last = len(beside) - 1
    print(f"{arguments.calls} calls: C++ P50 {statistics.median(inside):.3f} ms")
    print(
        f"beside it: P50 {statistics.median(beside):.3f}, P95 {beside[int(0.95 * last)]:.3f} ms, "
        f"{100 * statistics.median(beside) / statistics.median(inside):.2f} %"
    )

    if not arguments.one_policy:
        other = libpi0.Policy(arguments.checkpoint, device="cpu", dtype=arguments.dtype, threads=1, affinity=[1])
        ratios = []
        for _ in range(5):
            alone = calls_a_second([policy], 1.0)
            ratios.append(calls_a_second([policy, other], 1.0) / alone)
        print(f"two threads, a policy each: {statistics.median(ratios):.2f} times one (median of {len(ratios)})")

    if arguments.grow:
        for _ in range(arguments.grow // 10):
            policy.infer(seen, steps=1)
        before = resident()
        for _ in range(arguments.grow):
            policy.infer(seen, steps=1)
        grown = resident() - before
        print(f"{arguments.grow} calls: {before / 2**20:.1f} MiB, then {grown / 2**20:+.2f} MiB")


if __name__ == "__main__":
    main()
