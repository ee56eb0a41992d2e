"""Records what PyTorch makes of an observation, for `pi0 verify` to compare with.

Run it in the Python environment that the policy runs in (lerobot's or openpi's):

    python record.py lerobot path/to/checkpoint recordings --random 1
    python record.py lerobot path/to/checkpoint recordings \\
        --image front=front.png --image wrist=wrist.jpg \\
        --state 0.1,-0.2,0.3 --prompt "open the drawer"
    python record.py openpi path/to/checkpoint recordings --random 1 --delta-mask 6,-1

and then

    pi0 verify path/to/checkpoint recordings/network.safetensors recordings/policy.safetensors

The network runs in fp32, whatever type the checkpoint is in: a full pi0 or pi0.5 takes about
18 GB of memory and a few minutes on a CPU. docs/recordings.md says what is in the two files.
"""

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
    RANDOM_PROMPT,
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


def main() -> int:
    arguments = parse_arguments()
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


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    families = parser.add_subparsers(dest="family", required=True, metavar="lerobot|openpi")
    lerobot = families.add_parser("lerobot", help="a policy that lerobot saved (type pi0 or pi05)")
    openpi = families.add_parser("openpi", help="openpi's PyTorch conversion of a checkpoint")
    for family, tokenizer in (
        (lerobot, "tokenizer.json, or a directory with one (default: from the Hugging Face Hub)"),
        (openpi, "PaliGemma's tokenizer .model (default: as openpi fetches it)"),
    ):
        family.add_argument("checkpoint", type=Path, help="directory of the checkpoint")
        family.add_argument("out", type=Path, help="directory for the two recordings")
        given = family.add_argument_group("what the robot sees (or --random)")
        given.add_argument(
            "--image",
            action="append",
            default=[],
            metavar="CAMERA=FILE",
            help="one camera's image; cameras that are not given are missing",
        )
        given.add_argument("--state", help="joint state: 0.1,0.2,… or a .json or .npy file")
        given.add_argument("--prompt", help=f"the instruction (with --random: {RANDOM_PROMPT})")
        given.add_argument(
            "--random", type=int, metavar="SEED", help="draw images of all cameras and a state"
        )
        run = family.add_argument_group("how the policy runs")
        run.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
        run.add_argument("--noise", type=Path, help=".npy file of the noise, horizon x width")
        run.add_argument("--steps", type=int, help="denoising steps (default: the checkpoint's)")
        run.add_argument("--tokenizer", type=Path, help=tokenizer)
        run.add_argument("--device", default="cpu", help="PyTorch's device (default cpu)")
    robot = openpi.add_argument_group(
        "the robot, as to `pi0 run` (or in the checkpoint's pi0.json)"
    )
    robot.add_argument("--prompt-format", choices=("pi0", "pi05"))
    robot.add_argument("--delta-mask", help="delta actions: 6,-1 is six yes, one no")
    robot.add_argument("--asset", help="which statistics below assets/")
    robot.add_argument("--action-dims", type=int, help="how many of the actions are the robot's")
    robot.add_argument("--adapt-to-pi", action="store_true", help="ALOHA, as openpi adapts it")
    robot.add_argument(
        "--action-horizon", type=int, help="steps of a chunk, where no config.json says them"
    )
    arguments = parser.parse_args()
    given = arguments.image and arguments.state is not None and arguments.prompt is not None
    if arguments.random is None and not given:
        parser.error("give --image, --state and --prompt, or --random SEED")
    if arguments.random is not None and (arguments.image or arguments.state is not None):
        parser.error("--random draws the images and the state: leave out --image and --state")
    if arguments.steps is not None and arguments.steps < 1:
        parser.error("--steps must be at least 1")
    return arguments


def load_policy(arguments: argparse.Namespace) -> RecordedPolicy:
    """Imports the family's packages only here: nobody has both."""
    if not arguments.checkpoint.is_dir():
        raise CheckpointError(f"{arguments.checkpoint} is not a directory")
    try:
        if arguments.family == "lerobot":
            from recording import from_lerobot
        else:
            from recording import from_openpi
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{error}; run this with the Python that {arguments.family} is installed in"
        ) from error
    if arguments.family == "lerobot":
        tokenizer = arguments.tokenizer and from_lerobot.read_tokenizer(arguments.tokenizer)
        return from_lerobot.load(arguments.checkpoint, tokenizer, arguments.device)
    robot = from_openpi.RobotSettings(
        arguments.prompt_format,
        arguments.delta_mask,
        arguments.asset,
        arguments.action_dims,
        arguments.action_horizon,
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
        observation = draw_observation(policy.robot, generator, size * 3 // 4, size * 2)
        if arguments.prompt is not None:
            observation.prompt = arguments.prompt
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


if __name__ == "__main__":
    sys.exit(main())
