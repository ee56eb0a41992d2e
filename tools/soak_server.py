#!/usr/bin/env python3
"""Clients that mean harm, and clients that come and go: does `pi0 serve` stay up, quick and small?

  tools/with_openpi_client.sh out tools/soak_server.py build/release/pi0
  tools/with_openpi_client.sh out tools/soak_server.py build/release/pi0 --only soak --minutes 10

Each attack runs for a while beside a witness, a client that asks ten times a second, and sends what
a gigabit network lets through. It fails where the server ends, takes what it should refuse, keeps
memory, or makes the witness wait (P95, without the time that others' calls are computed in) more
than twice as long as before. The soak asks from clients that connect, ask, err, and leave amid a call; it
fails where the server's memory goes on growing.
"""

import argparse
import collections
import contextlib
import logging
import multiprocessing
import os
import pathlib
import random
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time

import msgpack
import numpy as np
from openpi_client import msgpack_numpy, websocket_client_policy

GOLDEN = pathlib.Path(__file__).parent.parent / "testdata/golden"
MB = 1 << 20


# The server.


class Server:
    def __init__(self, arguments, *options):
        command = [arguments.pi0, "serve", arguments.checkpoint, "--port", "0", *arguments.options, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if line == "pi0: ready\n":
                break
        else:
            sys.exit(f"the server ended with {self.process.wait()} before it was ready: {said}")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # MB

    def lives(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "no answer to SIGTERM"


# A client's side of the wire, byte for byte.


def frame(payload, opcode=2, fin=True, length=None, masked=True, reserved=0):
    """A frame; `length` may lie. The mask is of zeros."""
    first = bytes([fin << 7 | reserved << 4 | opcode])
    length = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if length < 126:
        head = bytes([bit | length])
    elif length < 1 << 16:
        head = bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([bit | 127]) + length.to_bytes(8, "big")
    return first + head + (bytes(4) if masked else b"") + payload


def connect(port, timeout=10):
    return socket.create_connection(("127.0.0.1", port), timeout)


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Peer:
    """A websocket of the server's that nothing here keeps from misuse."""

    def __init__(self, port):
        self.socket = connect(port)
        self.socket.sendall(UPGRADE)
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.decode(errors="replace").splitlines()[0])
        self.metadata = self.read()[1]

    def fill(self):
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("closed")
        self.buffer += chunk

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read(self):
        first, second = self.take(2)
        length = second & 127
        if length > 125:
            length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
        return first & 15, self.take(length)

    def outcome(self):
        """What became of what was sent, in a few words."""
        try:
            opcode, payload = self.read()
            while opcode in (9, 10):
                opcode, payload = self.read()
        except (OSError, ConnectionError) as error:
            return "timed out" if isinstance(error, TimeoutError) else "closed"
        if opcode == 1:
            return "text, " + self.outcome()
        if opcode == 8:
            return f"close {int.from_bytes(payload[:2], 'big')}"
        answer = msgpack.unpackb(payload, strict_map_key=False)
        return f"error {answer['error']['code']}" if "error" in answer else "answered"


# Messages.


def observation(metadata, size, source):
    robot = metadata["pi0"]["robot"]
    return {
        **{key: source.integers(256, size=(size, size, 3), dtype=np.uint8) for key in robot["images"]},
        robot["state"][0]: source.random(metadata["pi0"]["state_dims"]),
        robot["prompt"]: "open the drawer",
    }


def array(dtype, shape, data):
    return {b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": shape}


def bad_messages(metadata):
    """What a server has to refuse, by name."""
    good = observation(metadata, 32, np.random.default_rng(0))
    robot = metadata["pi0"]["robot"]
    image, state, dims = next(iter(robot["images"])), robot["state"][0], metadata["pi0"]["state_dims"]

    def but(key, value):
        return msgpack_numpy.packb({**good, key: value})

    return {
        "empty": b"",
        "deep": b"\x91" * 100_000,
        "deep maps": b"\x81\xa1a" * 100_000,
        "list of 4 G": b"\xdd\xff\xff\xff\xff",
        "map of 4 G": b"\xdf\xff\xff\xff\xff",
        "text of 4 G": b"\xdb\xff\xff\xff\xff",
        "10 M nils": b"\xdd" + (10_000_000).to_bytes(4, "big") + b"\xc0" * 10_000_000,
        "60,000 keys": msgpack.packb({f"key {i}": i for i in range(60_000)}),
        "65,000 lists": msgpack.packb([[]] * 65_000),
        "extension": msgpack.packb(msgpack.ExtType(5, b"x")),
        "half": msgpack_numpy.packb(good)[:500],
        "more after it": msgpack_numpy.packb(good) + b"\xc0",
        "a number": b"\x01",
        "no state": msgpack_numpy.packb({k: v for k, v in good.items() if k != state}),
        "short state": but(state, np.zeros(dims - 1)),
        "state of 32 MB": but(state, np.zeros(4 * MB)),
        "NaN state": but(state, np.full(dims, np.nan)),
        "infinite state": but(state, np.full(dims, -np.inf)),
        "state of texts": but(state, ["x"] * dims),
        "NaN image": but(image, np.full((32, 32, 3), np.nan, np.float32)),
        "flat image": but(image, np.zeros(3072, np.uint8)),
        "no pixels": but(image, np.zeros((0, 0, 3), np.uint8)),
        "thin image": but(image, np.zeros((1 << 20, 1, 3), np.uint8)),
        "5 channels": but(image, np.zeros((32, 32, 5), np.uint8)),
        "shape that is not": but(image, array("|u1", [9999, 9999, 3], b"x")),
        "negative shape": but(image, array("|u1", [-1, -1, 3], b"xxx")),
        "shape over 64 bits": but(image, array("|u1", [1 << 62, 1 << 62, 3], b"xxx")),
        "empty shape of 2^40": but(image, array("|u1", [1 << 40, 0, 3], b"")),
        "objects": but(image, array("|O", [3], b"x" * 24)),
        "a text of 2 GB": but(robot["prompt"], array("<U536870911", [], b"")),
        "prompt of 16 MB": but(robot["prompt"], "a " * (8 * MB)),
        "batch of batches": msgpack.packb({"batch": [{"batch": []}]}),
        "batch of 60,000": msgpack.packb({"batch": [{}] * 60_000}),
        "unknown option": msgpack_numpy.packb({**good, "pi0": {"exec": "rm"}}),
        "steps without end": msgpack_numpy.packb({**good, "pi0": {"steps": 1 << 40}}),
        "noise of 1": msgpack_numpy.packb({**good, "pi0": {"noise": [1.0]}}),
        "NaN noise": msgpack_numpy.packb(
            {**good, "pi0": {"noise": np.full(metadata["pi0"]["noise"], np.nan, np.float32)}}
        ),
    }


BAD_FRAMES = {
    "length 2^63 - 1": frame(bytes(1000), length=(1 << 63) - 1),
    "length 2^64 - 1": b"\x82\xff" + b"\xff" * 8 + bytes(1000),
    "length over the limit": frame(bytes(1000), length=65 * MB),
    "not masked": frame(b"\x80", masked=False),
    "reserved bits": frame(b"\x80", reserved=7),
    "reserved opcode": frame(b"\x80", opcode=5),
    "continues nothing": frame(b"\x80", opcode=0),
    "ping of 200": frame(bytes(200), opcode=9),
    "ping in parts": frame(b"", opcode=9, fin=False),
    "text": frame(b"hello", opcode=1),
    "text, no UTF-8": frame(b"\xff\xfe", opcode=1),
    "close of 1 byte": frame(b"\x03", opcode=8),
    "close 1005": frame(b"\x03\xed", opcode=8),
}

BAD_HTTP = {
    "noise": bytes(random.Random(1).randbytes(4096)),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(189),
    "no end of header": b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    "body of 1 TB": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
    "body in chunks": b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "upgrade of a POST": UPGRADE.replace(b"GET", b"POST"),
    "old websocket": UPGRADE.replace(b"Version: 13", b"Version: 1"),
    "another page": UPGRADE.replace(b"Host: x", b"Host: x\r\nOrigin: http://evil"),
    "path": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


class Line:
    """A gigabit network: who sends waits until the bytes have gone."""

    def __init__(self):
        self.lock = threading.Lock()

    def sent(self, count):
        with self.lock:
            time.sleep(count / 125e6)


LINE = Line()


# Attacks: each runs until `end`, in a process of its own, and says what became of it.


def until(end, work, threads=2):
    """`work` again and again, on several threads; how often each of its outcomes."""
    outcomes = collections.Counter()

    def loop():
        while time.monotonic() < end:
            try:
                outcomes.update([work()])
            except OSError as error:
                outcomes.update(["refused" if isinstance(error, ConnectionError) else type(error).__name__])
                time.sleep(0.01)

    running = [threading.Thread(target=loop) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return outcomes


def say_bad(port, end):
    """Each bad message and frame, in turn."""
    messages = bad_messages(msgpack_numpy.unpackb(Peer(port).metadata))
    said = [(name, frame(message)) for name, message in messages.items()] + list(BAD_FRAMES.items())
    turn = iter(range(1 << 60))
    taken = set()

    def one():
        name, what = said[next(turn) % len(said)]
        peer = Peer(port)
        with contextlib.closing(peer.socket):
            with contextlib.suppress(ConnectionError):  # it need not read to the end
                peer.socket.sendall(what)
            LINE.sent(len(what))
            outcome = peer.outcome()
        if outcome in ("answered", "timed out"):
            taken.add(f"{name} {outcome}")
        return outcome

    outcomes = until(end, one)
    outcomes.update({f"FAILED: {name}": 1 for name in taken})
    return outcomes


def say_noise(port, end):
    """A good message with some bytes changed, and garbage."""
    good = msgpack_numpy.packb(observation(msgpack_numpy.unpackb(Peer(port).metadata), 8, np.random.default_rng(0)))

    def one():
        what = bytearray(good if random.random() < 0.9 else random.randbytes(random.randrange(2000)))
        for _ in range(random.randrange(1, 8)):
            if what:
                what[random.randrange(len(what))] = random.randrange(256)
        peer = Peer(port)
        with contextlib.closing(peer.socket):
            peer.socket.sendall(frame(bytes(what)))
            return peer.outcome()

    return until(end, one)


def say_http(port, end):
    said = list(BAD_HTTP.values())
    turn = iter(range(1 << 60))

    def one():
        with contextlib.closing(connect(port, 2)) as at:
            with contextlib.suppress(OSError):  # closed before all was sent
                at.sendall(said[next(turn) % len(said)])
                at.shutdown(socket.SHUT_WR)
            try:
                head = at.recv(1000)
            except TimeoutError:
                return "FAILED: no answer"
            return head.split(b"\r\n")[0].decode(errors="replace") if head else "closed"

    return until(end, one)


def hold(port, end, count, opening, trickle=b"", websocket=True):
    """`count` connections that begin something and go on with a byte a second, or never."""
    outcomes = collections.Counter()
    held = []
    for _ in range(count):
        try:
            at = Peer(port).socket if websocket else connect(port)
            at.setblocking(False)
            held.append([at, memoryview(opening)])
        except OSError:
            outcomes["refused"] += 1
    outcomes["held"] = len(held)
    tick = 0.0
    while time.monotonic() < end and held:
        byte = trickle if time.monotonic() > tick else b""
        if byte:
            tick = time.monotonic() + 1
        for one in list(held):
            try:
                if one[1]:
                    sent = one[0].send(one[1])
                    LINE.sent(sent)
                    one[1] = one[1][sent:]
                elif byte:
                    one[0].send(byte)
                if not one[0].recv(1 << 16):
                    raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                outcomes["closed by the server"] += 1
                held.remove(one)
        time.sleep(0.02)
    return outcomes


def flood(port, end, count, what, websocket=True, first=b""):
    """`count` connections that send `first`, then `what` again and again, and never read."""
    outcomes = collections.Counter()
    sending = {}
    data = memoryview(what * max(1, 65536 // len(what)))
    while time.monotonic() < end:
        while len(sending) < count:
            try:
                at = Peer(port).socket if websocket else connect(port)
                at.sendall(first)
                at.setblocking(False)
                sending[at] = data
                outcomes["connected"] += 1
            except OSError:
                outcomes["refused"] += 1
                break
        _, ready, _ = select.select([], list(sending), [], 0.1)
        for at in ready:
            try:
                sent = at.send(sending[at])
                LINE.sent(sent)
                outcomes["MB sent"] += sent / MB
                sending[at] = sending[at][sent:] or data
            except BlockingIOError:
                pass
            except OSError:
                outcomes["closed by the server"] += 1
                del sending[at]
    outcomes["MB sent"] = round(outcomes["MB sent"])
    return outcomes


def crowd(port, end, count):
    """`count` connections at once, as websockets as far as they are let."""
    sockets, outcomes = [], collections.Counter()
    for _ in range(count):
        try:
            sockets.append(Peer(port).socket)
        except OSError:
            outcomes["refused"] += 1
    outcomes["held"] = len(sockets)
    time.sleep(max(0, end - time.monotonic()))
    return outcomes


def attacks(metadata):
    good = observation(metadata, 64, np.random.default_rng(0))
    call = frame(msgpack_numpy.packb({**good, "pi0": {}}))
    wrong = frame(msgpack.packb({"pi0": {}}))
    half = frame(call, length=60 * MB)
    return {
        "bad messages": (say_bad,),
        "noise in messages": (say_noise,),
        "bad HTTP": (say_http,),
        "a byte a second": (hold, 200, half[:100], b"x"),
        "half a frame": (hold, 200, half),
        "half a frame header": (hold, 200, b"\x82\xff\0\0"),
        "half a handshake": (hold, 200, UPGRADE[:50], b"x", False),
        "20 MB of 60, silent": (hold, 32, frame(bytes(20 * MB), length=60 * MB)),
        "parts without end": (flood, 8, frame(b"", opcode=0, fin=False), True, frame(b"", fin=False)),
        "never reads errors": (flood, 8, wrong),
        "never reads answers": (flood, 2, call),
        "never reads pongs": (flood, 8, frame(bytes(125), opcode=9)),
        "never reads pages": (flood, 8, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", False),
    }


# The witness.


def witness(port, pipe):
    """Asks ten times a second; tells what it waited, in ms, whenever it is asked."""
    logging.disable(logging.INFO)
    policy = websocket_client_policy.WebsocketClientPolicy("127.0.0.1", port)
    asked = observation(policy.get_server_metadata(), 224, np.random.default_rng(1))
    waited = []
    while True:
        begin = time.monotonic()
        try:
            queued = policy.infer(asked)["server_timing"]["queue_ms"]
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return
        waited.append((time.monotonic() - begin) * 1e3 - queued)
        if pipe.poll(max(0, begin + 0.1 - time.monotonic())):
            pipe.recv()
            pipe.send(waited)
            waited = []


class Witness:
    def __init__(self, port):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=witness, args=(port, other), daemon=True)
        self.process.start()

    def since(self):
        """What it waited since it was asked last; or the error that it met."""
        self.pipe.send("?")
        return self.pipe.recv() if self.pipe.poll(30) else "no answer within 30 s"

    def stop(self):
        self.process.terminate()
        self.process.join()


def attack_in_process(pipe, attack, port, seconds, arguments):
    pipe.send(attack(port, time.monotonic() + seconds, *arguments))


def run_attack(server, name, attack, arguments, seconds, failures):
    watching = Witness(server.port)
    time.sleep(1)
    watching.since()
    time.sleep(max(3, seconds / 3))
    before, rss_before = watching.since(), server.rss()
    pipe, other = multiprocessing.Pipe()
    process = multiprocessing.Process(target=attack_in_process, args=(other, attack, server.port, seconds, arguments))
    process.start()
    peak = rss_before
    while not pipe.poll(0.05):
        if not server.lives() or not process.is_alive():
            break
        peak = max(peak, server.rss())
    during = watching.since() if server.lives() else "the server is gone"
    outcomes = pipe.recv() if pipe.poll(1) else collections.Counter({"FAILED: the attack broke": 1})
    process.join()
    watching.stop()
    if not server.lives():
        failures.append(f"{name}: the server ended with {server.process.returncode}")
        return
    time.sleep(1)
    after = server.rss()
    for error in (before, during):
        if isinstance(error, str):
            failures.append(f"{name}: another client got {error}")
            return
    p95 = [np.percentile(waited, 95) for waited in (before, during)]
    said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common(8))
    print(
        f"{name:22} {rss_before:8.1f} {peak:8.1f} {after:8.1f} {p95[0]:8.1f} {p95[1]:8.1f}   {said}",
        flush=True,
    )
    if p95[1] > 2 * p95[0]:
        failures.append(f"{name}: another client's P95 went from {p95[0]:.1f} to {p95[1]:.1f} ms, expected within twice")
    failures += [f"{name}: {outcome}" for outcome in outcomes if outcome.startswith("FAILED")]
    return rss_before, peak, after


HEAD = f"{'':22} {'MB':>8} {'peak':>8} {'after':>8} {'P95 ms':>8} {'during':>8}   what became of it"


def run_hostile(arguments):
    failures = []
    server = Server(arguments)
    metadata = msgpack_numpy.unpackb(Peer(server.port).metadata)
    print(HEAD)
    for name, (attack, *of_it) in attacks(metadata).items():
        if arguments.attack in name and server.lives():
            figures = run_attack(server, name, attack, of_it, arguments.seconds, failures)
            if figures and figures[2] > figures[0] + 64:
                failures.append(f"{name}: {figures[2] - figures[0]:.0f} MB are kept after it, expected no more than 64")
    if (status := server.stop()) != 0:
        failures.append(f"the server stopped with {status}, expected 0")
    if arguments.attack not in "10,000 connections":
        return failures
    for options in ([], ["--max-connections", "12000"]):
        server = Server(arguments, *options)
        of_it = " ".join(options) or "by default"
        figures = run_attack(server, "10,000 connections", crowd, (10_000,), arguments.seconds + 20, failures)
        if figures:
            count = 10_000 if options else 255
            print(f"{'':22} {of_it}: {(figures[1] - figures[0]) / count * 1024:.1f} KB a connection")
        if (status := server.stop()) != 0:
            failures.append(f"the server stopped with {status}, expected 0")
    return failures


# The soak.


def come_and_go(port, end, number, results):
    source, dice = np.random.default_rng(number), random.Random(number)
    while time.monotonic() < end:
        try:
            policy = websocket_client_policy.WebsocketClientPolicy("127.0.0.1", port)
            good = observation(policy.get_server_metadata(), dice.choice([32, 64, 224]), source)
            for _ in range(dice.randrange(1, 60)):
                kind = dice.random()
                if kind < 0.02:  # leaves amid a call
                    policy._ws.send(msgpack_numpy.packb(good))
                    policy._ws.socket.shutdown(socket.SHUT_RDWR)
                    break
                own = {}
                if kind < 0.3:
                    own = dice.choice(
                        [
                            {},
                            {"latest": True},
                            {"deadline_ms": 0.01},
                            {"reset": True},
                            {"rtc": {"executed": 5, "hz": 50}},
                            {"unknown": 1},
                            {"seed": dice.randrange(1 << 60)},
                        ]
                    )
                answer = policy.infer({**good, "pi0": own} if kind < 0.3 else good)
                results[answer["error"]["code"] if "error" in answer else "ok"] += 1
                if time.monotonic() > end:
                    break
            policy._ws.close()
        except Exception as error:
            results[f"{type(error).__name__}: {error}"] += 1
            time.sleep(0.05)


def soak_in_process(pipe, port, end, numbers):
    logging.disable(logging.INFO)
    results = collections.Counter()
    threads = [threading.Thread(target=come_and_go, args=(port, end, number, results)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(results)


def run_soak(arguments):
    server = Server(arguments)
    begin = time.monotonic()
    end = begin + 60 * arguments.minutes
    processes, pipes = [], []
    for first in range(0, arguments.clients, 8):
        pipe, other = multiprocessing.Pipe()
        numbers = range(first, min(first + 8, arguments.clients))
        processes.append(multiprocessing.Process(target=soak_in_process, args=(other, server.port, end, numbers)))
        pipes.append(pipe)
        processes[-1].start()
    samples = []
    while time.monotonic() < end and server.lives():
        samples.append((time.monotonic() - begin, server.rss()))
        time.sleep(0.5)
    failures = []
    results = collections.Counter()
    for pipe, process in zip(pipes, processes):
        if pipe.poll(30):
            results.update(pipe.recv())
        process.join()
    if not server.lives():
        return [f"soak: the server ended with {server.process.returncode}"]
    # What is before has filled caches: a connection's buffers, the allocator's arenas.
    times, rss = np.array([one for one in samples if one[0] > 15 * arguments.minutes]).T
    slope = np.polyfit(times, rss, 1)[0]
    growth = slope * (times[-1] - times[0])
    calls = results["ok"]
    print(f"soak: {calls} calls answered in {arguments.minutes} min to {arguments.clients} clients that come and go: "
          f"{calls / 3600:.1f} hours' worth at one a second")
    print("  " + ", ".join(f"{count} {name}" for name, count in results.most_common(12)))
    print(f"  RSS {samples[0][1]:.1f} MB at first, {rss.min():.1f} to {rss.max():.1f} after a quarter of it, "
          f"slope {slope * 60:+.3f} MB a minute: {growth:+.2f} MB in all")
    if growth > arguments.growth:
        failures.append(f"soak: memory grew by {growth:.1f} MB, expected no more than {arguments.growth}")
    if (status := server.stop()) != 0:
        failures.append(f"the server stopped with {status}, expected 0")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pi0", help="the command")
    parser.add_argument("--checkpoint", default=str(GOLDEN / "pi0_tiny"))
    parser.add_argument("--options", type=str.split, help="of pi0 serve")
    parser.add_argument("--only", choices=["hostile", "soak"])
    parser.add_argument("--attack", default="", help="those whose name has this in it")
    parser.add_argument("--seconds", type=float, default=6, help="of an attack")
    parser.add_argument("--minutes", type=float, default=1, help="of the soak")
    parser.add_argument("--clients", type=int, default=32, help="of the soak")
    parser.add_argument("--growth", type=float, default=4, help="MB")
    arguments = parser.parse_args()
    if arguments.options is None:
        tokenizer = str(GOLDEN / "preprocess/tokenizer.model")
        arguments.options = ["--device", "cpu", "--threads", "1", "--tokenizer", tokenizer]
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    print(f"load average of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    failures = []
    if arguments.only != "soak":
        failures += run_hostile(arguments)
    if arguments.only != "hostile":
        failures += run_soak(arguments)
    for failure in failures:
        print("FAILED " + failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
