"""What record.py does once its arguments are read: a policy, an observation, two files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from recording.observation import (
    Observation,
    Robot,
    draw_noise,
    draw_observation,
    read_image,
    read_state,
)
from recording.weights import CheckpointError
from recording.whole_way import WholeWayFile

CASE = "observation"


class RecordedPolicy(Protocol):
    """What from_lerobot and from_openpi load."""

    made_with: str
    settings: dict[str, Any]
    noise_shape: tuple[int, int]
    image_size: int
    robot: Robot

    def record(
        self, observation: Observation, noise: NDArray[np.float32], steps: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]: ...


def record(arguments: argparse.Namespace) -> int:
    """Both recordings of one call, as the command line asks for it; the exit status."""
    try:
        policy = load_policy(arguments)
        observation, noise = make_inputs(arguments, policy)
        network, results = policy.record(observation, noise, arguments.steps)
    except CheckpointError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    settings = dict(policy.settings)
    if arguments.steps is not None:
        settings["steps"] = arguments.steps
    whole_way = WholeWayFile(observation, noise)
    whole_way.add(CASE, observation, noise, results, **settings)
    arguments.out.mkdir(parents=True, exist_ok=True)
    network_file = arguments.out / "network.safetensors"
    policy_file = arguments.out / "policy.safetensors"
    save_file(network, network_file, metadata={"made_with": policy.made_with})
    whole_way.save(policy_file)
    print(f"{network_file}: {len(network['time'])} steps of the network")
    print(f"{policy_file}: {list(results['actions'].shape)} actions")
    return 0


def load_policy(arguments: argparse.Namespace) -> RecordedPolicy:
    """Imports the family's packages only here: nobody has both."""
    if not arguments.checkpoint.is_dir():
        raise CheckpointError(
            f"{arguments.checkpoint} is not a directory; a checkpoint of the Hugging Face Hub is "
            "downloaded first (hf download NAME --local-dir FOLDER)"
        )
    if arguments.family == "lerobot":
        from recording import from_lerobot, lerobot_inputs

        tokenizer = arguments.tokenizer and lerobot_inputs.read_tokenizer(arguments.tokenizer)
        return from_lerobot.load(arguments.checkpoint, tokenizer, arguments.device)
    from recording import from_openpi

    robot = from_openpi.RobotSettings(
        arguments.prompt_format,
        arguments.delta_mask,
        arguments.asset,
        arguments.action_dims,
        arguments.action_horizon,
        arguments.max_token_len,
        arguments.adapt_to_pi or None,
    )
    return from_openpi.load(arguments.checkpoint, robot, arguments.tokenizer, arguments.device)


def make_inputs(
    arguments: argparse.Namespace, policy: RecordedPolicy
) -> tuple[Observation, NDArray[np.float32]]:
    """The observation, and the noise [H, D]."""
    if arguments.random is not None:
        generator = np.random.default_rng(arguments.random)
        size = policy.image_size
        observation = draw_observation(
            policy.robot, generator, size * 3 // 4, size * 2, arguments.prompt
        )
    else:
        images = dict(read_camera(text, policy.robot) for text in arguments.image)
        state = read_state(arguments.state)
        expected = len(policy.robot.state_range.low)
        if len(state) != expected:
            raise CheckpointError(f"the state has {len(state)} values, the policy takes {expected}")
        observation = Observation(images, state, arguments.prompt)
    if arguments.noise is None:
        noise = draw_noise(np.random.default_rng(arguments.seed), *policy.noise_shape)
    else:
        try:
            noise = np.load(arguments.noise, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{arguments.noise} cannot be read as .npy: {error}") from error
        if noise.shape != policy.noise_shape:
            raise CheckpointError(
                f"{arguments.noise} has shape {noise.shape}, the policy takes {policy.noise_shape}"
            )
    return observation, noise


def read_camera(text: str, robot: Robot) -> tuple[str, NDArray[np.uint8]]:
    """CAMERA=FILE -> the camera's name and its image [height, width, 3]."""
    camera, separator, file = text.partition("=")
    camera = camera.removeprefix("observation.images.")
    if not separator or camera not in robot.accepted_cameras:
        known = ", ".join(sorted(robot.accepted_cameras))
        raise CheckpointError(f"--image {text}: expected CAMERA=FILE with CAMERA one of {known}")
    return camera, read_image(Path(file))
