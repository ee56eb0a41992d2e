#!/usr/bin/env python3
"""Robots lose no call behind HAProxy while servers die and stop.

  tools/with_openpi_client.sh out deploy/test_haproxy.py build/release/pi0 examples/policy

Three servers behind haproxy.cfg, with their addresses here; robots, each a process of its own, ask
with openpi's client and ask again when they get no answer. Meanwhile one server is killed, started
anew, and another is told to stop. Passes if every call was answered with what a server answers
directly, and the one that stopped exited with 0. Without haproxy it says so and exits with 77.
"""

import argparse
import csv
import json
import logging
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
from openpi_client import websocket_client_policy

HERE = pathlib.Path(__file__).parent
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
SEED = 7


def fail(sentence):
    sys.exit(f"test_haproxy: {sentence}")


def observations(metadata):
    """Some that differ, the same in every process."""
    robot, dims = metadata["pi0"]["robot"], metadata["pi0"]["state_dims"]
    random = np.random.default_rng(SEED)
    return [
        {
            **{key: random.integers(256, size=(224, 224, 3), dtype=np.uint8) for key in robot["images"]},
            robot["state"][0]: random.random(dims),
            robot["prompt"]: "open the drawer",
        }
        for _ in range(4)
    ]


def connect(port):
    """Waits for a server as openpi's own client does, a while, where it would be for ever."""
    end = time.monotonic() + 30
    while True:
        try:
            return websocket_client_policy.WebsocketClientPolicy("127.0.0.1", port)
        except Exception:  # refused, closed while it opened, or an answer that is no websocket
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def robot(port, calls):
    """Asks, and asks again; prints each answer, and what had to be asked again."""
    logging.disable(logging.INFO)
    policy = connect(port)
    asked = observations(policy.get_server_metadata())
    again, longest = 0, 0.0
    for call in range(calls):
        begin = time.monotonic()
        while True:
            try:
                actions = policy.infer(asked[call % len(asked)])["actions"]
                break
            except Exception as error:
                again += 1
                print(json.dumps({"again": f"{type(error).__name__}: {error}"}), flush=True)
                policy = connect(port)
        longest = max(longest, time.monotonic() - begin)
        print(json.dumps({"call": call, "actions": actions.tobytes().hex()}), flush=True)
    print(json.dumps({"again_in_all": again, "longest_s": longest}), flush=True)


class Server:
    """`pi0 serve` on a port that stays its own."""

    def __init__(self, command, checkpoint, port=0):
        self.command = [command, "serve", checkpoint, "--device", "cpu", "--threads", "1", "--seed", str(SEED)]
        self.port = port
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if line == "pi0: ready\n":
                return
        fail(f"a server ended with {self.process.wait()} before it was ready: {said}")


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def configure(folder, port, servers):
    """haproxy.cfg with the addresses of here, and a socket that tells its counts."""
    text = (HERE / "haproxy.cfg").read_text()
    text, binds = re.subn(r"^    bind .*$", f"    bind 127.0.0.1:{port}", text, flags=re.M)
    ports = iter(servers)
    text, named = re.subn(r"^(    server \S+) \S+$", lambda line: f"{line[1]} 127.0.0.1:{next(ports).port}", text, flags=re.M)
    if (binds, named) != (1, len(servers)):
        fail(f"haproxy.cfg has {binds} binds and {named} servers, expected 1 and {len(servers)}")
    text = text.replace("global\n", f"global\n    stats socket {folder}/stats\n", 1)
    file = folder / "haproxy.cfg"
    file.write_text(text)
    return file


def counts(folder):
    """Connections that each server has been given, by HAProxy's own count, and its state."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(str(folder / "stats"))
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return {row["svname"]: (row["status"], int(row["stot"])) for row in rows if row["svname"].startswith("pi0-")}


class Robots:
    def __init__(self, count, port, calls):
        arguments = [sys.executable, __file__, "--robot", str(port), str(calls)]
        self.processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(count)]
        self.answered, self.again, self.longest = [], [], 0.0
        self.rest = {process.stdout: b"" for process in self.processes}

    def read_until(self, answers, timeout):
        end = time.monotonic() + timeout
        while len(self.answered) < answers:
            ready, _, _ = select.select(list(self.rest), [], [], max(0, end - time.monotonic()))
            if not ready:
                fail(f"{len(self.answered)} answers after {timeout} s, expected {answers}")
            for stream in ready:
                self.read(stream)
            if not self.rest and len(self.answered) < answers:
                fail(f"the robots ended after {len(self.answered)} answers, expected {answers}")

    def read(self, stream):
        chunk = stream.read1()
        if not chunk:
            del self.rest[stream]
            return
        *lines, self.rest[stream] = (self.rest[stream] + chunk).split(b"\n")
        for line in map(json.loads, lines):
            if "call" in line:
                self.answered.append((line["call"], line["actions"]))
            elif "again" in line:
                self.again.append(line["again"])
            else:
                self.longest = max(self.longest, line["longest_s"])

    def finish(self, answers, timeout):
        self.read_until(answers, timeout)
        for stream in list(self.rest):
            while stream in self.rest:
                self.read(stream)
        for process in self.processes:
            if status := process.wait():
                fail(f"a robot ended with {status}")


def expected_answers(port):
    """What one server answers without HAProxy."""
    policy = connect(port)
    return [policy.infer(asked)["actions"].tobytes().hex() for asked in observations(policy.get_server_metadata())]


def test(arguments, folder, started):
    servers = []
    for _ in range(3):
        servers.append(Server(arguments.pi0, arguments.checkpoint))
        started.append(servers[-1])
    expected = expected_answers(servers[0].port)
    port = free_port()
    file = configure(folder, port, servers)
    if subprocess.run([HAPROXY, "-c", "-q", "-f", file]).returncode != 0:
        fail("haproxy refuses haproxy.cfg")
    log = open(folder / "haproxy.log", "w")
    haproxy = subprocess.Popen([HAPROXY, "-db", "-f", file], stderr=log)
    started.append(type("HAProxy", (), {"process": haproxy}))

    calls = arguments.calls
    total = arguments.robots * calls
    robots = Robots(arguments.robots, port, calls)
    robots.read_until(total // 5, 60)
    print(f"{len(robots.answered)} answers: pi0-1 is killed")
    before_kill = len(robots.again)
    servers[0].process.send_signal(signal.SIGKILL)
    servers[0].process.wait()
    robots.read_until(2 * total // 5, 60)
    servers[0].start()
    print(f"{len(robots.answered)} answers: pi0-1 is there again")
    robots.read_until(3 * total // 5, 60)
    print(f"{len(robots.answered)} answers: pi0-2 is told to stop")
    before_stop = len(robots.again)
    servers[1].process.send_signal(signal.SIGTERM)
    robots.read_until(4 * total // 5, 60)
    if (status := servers[1].process.wait(10)) != 0:
        fail(f"pi0-2 stopped with {status}, expected 0")
    again_for_kill, again_for_stop = before_stop - before_kill, len(robots.again) - before_stop
    robots.finish(total, 60)
    # Its checks are a second apart: the last call may have been answered before them.
    end = time.monotonic() + 10
    while True:
        seen = counts(folder)
        changed = seen["pi0-2"][0].startswith("DOWN") and seen["pi0-1"][0] == "UP"
        if changed or time.monotonic() > end:
            break
        time.sleep(0.2)

    lost = total - len(robots.answered)
    wrong = sum(actions != expected[call % len(expected)] for call, actions in robots.answered)
    print(f"{arguments.robots} robots, {total} calls: {len(robots.answered)} answered, {lost} lost, {wrong} wrong")
    print(f"asked again: {again_for_kill} for the one that was killed, {again_for_stop} for the one that stopped")
    print(f"longest wait for an answer: {robots.longest:.2f} s")
    print("connections by haproxy: " + ", ".join(f"{name} {n} ({state})" for name, (state, n) in seen.items()))
    for sentence in sorted(set(robots.again)):
        print(f"  {robots.again.count(sentence)} x {sentence}")
    if lost or wrong:
        fail("a robot got no answer, or a wrong one")
    if not again_for_kill or not again_for_stop:
        fail("no robot was on the server that was killed, or on the one that stopped: nothing was tested")
    if not changed:
        fail("haproxy has not seen that pi0-2 is gone and pi0-1 back")


def main():
    if sys.argv[1:2] == ["--robot"]:
        return robot(int(sys.argv[2]), int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pi0", help="the command")
    parser.add_argument("checkpoint")
    parser.add_argument("--robots", type=int, default=9)
    parser.add_argument("--calls", type=int, default=60, help="of each")
    arguments = parser.parse_args()
    if not HAPROXY:
        print("SKIPPED: needs haproxy")
        return 77
    logging.disable(logging.INFO)
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            test(arguments, pathlib.Path(folder), started)
        finally:
            for one in started:
                one.process.kill()
                one.process.wait()


if __name__ == "__main__":
    sys.exit(main())
