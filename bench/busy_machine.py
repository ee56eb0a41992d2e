#!/usr/bin/env python3
"""How `pi0 bench` fares where it is not alone: one or several commands, taking turns in each condition.

  bench/busy_machine.py build/release/pi0
  bench/busy_machine.py old=../old/build/release/pi0 new=build/release/pi0 \\
      one="build/release/pi0 --threads 1" --rounds 5
  bench/busy_machine.py build/release/pi0 --network "--random pi0 --dtype int8" --seconds 30

Calls a second are those of all copies together; P50, P95 and P99 are of the copy where they are
highest; each is the median of the rounds. `quota` needs root. Python's standard library alone.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile

CONDITIONS = {
    "alone": "nothing beside it",
    "busy": "beside one endless loop a core",
    "two": "two copies at once",
    "four": "four copies at once",
    "nice": "at nice 10, beside one endless loop a core",
    "quota": "in a control group with half a core",
}


@contextlib.contextmanager
def endless_loops(count):
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def half_a_core():
    """A control group, version 2 or 1, which a process joins by writing itself to what is yielded."""
    root = pathlib.Path("/sys/fs/cgroup")
    version_2 = (root / "cgroup.controllers").exists()
    group = (root if version_2 else root / "cpu") / f"pi0_bench_{os.getpid()}"
    try:
        if version_2:
            (root / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
    except OSError as error:
        sys.exit(f"{sys.argv[0]}: quota: {error}; needs root and the cpu controller, or name other --conditions")
    try:
        if version_2:
            (group / "cpu.max").write_text("50000 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text("50000")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def start(command, arguments, json_path, nice=0, group=None):
    def join():
        os.nice(nice)
        if group is not None:
            group.write_text(str(os.getpid()))

    words = shlex.split(command)
    return subprocess.Popen(
        [words[0], "bench", *arguments, *words[1:], "--json", str(json_path)],
        stdout=subprocess.DEVNULL,
        preexec_fn=join,
    )


def measure(command, arguments, condition, folder):
    """What each copy's --json says."""
    with contextlib.ExitStack() as stack:
        if condition in ("busy", "nice"):
            stack.enter_context(endless_loops(os.cpu_count()))
        group = stack.enter_context(half_a_core()) if condition == "quota" else None
        copies = {"two": 2, "four": 4}.get(condition, 1)
        paths = [folder / f"{i}.json" for i in range(copies)]
        nice = 10 if condition == "nice" else 0
        running = [start(command, arguments, path, nice, group) for path in paths]
        for process in running:
            stack.callback(process.wait)
            stack.callback(process.kill)
        for process in running:
            if process.wait() != 0:
                sys.exit(f"{sys.argv[0]}: {command}: exit status {process.returncode}")
        return [json.loads(path.read_text()) for path in paths]


def figures(copies):
    """Calls a second, P50, P95, P99."""
    return (sum(1e3 / copy["mean_ms"] for copy in copies),
            *(max(copy[key] for copy in copies) for key in ("p50_ms", "p95_ms", "p99_ms")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="+", metavar="[NAME=]COMMAND",
                        help="a pi0, with options of `pi0 bench` where wanted")
    parser.add_argument("--network", default="examples/policy", help="and further options for all")
    parser.add_argument("--seconds", type=float, default=5, help="of calls, each time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no endless loop stays behind
    commands = {}
    for text in arguments.commands:
        name, separator, command = text.partition("=")
        commands[name] = command if separator else name
    options = [*shlex.split(arguments.network), "--device", "cpu", "--seconds", str(arguments.seconds)]
    width = max(map(len, commands))
    print(f"{'':10} {'':{width}} calls/s  P50 ms  P95 ms  P99 ms")
    with tempfile.TemporaryDirectory() as folder:
        for condition in arguments.conditions.split(","):
            if condition not in CONDITIONS:
                parser.error(f"no condition {condition}; there are {', '.join(CONDITIONS)}")
            rounds = {name: [] for name in commands}
            for _ in range(arguments.rounds):
                for name, command in commands.items():
                    rounds[name].append(figures(measure(command, options, condition, pathlib.Path(folder))))
            for name, results in rounds.items():
                rate, *quantiles = (statistics.median(values) for values in zip(*results))
                print(f"{condition:10} {name:{width}} {rate:7.3g} " + " ".join(f"{ms:7.4g}" for ms in quantiles),
                      flush=True)
        print("\n" + "\n".join(f"{name}: {what}" for name, what in CONDITIONS.items() if name in arguments.conditions))


main()
