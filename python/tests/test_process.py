"""Signals, forks and memory: each in a process of its own."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import TINY

LOAD = f"""
import os, sys, time
import numpy as np
import libpi0
policy = libpi0.Policy({str(TINY)!r}, device="cpu", dtype="fp32", threads=2)
observation = {{
    "observation.images.base_0_rgb": np.zeros((48, 64, 3), np.uint8),
    "observation.state": [0.1, 0.6, 0.2, 0.5],
    "task": "open the drawer",
}}
"""


def run(code: str, timeout: float = 120) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOAD + code], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ctrl_c_stops_a_call_between_steps() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            LOAD
            + """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
print("computing", flush=True)
try:
    policy.infer_batch([observation] * 200, steps=1000)
except KeyboardInterrupt:
    print("stopped", policy.infer(observation)["actions"].shape)
""",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "computing\n"
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        assert process.communicate(timeout=60)[0] == "stopped (16, 4)\n"
    finally:
        process.kill()
    assert time.monotonic() - begin < 30  # of minutes


def test_what_is_dropped_while_another_thread_computes_lets_it_finish() -> None:
    out = run(
        """
import threading
computing = threading.Event()
busy, idle = policy.session(), policy.session()
given = []
def compute():
    given.append(busy.infer(observation, steps=300, progress=lambda *_: computing.set()))
for name in ("idle", "policy"):  # each waits for the card or the cores, which the call has
    computing.clear()
    calling = threading.Thread(target=compute)
    calling.start()
    computing.wait()
    del globals()[name]
    calling.join()
print(*(chunk["actions"].shape for chunk in given))
"""
    )
    assert out == "(16, 4) (16, 4)\n"


def test_a_forked_process_is_told_and_ends() -> None:
    out = run(
        """
child = os.fork()
if child == 0:
    try:
        policy.infer(observation)
    except libpi0.UnsupportedError as error:
        print("forked" if "forked" in str(error) else error, flush=True)
    sys.exit(0)  # with all destructors
print(os.waitpid(child, 0)[1], policy.infer(observation)["actions"].shape)
"""
    )
    assert out == "forked\n0 (16, 4)\n"


def test_multiprocessing_by_spawn_and_before_it_is_loaded(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        f"""
import multiprocessing
import numpy as np
import libpi0

def play(seed):
    policy = libpi0.Policy({str(TINY)!r}, device="cpu", dtype="fp32", threads=1)
    return policy.infer({{"observation.images.base_0_rgb": np.zeros((48, 64, 3), np.uint8),
                          "observation.state": [0.1, 0.6, 0.2, 0.5], "task": "open the drawer"}},
                        seed=seed)["actions"]

if __name__ == "__main__":
    expected = play(1)
    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            for actions in pool.map(play, [1, 1]):
                np.testing.assert_array_equal(actions, expected)
    print("same")
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "same\n", done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc to read memory from")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan keeps what is freed")
def test_memory_does_not_grow() -> None:
    out = run(
        """
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def calls(n):
    for i in range(n):
        policy.infer(observation, steps=1, rtc=libpi0.RealTimeChunking(executed=1))
        try:
            policy.infer({"task": "nothing"})
        except libpi0.InvalidInputError:
            pass

def growth():  # bytes a call
    before = resident()
    calls(500)
    return (resident() - before) // 500

calls(200)
print(min(growth(), growth()))  # what leaks does so each time, what the allocator keeps does not
"""
    )
    assert int(out) < 100  # an image that is kept is 9216, a chunk 256
