"""What a robot gives a policy: camera images, joint state, an instruction; and the noise."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recording.weights import CheckpointError


@dataclass
class Observation:
    """One observation, raw: nothing in it is resized, normalised or padded."""

    images: dict[str, NDArray[np.uint8]]  # camera name -> [height, width, 3], RGB
    state: NDArray[np.float32]  # [robot's state dimensions]
    prompt: str


@dataclass
class StateRange:
    """Between what values a drawn state lies."""

    low: NDArray[np.float32]  # [robot's state dimensions]
    high: NDArray[np.float32]  # [robot's state dimensions]


@dataclass
class Robot:
    """What a checkpoint expects of an observation."""

    cameras: list[str]  # that a robot has; empty camera slots are not among them
    state_range: StateRange
    accepted_cameras: set[str] = field(default_factory=set)  # also by other names


def read_image(path: Path) -> NDArray[np.uint8]:
    """[height, width, 3]; anything that PIL opens, converted to RGB."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read as an image: {error}") from error


def read_state(text: str) -> NDArray[np.float32]:
    """A state written as `0.1,0.2,…`, or the name of a .json (a list) or .npy file of one."""
    path = Path(text)
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            values = np.asarray(json.loads(path.read_text()))
        else:
            values = np.asarray([float(value) for value in text.split(",") if value.strip()])
        state = values.astype(np.float32)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the state {text!r} cannot be read: {error}") from error
    if state.ndim != 1 or not np.isfinite(state).all():
        raise CheckpointError(f"the state {text!r} is not a list of finite numbers")
    return state


def draw_observation(
    robot: Robot, generator: np.random.Generator, smallest: int, largest: int, prompt: str
) -> Observation:
    """Images of every camera in odd sizes from `smallest` to `largest`, and a state in range."""
    images = {}
    for camera in robot.cameras:
        height, width = (int(generator.integers(smallest, largest)) | 1 for _ in range(2))
        images[camera] = draw_image(generator, height, width)
    low, high = robot.state_range.low, robot.state_range.high
    state = generator.uniform(low, high).astype(np.float32)
    return Observation(images, state, prompt)


def draw_image(generator: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """[height, width, 3]: large soft patches of colour with some noise, so that neither a wrong
    orientation nor a wrong interpolation goes unseen."""
    patches = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    soft = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    noise = generator.normal(0, 12, (height, width, 3))
    return np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8)


def draw_noise(generator: np.random.Generator, horizon: int, width: int) -> NDArray[np.float32]:
    """[horizon, width], standard normal: x at t = 1."""
    return generator.standard_normal((horizon, width)).astype(np.float32)


def range_of(statistics: dict[str, NDArray[np.float32]], dimensions: int) -> StateRange:
    """The widest known range of the state's statistics; [-1, 1] where there are none."""
    for low, high in (("min", "max"), ("q01", "q99"), ("q10", "q90")):
        if low in statistics and high in statistics:
            bounds = statistics[low], statistics[high]
            break
    else:
        if "mean" not in statistics or "std" not in statistics:
            return StateRange(-np.ones(dimensions, np.float32), np.ones(dimensions, np.float32))
        mean, std = statistics["mean"], statistics["std"]
        bounds = mean - 2 * std, mean + 2 * std
    low, high = (np.asarray(bound, np.float32).reshape(-1)[:dimensions] for bound in bounds)
    return StateRange(low, np.maximum(low, high))
