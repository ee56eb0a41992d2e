"""What the tests share: recordings of other implementations, and a policy."""

from __future__ import annotations

import json
import os
import pathlib
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import libpi0

SOURCE = pathlib.Path(__file__).parents[2]
TINY = SOURCE / "examples" / "policy"
DTYPES = {"F32": "<f4", "U8": "|u1", "I32": "<i4", "BOOL": "|b1"}


def read_safetensors(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The recordings' own format, without a package for it: its cases, and its arrays."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    cases = json.loads(header.pop("__metadata__")["cases"])
    arrays = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        arrays[name] = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return cases, arrays


@contextmanager
def serving(checkpoint: pathlib.Path, *options: str, port: int = 0) -> Iterator[str]:
    """The URL of ``pi0 serve``: this package's own command, or PI0."""
    command = [os.environ["PI0"]] if "PI0" in os.environ else [sys.executable, "-m", "libpi0"]
    with subprocess.Popen(
        [*command, "serve", str(checkpoint), "--device=cpu", "--dtype=fp32", f"--port={port}", *options],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        said = ""
        for line in server.stderr:
            said += line
            if line == "pi0: ready\n":
                break
        found = re.search(r"ws://\S+", said)
        assert found, said
        try:
            yield found[0]
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def policy() -> libpi0.Policy:
    return libpi0.Policy(TINY, device="cpu", dtype="fp32", threads=1)


@pytest.fixture
def observation() -> dict[str, Any]:
    random = np.random.default_rng(3)
    return {
        "observation.images.base_0_rgb": random.integers(256, size=(120, 160, 3), dtype=np.uint8),
        "observation.state": np.array([0.1, 0.6, 0.2, 0.5], np.float32),
        "task": "open the drawer",
    }
