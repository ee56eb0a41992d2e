"""What is said of types is true: mypy on the package and its user, stubtest on the module."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import SOURCE

import libpi0
from libpi0 import _core

CONFIGURATION = ("--config-file", str(SOURCE / "python" / "mypy.ini"))
USER = """
import numpy as np
import libpi0

policy = libpi0.Policy("checkpoint/", device="auto", dtype="int8", threads=2)
result = policy.infer({"observation.state": np.zeros(4), "task": "open"}, seed=1)
reveal_type(result["actions"])
reveal_type(policy.info["action_horizon"])
client = libpi0.Client(api_key="k")
reveal_type(client.infer({}, hz=50)["server_timing"]["infer_ms"])
policy.infer({}, sede=1)
"""


def run(*command: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    folder = pathlib.Path(libpi0.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(folder), "MYPYPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment, cwd=SOURCE
    )


@pytest.fixture(autouse=True)
def needs_mypy() -> None:
    pytest.importorskip("mypy", reason="pip install mypy: types are not checked without it")


def test_the_package_is_strict(tmp_path: pathlib.Path) -> None:
    done = run("mypy", *CONFIGURATION, f"--cache-dir={tmp_path}", "-p", "libpi0")
    assert done.returncode == 0, done.stdout


def test_a_users_mistake_is_found(tmp_path: pathlib.Path) -> None:
    user = tmp_path / "user.py"
    user.write_text(USER)
    out = run("mypy", *CONFIGURATION, f"--cache-dir={tmp_path}", str(user)).stdout
    assert re.search(r'Revealed type is "numpy.ndarray\[.*(float32|_32Bit)', out), out
    assert re.search(r':8: .*"(builtins\.)?int"', out), out
    assert re.search(r':10: .*"(builtins\.)?float"', out), out
    assert "sede" in out and "Found 1 error" in out, out


def test_the_stub_is_the_module() -> None:
    done = run(
        "mypy.stubtest",
        "libpi0._core",
        f"--mypy-config-file={CONFIGURATION[1]}",
        f"--allowlist={SOURCE / 'python' / 'stubtest_allowlist.txt'}",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_has_the_modules_parameters() -> None:
    stub = ast.parse((SOURCE / "python" / "libpi0" / "_core.pyi").read_text())
    for item in stub.body:
        if not isinstance(item, ast.ClassDef):
            continue
        for method in item.body:
            if not isinstance(method, ast.FunctionDef):
                continue
            names = [argument.arg for argument in method.args.args]
            runtime = getattr(getattr(_core, item.name), method.name)
            said = runtime.__doc__.splitlines()[0]
            assert re.findall(r"[(,] ?(\w+)(?=[:,)])", re.sub(r"\[[^\]]*\]", "", said)) == names, said
