#!/usr/bin/env python3
"""Pictures of the policy server's page (docs/serving.md), while the recorded episodes of
examples/policy are played to it: light, dark and on a phone. Needs openpi-client and chromium.

    python3 tools/screenshot_page.py build/release/pi0 out/
"""

import argparse
import json
import pathlib
import re
import struct
import subprocess
import tempfile
import threading
import time

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy

POLICY = pathlib.Path(__file__).resolve().parent.parent / "examples/policy"
TASKS = ("open the drawer", "press the button", "close the drawer")
SHOTS = {  # name: window, chromium's preferredColorScheme (0 dark, 1 light)
    "light": ("1200,880", 1),
    "dark": ("1200,880", 0),
    "phone": ("390,2300", 1),
}


def read_tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    types = {"F32": np.float32, "U8": np.uint8}
    return {
        name: np.frombuffer(data[8 + size :][slice(*entry["data_offsets"])], types[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def play(port: int, task: str, stop: threading.Event) -> None:
    """Moments of an episode over and over, 8 rows of each chunk executed before the next is there."""
    tensors = read_tensors(POLICY / "recorded.safetensors")
    client = WebsocketClientPolicy("127.0.0.1", port)
    count = 0
    while not stop.is_set():
        moment = f"episode.{task.replace(' ', '_')}.{count // 4 % 3}"
        client.infer(
            {
                "observation.images.base_0_rgb": tensors[f"{moment}.image"],
                "observation.state": tensors[f"{moment}.state"],
                "task": task,
                "pi0": {"rtc": {"executed": 6, "inference_delay": 2}, "reset": count % 12 == 0},
            }
        )
        count += 1
        stop.wait(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pi0", help="the command")
    parser.add_argument("out", type=pathlib.Path, help="a folder")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(
        [arguments.pi0, "serve", POLICY, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    port = None
    while port is None:
        if found := re.search(r"on ws://[^:]*:(\d+)", server.stderr.readline()):
            port = int(found[1])
    stop = threading.Event()
    for task in TASKS[:2]:
        threading.Thread(target=play, args=(port, task, stop)).start()
    time.sleep(15)
    for name, (window, scheme) in SHOTS.items():
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(
                ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 f"--user-data-dir={profile}", f"--window-size={window}",
                 f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=4000",
                 f"--screenshot={arguments.out / (name + '.png')}", f"http://127.0.0.1:{port}/"],
                check=True, stderr=subprocess.DEVNULL,
            )  # fmt: skip
    stop.set()
    server.terminate()
    server.wait()


if __name__ == "__main__":
    main()
