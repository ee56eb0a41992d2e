#!/usr/bin/env python3
"""Takes one moment of examples/policy/recorded.safetensors apart into files as a user has them.

    python tools/make_demo_data.py examples/policy/recorded.safetensors episode.open_the_drawer.1 \\
        examples/demo

Writes camera.png (what the camera saw), state.json, noise.npy (x at t = 1, as PyTorch was given it),
expert.csv (the actions that the scripted expert took from there) and pytorch.csv (what lerobot's
own network predicted). Needs numpy, safetensors and pillow.
"""

import csv
import json
import pathlib
import sys

import numpy
from PIL import Image
from safetensors.numpy import load_file

NAMES = ["hand_x", "hand_y", "hand_z", "gripper"]


def write_motion(path: pathlib.Path, actions: numpy.ndarray) -> None:
    """actions [steps, dimensions], as `pi0 run --out actions.csv` writes them."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *NAMES])
        for step, row in enumerate(actions):
            writer.writerow([step, *(repr(float(str(value))) for value in row)])


def main() -> None:
    recorded, moment, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    tensors = load_file(recorded)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tensors[f"{moment}.image"]).save(folder / "camera.png", optimize=True)
    state = [float(str(value)) for value in tensors[f"{moment}.state"]]
    (folder / "state.json").write_text(json.dumps(state) + "\n")
    numpy.save(folder / "noise.npy", tensors[f"{moment}.noise"])
    write_motion(folder / "expert.csv", tensors[f"{moment}.expert_actions"])
    write_motion(folder / "pytorch.csv", tensors[f"{moment}.actions"])


if __name__ == "__main__":
    main()
