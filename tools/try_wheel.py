"""An inference with nothing but libpi0 and numpy, held to what PyTorch recorded of it.

    python tools/try_wheel.py examples/policy
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import libpi0
import numpy as np

MOMENT = "episode.open_the_drawer.0."
TOLERANCE = 1e-4  # of actions within [-1, 1], in fp32


def recorded(file: Path) -> dict[str, np.ndarray]:
    """The moment's arrays, of a safetensors file."""
    contents = file.read_bytes()
    (size,) = struct.unpack("<Q", contents[:8])
    header, data = json.loads(contents[8 : 8 + size]), contents[8 + size :]
    return {
        name.removeprefix(MOMENT): np.frombuffer(
            data[slice(*tensor["data_offsets"])], {"F32": np.float32, "U8": np.uint8}[tensor["dtype"]]
        ).reshape(tensor["shape"])
        for name, tensor in header.items()
        if name.startswith(MOMENT)
    }


def main(checkpoint: Path) -> None:
    expected = recorded(checkpoint / "recorded.safetensors")
    policy = libpi0.Policy(checkpoint, device="cpu", dtype="fp32")
    (image,), (state,) = policy.info["image_keys"], policy.info["state_keys"]
    actions = policy.infer(
        {
            image: expected["image"],
            state: expected["state"],
            policy.info["prompt_key"]: "open the drawer",
        },
        noise=expected["noise"],
    )["actions"]
    difference = float(np.abs(actions - expected["actions"]).max())
    print(f"libpi0 {libpi0.__version__}: {difference:.1e} from PyTorch's actions {actions.shape}")
    if not difference < TOLERANCE:
        sys.exit(f"expected less than {TOLERANCE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
