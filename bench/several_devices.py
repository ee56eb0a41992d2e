#!/usr/bin/env python3
"""A batch on one device beside the same batch on two: how many times as fast.

  PYTHONPATH=build/release/python/package python bench/several_devices.py CHECKPOINT [--device cpu,cpu]
      [--threads 1] [--batch 16] [--rounds 10]

One and two take turns, so that what else the machine does meets both. The actions must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import libpi0


def observations(policy: libpi0.Policy, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    info = policy.info
    return [
        {
            **{key: random.integers(256, size=(224, 224, 3), dtype=np.uint8) for key in info["image_keys"]},
            info["state_keys"][0]: random.random(info["state_dims"] or 7).astype(np.float32),
            info["prompt_key"]: "open the drawer",
        }
        for _ in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--device", default="cpu,cpu", help="both; the first of them is the one device")
    parser.add_argument("--threads", type=int, default=1, help="of each")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()

    options = {"threads": arguments.threads} if arguments.device.startswith("cpu") else {}
    one = libpi0.Policy(arguments.checkpoint, device=arguments.device.split(",")[0], **options)
    both = libpi0.Policy(arguments.checkpoint, device=arguments.device, **options)
    batch = observations(one, arguments.batch)

    def seconds(policy: libpi0.Policy) -> tuple[float, list[Any]]:
        begin = time.perf_counter()
        answers = policy.infer_batch(batch, seed=1)
        return time.perf_counter() - begin, [answer["actions"] for answer in answers]

    for policy in (one, both, one, both):  # a card compiles and captures
        seconds(policy)
    ratios = []
    for _ in range(arguments.rounds):
        alone, expected = seconds(one)
        shared, actions = seconds(both)
        assert all(np.array_equal(a, b) for a, b in zip(expected, actions, strict=True))
        ratios.append(alone / shared)
    print(f"one:  {one.info['device']}, {alone / arguments.batch * 1e3:.2f} ms an observation")
    print(f"both: {both.info['device']}, {shared / arguments.batch * 1e3:.2f} ms")
    print(f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
