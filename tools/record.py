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

RANDOM_PROMPT = "pick up the red block"


def main() -> int:
    arguments = parse_arguments()
    if arguments.random is not None and arguments.prompt is None:
        arguments.prompt = RANDOM_PROMPT
    try:  # imported here: how to call this can be read where nothing of it is installed
        from recording.both_files import record

        return record(arguments)
    except ModuleNotFoundError as error:
        print(
            f"record: {error}; run this with the Python that {arguments.family} is installed in",
            file=sys.stderr,
        )
        return 1


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
    robot.add_argument(
        "--max-token-len", type=int, help="tokens of the longest prompt; default: 48 or 200"
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


if __name__ == "__main__":
    sys.exit(main())
