#!/usr/bin/env python3
"""What a call costs beside its inference, as openpi's own client sees it.

  tools/with_openpi_client.sh out bench/serve_overhead.py build/release/pi0
  tools/with_openpi_client.sh out bench/serve_overhead.py build/release/pi0 --clients 32
  tools/with_openpi_client.sh out bench/serve_overhead.py --url ws://gpu-box:8000

A call has three images of 224 x 224, or as many as the policy has cameras. Overhead: what the client
waits, less the answer's server_timing (infer_ms and queue_ms): packing and unpacking in Python, the
loopback, and the server's own work. `client alone` is its packing and unpacking without a server.
Each client is a process. Fails where P95 of the overhead is beyond --bar.
"""

import argparse
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
from openpi_client import msgpack_numpy, websocket_client_policy

GOLDEN = pathlib.Path(__file__).parent.parent / "testdata/golden"


def observation(metadata, random):
    robot = metadata["pi0"]["robot"]
    return {
        **{key: random.integers(256, size=(224, 224, 3), dtype=np.uint8) for key in robot["images"]},
        robot["state"][0]: random.random(metadata["pi0"]["state_dims"]),
        robot["prompt"]: "open the drawer",
    }


def client(url, requests):
    """Connects, waits for a line, asks; prints what each call took."""
    logging.disable(logging.INFO)
    policy = websocket_client_policy.WebsocketClientPolicy(url)
    random = np.random.default_rng(os.getpid())
    asked = [observation(policy.get_server_metadata(), random) for _ in range(4)]
    for warm in asked[:2]:
        answer = policy.infer(warm)
    print("connected", flush=True)
    sys.stdin.readline()
    waited, inference, queued, alone = [], [], [], []
    for call in range(requests):
        one = asked[call % len(asked)]
        begin = time.perf_counter()
        answer = policy.infer(one)
        waited.append((time.perf_counter() - begin) * 1e3)
        inference.append(answer["server_timing"]["infer_ms"])
        queued.append(answer["server_timing"]["queue_ms"])
        if not np.isfinite(answer["actions"]).all():
            sys.exit("an answer is not finite")
    packer = msgpack_numpy.Packer()
    answer = packer.pack(answer)
    for one in asked * 25:
        begin = time.perf_counter()
        packer.pack(one)
        msgpack_numpy.unpackb(answer)
        alone.append((time.perf_counter() - begin) * 1e3)
    print(json.dumps([waited, inference, queued, alone]), flush=True)


def start_server(arguments):
    command = [arguments.pi0, "serve", arguments.checkpoint, "--port", "0", *arguments.options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said, url = "", None
    for line in server.stderr:
        said += line
        if found := re.search(r"ws://\S+", line):
            url = found[0]
        if line == "pi0: ready\n":
            return server, url
    sys.exit(f"the server ended with {server.wait()} before it was ready: {said}")


def row(name, values):
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    print(f"{name:14} {p50:9.2f} {p95:9.2f} {p99:9.2f} {np.max(values):9.2f}")
    return p95


def measure(arguments, url):
    each = -(-arguments.requests // arguments.clients)
    command = [sys.executable, __file__, "--client", url, str(each)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    clients = [subprocess.Popen(command, **pipes) for _ in range(arguments.clients)]
    for one in clients:
        if one.stdout.readline() != "connected\n":
            sys.exit("a client could not connect")
    begin = time.perf_counter()
    for one in clients:
        one.stdin.write("go\n")
        one.stdin.flush()
    results = [json.loads(one.stdout.readline() or sys.exit("a client failed")) for one in clients]
    seconds = time.perf_counter() - begin
    waited, inference, queued, alone = (np.concatenate([r[i] for r in results]) for i in range(4))
    print(f"{len(waited)} calls of {len(clients)} clients, {len(waited) / seconds:.1f} a second; load average of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"{'ms':14} {'P50':>9} {'P95':>9} {'P99':>9} {'longest':>9}")
    row("client waits", waited)
    row("inference", inference)
    row("queue", queued)
    row("client alone", alone)
    return row("overhead", waited - inference - queued)


def main():
    if sys.argv[1:2] == ["--client"]:
        return client(sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pi0", nargs="?", help="the command, which serves the tiny golden checkpoint")
    parser.add_argument("--url", help="a server that runs, in its place")
    parser.add_argument("--checkpoint", default=str(GOLDEN / "pi0_tiny"))
    parser.add_argument("--options", type=str.split, help="of pi0 serve")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1000, help="of all clients together")
    parser.add_argument("--bar", type=float, default=2, help="ms")
    arguments = parser.parse_args()
    if bool(arguments.pi0) == bool(arguments.url):
        parser.error("expected the command or --url")
    if arguments.options is None:
        tokenizer = str(GOLDEN / "preprocess/tokenizer.model")
        arguments.options = ["--device", "cpu", "--threads", "1", "--tokenizer", tokenizer]
    server, url = (None, arguments.url) if arguments.url else start_server(arguments)
    try:
        p95 = measure(arguments, url)
    finally:
        if server:
            server.terminate()
            server.wait()
    if p95 > arguments.bar:
        sys.exit(f"overhead: P95 {p95:.2f} ms, expected at most {arguments.bar} ms")


if __name__ == "__main__":
    main()
