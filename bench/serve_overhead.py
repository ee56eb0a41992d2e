#!/usr/bin/env python3
"""What a call costs beside its inference, as openpi's own client sees it.

  tools/with_openpi_client.sh out bench/serve_overhead.py build/release/pi0
  tools/with_openpi_client.sh out bench/serve_overhead.py build/release/pi0 --clients 32 --hz 2
  tools/with_openpi_client.sh out bench/serve_overhead.py --url ws://gpu-box:8000

A call has three images of 224 x 224, or as many as the policy has cameras. Overhead: what the client
waits, less the answer's server_timing (infer_ms and queue_ms): packing and unpacking in Python, the
loopback, and the server's own work. Each client is a process. With --hz it asks as a robot does, at a
rate (a chunk of 50 actions, half of it executed at 50 Hz, is 2 calls a second), in its own phase;
without, as fast as it is answered.

First the same clients ask a sink in the same way: a process that reads the frame and sends a copied
answer, without unmasking, decoding or computing anything. What that takes no server can save; beside it
stands what ours adds. Fails where P95 of the overhead is beyond --bar, and says so where the sink's is too.
"""

import argparse
import asyncio
import base64
import hashlib
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


def client(url, requests, hz):
    """Connects, waits for a line, asks at a rate (0: at once again); prints what each call took."""
    logging.disable(logging.INFO)
    policy = websocket_client_policy.WebsocketClientPolicy(url)
    random = np.random.default_rng(os.getpid())
    asked = [observation(policy.get_server_metadata(), random) for _ in range(4)]
    for warm in asked[:2]:
        policy.infer(warm)
    print("connected", flush=True)
    sys.stdin.readline()
    waited, inference, queued = [], [], []
    turn = time.perf_counter() + (random.random() / hz if hz else 0)
    for call in range(requests):
        if hz:
            time.sleep(max(0, turn - time.perf_counter()))
            turn += 1 / hz
        begin = time.perf_counter()
        answer = policy.infer(asked[call % len(asked)])
        waited.append((time.perf_counter() - begin) * 1e3)
        inference.append(answer["server_timing"]["infer_ms"])
        queued.append(answer["server_timing"]["queue_ms"])
        if not np.isfinite(answer["actions"]).all():
            sys.exit("an answer is not finite")
    print(json.dumps([waited, inference, queued]), flush=True)


class Sink(asyncio.BufferedProtocol):
    """Takes a handshake, sends the metadata, then an answer for each whole frame, looking into none."""

    def __init__(self, metadata, answer):
        self.frames = [self.frame(metadata), self.frame(answer)]
        self.buffer, self.size, self.open = bytearray(4 << 20), 0, False

    @staticmethod
    def frame(payload):
        return bytes([0x82, 127]) + len(payload).to_bytes(8, "big") + payload

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return memoryview(self.buffer)[self.size :]

    def buffer_updated(self, size):
        self.size += size
        if not self.open and b"\r\n\r\n" in self.buffer[: self.size]:
            key = re.search(rb"(?i)sec-websocket-key: (\S+)", self.buffer[: self.size])[1]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.frames[0]
            )
            self.open, self.size = True, 0
        elif self.size >= 6 and self.buffer[1] & 127 < 126:  # a control frame: a ping or a close
            whole = 6 + (self.buffer[1] & 127)
            mask, text = self.buffer[2:6], self.buffer[6:whole]
            echoed = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
            kind = self.buffer[0] & 15
            self.size = 0
            self.transport.write(bytes([0x8A if kind == 9 else 0x80 | kind, len(echoed)]) + echoed)
        elif self.size >= 14 and self.size >= 14 + int.from_bytes(self.buffer[2:10], "big"):
            self.size = 0
            self.transport.write(self.frames[1])


async def run_sink(url):
    """A sink that sends what the server at `url` sent once, with timings of 0; prints its address."""
    policy = websocket_client_policy.WebsocketClientPolicy(url)
    metadata = policy.get_server_metadata()
    answer = policy.infer(observation(metadata, np.random.default_rng(0)))
    answer["server_timing"].update(infer_ms=0.0, queue_ms=0.0)
    pack = msgpack_numpy.Packer().pack
    frames = pack(metadata), pack(answer)
    server = await asyncio.get_running_loop().create_server(lambda: Sink(*frames), "127.0.0.1", 0)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


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
    """What each call of all clients waited, computed and queued: three arrays, ms."""
    each = -(-arguments.requests // arguments.clients)
    command = [sys.executable, __file__, "--client", url, str(each), str(arguments.hz)]
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
    waited, inference, queued = (np.concatenate([r[i] for r in results]) for i in range(3))
    return waited, inference, queued, len(waited) / seconds


def compare(arguments, url):
    sink = subprocess.Popen([sys.executable, __file__, "--sink", url], stdout=subprocess.PIPE, text=True)
    try:
        floor = measure(arguments, sink.stdout.readline().strip())[0]
    finally:
        sink.terminate()
        sink.wait()
    waited, inference, queued, rate = measure(arguments, url)
    print(f"{len(waited)} calls of {arguments.clients} clients, {rate:.1f} a second; load average of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"{'ms':14} {'P50':>9} {'P95':>9} {'P99':>9} {'longest':>9}")
    row("client waits", waited)
    row("inference", inference)
    row("queue", queued)
    p95 = row("overhead", waited - inference - queued)
    return p95, row("of a sink", floor)


def main():
    if sys.argv[1:2] == ["--client"]:
        return client(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    if sys.argv[1:2] == ["--sink"]:
        return asyncio.run(run_sink(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pi0", nargs="?", help="the command, which serves the tiny golden checkpoint")
    parser.add_argument("--url", help="a server that runs, in its place")
    parser.add_argument("--checkpoint", default=str(GOLDEN / "pi0_tiny"))
    parser.add_argument("--options", type=str.split, help="of pi0 serve")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1000, help="of all clients together")
    parser.add_argument("--hz", type=float, default=0, help="calls a second of each client (default: as many as are answered)")
    parser.add_argument("--bar", type=float, default=2, help="ms")
    arguments = parser.parse_args()
    if bool(arguments.pi0) == bool(arguments.url):
        parser.error("expected the command or --url")
    if arguments.options is None:
        tokenizer = str(GOLDEN / "preprocess/tokenizer.model")
        arguments.options = ["--device", "cpu", "--threads", "1", "--tokenizer", tokenizer]
    server, url = (None, arguments.url) if arguments.url else start_server(arguments)
    try:
        p95, floor = compare(arguments, url)
    finally:
        if server:
            server.terminate()
            server.wait()
    if p95 > arguments.bar:
        beyond = "which a sink without any work exceeds here too" if floor > arguments.bar else f"a sink takes {floor:.2f}"
        sys.exit(f"overhead: P95 {p95:.2f} ms, expected at most {arguments.bar} ms, {beyond}")


if __name__ == "__main__":
    main()
