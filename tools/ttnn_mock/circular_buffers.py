"""Reads a graph that TTNN captured of one call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_RANGE = re.compile(r"\[(\d+)-(\d+) - (\d+)-(\d+)\]")  # of cores, x-y of two corners


@dataclass
class CallGraph:
    programs: list[str]  # the device operations that it ran, "MatmulDeviceOperation"
    circular_buffer_bytes: int  # of the core, and the program, that has most


def read_graph(nodes: Iterable[dict[str, Any]]) -> CallGraph:
    programs = []
    per_core: dict[tuple[int, int], int] = {}
    most = 0
    for node in nodes:
        kind, params = node["node_type"], node["params"]
        if kind == "function_start":
            name = params["name"]
            # Allocations and views have names with "::"; they run nothing.
            if "::" not in name:
                programs.append(name)
        elif kind == "circular_buffer_deallocate_all":  # a program begins
            per_core = {}
        elif kind == "circular_buffer_allocate" and params["globally_allocated"] == "0":
            for core in _cores(params["core_range_set"]):
                per_core[core] = per_core.get(core, 0) + int(params["size"])
            most = max(most, max(per_core.values(), default=0))
    return CallGraph(programs, most)


def _cores(ranges: str) -> Iterable[tuple[int, int]]:
    for match in _RANGE.finditer(ranges):
        x0, y0, x1, y1 = map(int, match.groups())
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                yield x, y
