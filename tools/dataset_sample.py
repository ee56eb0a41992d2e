"""Writes a few moments of a LeRobotDataset, each with the actions that followed, for `pi0 doctor`.

Run it in lerobot's Python environment (tried with 0.6.1):

    python dataset_sample.py you/your_dataset sample.safetensors --checkpoint path/to/checkpoint

and then

    pi0 doctor path/to/checkpoint --dataset-sample sample.safetensors

Best is data that the policy was not trained on. docs/doctor.md says what is in the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

_IMAGES = "observation.images."


def main() -> int:
    arguments = parse_arguments()
    try:  # imported here: how to call this can be read where nothing of it is installed
        from lerobot.datasets.lerobot_dataset import LeRobotDataset
        from safetensors.numpy import save_file
    except ModuleNotFoundError as error:
        print(
            f"dataset_sample: {error}; run this with the Python that lerobot is installed in",
            file=sys.stderr,
        )
        return 1
    try:
        horizon = arguments.horizon or chunk_size(arguments.checkpoint)
        whole = LeRobotDataset(arguments.dataset, root=arguments.root)
        rows = choose_rows(whole.meta.episodes, horizon, arguments.count)
        steps = [step / whole.fps for step in range(horizon)]
        dataset = LeRobotDataset(
            arguments.dataset, root=arguments.root, delta_timestamps={"action": steps}
        )
        cameras = cameras_of(whole.meta, arguments.camera)
        tensors, prompts = sample(dataset, rows, cameras)
    except (OSError, ValueError, KeyError) as error:
        print(f"dataset_sample: {error}", file=sys.stderr)
        return 1
    save_file(tensors, arguments.out, metadata={"prompts": json.dumps(prompts)})
    print(f"wrote {arguments.out}: {len(rows)} moments, {horizon} actions after each")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="repository of the Hugging Face Hub, or any name with --root")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    parser.add_argument("--root", type=Path, help="the dataset's directory on this machine")
    parser.add_argument("--count", type=int, default=16, help="moments to take (default 16)")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--checkpoint", type=Path, help="the policy: as many actions as its chunks")
    length.add_argument("--horizon", type=int, help="how many actions follow each moment")
    parser.add_argument(
        "--camera",
        action="append",
        type=camera_argument,
        metavar="NAME=FEATURE",
        help="a camera as the checkpoint calls it, and the dataset's feature "
        "(default: all of the dataset's, by their own names)",
    )
    arguments = parser.parse_args()
    if arguments.count < 1 or (arguments.horizon is not None and arguments.horizon < 1):
        parser.error("--count and --horizon must be at least 1")
    return arguments


def camera_argument(text: str) -> tuple[str, str]:
    name, equals, feature = text.partition("=")
    if not (name and equals and feature):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=FEATURE")
    return name, feature


def chunk_size(checkpoint: Path) -> int:
    """Of a lerobot checkpoint, or of openpi's PyTorch conversion."""
    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    for key in ("chunk_size", "action_horizon"):
        if isinstance(config.get(key), int):
            return config[key]
    raise ValueError(f"{path} has no chunk_size; give --horizon")


def cameras_of(meta: Any, asked: list[tuple[str, str]] | None) -> list[tuple[str, str]]:
    """Name and feature of those that were asked for, or of each that is no depth camera."""
    depth = set(getattr(meta, "depth_keys", ()))
    features = [key for key in meta.camera_keys if key not in depth]
    for _, feature in asked or ():
        if feature not in features:
            raise ValueError(f"no camera {feature} in the dataset, only {', '.join(features)}")
    return asked or [(key.removeprefix(_IMAGES), key) for key in features]


def choose_rows(episodes: Any, horizon: int, count: int) -> list[int]:
    """Evenly spread over the frames that `horizon` actions of their episode follow."""
    rows: list[int] = []
    for episode in episodes:
        end = int(episode["dataset_to_index"]) - horizon + 1
        rows.extend(range(int(episode["dataset_from_index"]), end))
    if not rows:
        raise ValueError(f"no episode is as long as {horizon} steps")
    count = min(count, len(rows))
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def pixels(image: Any) -> Any:
    """A dataset's [3, height, width], of bytes or in [0, 1] -> uint8 [height, width, 3]."""
    array = image.numpy()
    if array.dtype.kind == "f":
        array = (array * 255).round().clip(0, 255)
    return array.astype("uint8").transpose(1, 2, 0)


def sample(
    dataset: Any, rows: list[int], cameras: list[tuple[str, str]]
) -> tuple[dict[str, Any], list[str]]:
    """The tensors of the file, and a prompt for each row."""
    import numpy as np

    columns: dict[str, list[Any]] = {"state": [], "actions": []}
    prompts = []
    for row in rows:
        item = dataset[row]
        columns["state"].append(item["observation.state"].numpy().astype("float32"))
        columns["actions"].append(item["action"].numpy().astype("float32"))
        for name, feature in cameras:
            columns.setdefault(f"image.{name}", []).append(pixels(item[feature]))
        prompts.append(item["task"])
    return {name: np.ascontiguousarray(np.stack(each)) for name, each in columns.items()}, prompts


if __name__ == "__main__":
    sys.exit(main())
