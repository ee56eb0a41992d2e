"""The checkpoints of testdata/golden_extra: what each of them is and which calls are recorded.

make_goldens.py writes them. Every value here is as unusual as lerobot allows; the README in
testdata/golden_extra says why each is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from lerobot.policies.pi0.configuration_pi0 import PI0Config
from lerobot.policies.pi05.configuration_pi05 import PI05Config

from golden_parts import (
    LONG_PROMPT,
    Case,
    Floats,
    Statistics,
    action,
    features,
    floats,
    modes,
    sizes,
    usual_types,
)


@dataclass
class Continued:
    """A call that continues a chunk, in lerobot's trained form of real-time chunking."""

    inference_delay: int
    rows: int | None  # what is left of the chunk before; None: there was none
    dims: int  # of it
    steps: int


@dataclass
class Checkpoint:
    """One directory of golden_extra."""

    name: str
    seed: int
    config: PI0Config | PI05Config
    architecture: dict[str, Any]
    statistics: Statistics
    state: Floats
    image_sizes: dict[str, tuple[int, int]]  # camera as the robot names it -> height, width
    cases: dict[str, Case]  # the first is recorded stage by stage, too
    storage: Callable[[str], torch.dtype]  # tensor name -> type in the file
    prefix: str = "model."
    left_out: tuple[str, ...] = ()  # ends of names of tensors that are not written
    rename_map: dict[str, str] = field(default_factory=dict)
    normalize_observation_keys: set[str] | None = None
    eps: tuple[float, float] = (1e-8, 1e-8)  # of the normaliser, of the un-normaliser
    continued: dict[str, Continued] = field(default_factory=dict)  # on the first case's inputs


def pi05_relative() -> Checkpoint:
    cameras = ["wrist", "front", "overhead"]
    return Checkpoint(
        name="pi05_relative",
        seed=501,
        config=PI05Config(
            input_features=features([f"observation.images.{c}" for c in cameras], 42, 6),
            output_features=action(5),
            device="cpu",
            chunk_size=5,
            n_action_steps=2,
            max_state_dim=7,
            max_action_dim=9,
            num_inference_steps=3,
            image_resolution=(42, 42),
            empty_cameras=2,
            tokenizer_max_length=72,
            use_relative_actions=True,
            action_feature_names=None,
            normalization_mapping=modes("IDENTITY", "MEAN_STD", "MIN_MAX"),
        ),
        architecture=sizes((45, 2, 62, 3, 14), (44, 2, 70, 3, 1, 34), (38, 2, 52, 3, 1, 34)),
        statistics={
            "observation.state": {
                "mean": floats(0.2, -0.4, 0.05, 1.5, -2.0, 0.0),
                "std": floats(0.5, 1.25, 0.0, 2.0, 0.75, 0.3),
            },
            "action": {
                "min": floats(-1.5, -0.25, 0.7, -3.0, 0.0),
                "max": floats(1.25, 0.75, 0.7, 2.0, 0.1),
            },
        },
        state=floats(0.31, -1.07, 0.12, 2.4, -2.33, 0.71),
        image_sizes={"wrist": (37, 61), "front": (64, 30), "overhead": (42, 42)},
        cases={
            "all": Case("Pick_up the red block\n", cameras),
            "middle_only": Case("  open\nthe_drawer ", ["front"]),
            "given_in_another_order": Case("Pick_up the red block\n", cameras[::-1]),
            "cut": Case(LONG_PROMPT, ["overhead", "wrist"]),
            "own_inputs": Case(
                "",
                ["front", "overhead"],
                state=floats(-0.9, 0.6, -0.03, 1.5, -1.1, 0.02),
                own_images=True,
                own_noise=True,
            ),
        },
        storage=lambda _name: torch.float16,
        left_out=("gemma_expert.lm_head.weight",),
        eps=(1e-3, 1e-2),
    )


def pi0_visual() -> Checkpoint:
    robot_cameras = ["cam_r", "observation.image", "left"]  # as the robot names them
    return Checkpoint(
        name="pi0_visual",
        seed=502,
        config=PI0Config(
            input_features=features(
                ["observation.images.right", "observation.image", "observation.images.left"], 40, 2
            ),
            output_features=action(3),
            device="cpu",
            chunk_size=1,
            n_action_steps=1,
            max_state_dim=3,
            max_action_dim=4,
            num_inference_steps=4,
            min_period=0.01,
            max_period=2.5,
            image_resolution=(40, 40),
            tokenizer_max_length=12,
            normalization_mapping=modes("MEAN_STD", "IDENTITY", "QUANTILES"),
        ),
        architecture=sizes((36, 2, 58, 2, 8), (50, 2, 90, 6, 2, 18), (34, 2, 46, 6, 2, 18)),
        statistics={
            # As data sets have them, [3, 1, 1]; "left" has none and passes unchanged.
            "observation.images.right": {
                "mean": floats(0.485, 0.456, 0.406).reshape(3, 1, 1),
                "std": floats(0.229, 0.224, 0.225).reshape(3, 1, 1),
            },
            "observation.image": {
                "mean": floats(0.5, 0.2, 0.8).reshape(3, 1, 1),
                "std": floats(0.5, 1.5, 0.25).reshape(3, 1, 1),
            },
            "observation.state": {"mean": floats(5.0, 7.0), "std": floats(0.1, 0.0)},
            "action": {"q01": floats(-0.4, 1.5, -2.0), "q99": floats(1.1, 1.5, 0.5)},
        },
        state=floats(0.8, -1.3),
        image_sizes={"cam_r": (31, 57), "observation.image": (40, 40), "left": (75, 44)},
        cases={
            "all": Case("move the arm up", robot_cameras),
            "not_resized_alone": Case("two  spaces _ and \n a line", ["observation.image"]),
            "statistics_alone": Case("go", ["cam_r"]),
            "cut": Case(LONG_PROMPT, ["left", "observation.image"]),
            "only_newline": Case("\n", ["left", "cam_r"], own_images=True),
        },
        storage=usual_types,
        prefix="",
        rename_map={
            "observation.images.cam_r": "observation.images.right",
            "observation.joints": "observation.state",
        },
    )


def pi0_keys() -> Checkpoint:
    cameras = ["b", "a"]
    return Checkpoint(
        name="pi0_keys",
        seed=503,
        config=PI0Config(
            input_features=features([f"observation.images.{c}" for c in cameras], 45, 5),
            output_features=action(4),
            device="cpu",
            chunk_size=7,
            n_action_steps=7,
            max_state_dim=6,
            max_action_dim=5,
            num_inference_steps=12,
            image_resolution=(45, 45),  # patches of 14: three each way, 3 pixels left over
            tokenizer_max_length=10,
            use_relative_actions=True,
            relative_exclude_joints=["", "GRIP"],
            action_feature_names=["base", "left_gripper", "wrist"],
            normalization_mapping=modes("MIN_MAX", "MEAN_STD", "IDENTITY"),
        ),
        architecture=sizes((42, 1, 50, 7, 14), (26, 3, 38, 2, 2, 20), (22, 3, 30, 2, 2, 20)),
        statistics={
            "observation.images.a": {
                "min": floats(0.1, 0.0, 0.3).reshape(3, 1, 1),
                "max": floats(0.9, 1.0, 0.8).reshape(3, 1, 1),
            },
            "observation.images.b": {
                "min": floats(0.2, 0.2, 0.2).reshape(3, 1, 1),
                "max": floats(0.7, 0.7, 0.7).reshape(3, 1, 1),
            },
            # Not normalised all the same: not among normalize_observation_keys.
            "observation.state": {
                "mean": floats(9.0, 8.0, 7.0, 6.0, 5.0),
                "std": floats(0.1, 0.2, 0.3, 0.0, 0.5),
            },
        },
        state=floats(0.5, -0.2, 1.1, -1.7, 0.4),
        image_sizes={"b": (60, 45), "a": (45, 45)},
        cases={
            "a_alone": Case("press the button", ["a"]),
            "all": Case("press the button\n\n", cameras),
            "a_resized": Case("press", ["a"], own_images=True, own_noise=True),
            "b_alone": Case("", ["b"], state=floats(-0.5, 0.3, 0.0, 2.0, -1.0)),
        },
        storage=lambda _name: torch.float32,
        normalize_observation_keys={"observation.images.a"},
    )


def pi05_plain() -> Checkpoint:
    cameras = ["zenith", "hand"]
    return Checkpoint(
        name="pi05_plain",
        seed=504,
        config=PI05Config(
            input_features=features([f"observation.images.{c}" for c in cameras], 28, 3),
            output_features=action(6),
            device="cpu",
            chunk_size=2,
            n_action_steps=1,
            max_state_dim=4,
            max_action_dim=6,
            num_inference_steps=1,
            min_period=0.02,
            max_period=1.0,
            image_resolution=(28, 28),
            empty_cameras=1,
            tokenizer_max_length=44,
            normalization_mapping=modes("IDENTITY", "IDENTITY", "IDENTITY"),
        ),
        architecture=sizes((30, 3, 44, 1, 14), (64, 1, 96, 8, 4, 12), (48, 1, 64, 8, 4, 12)),
        statistics={},
        state=floats(-1.0, 0.9999, 0.25),
        image_sizes={"zenith": (28, 28), "hand": (19, 83)},
        cases={
            "all": Case("wipe the table", cameras),
            "hand_alone": Case("\twipe_the_table\n", ["hand"]),
            "state_out_of_range": Case("stop", ["zenith"], state=floats(1.0, -1.5, 40.0)),
            "cut": Case(LONG_PROMPT, cameras, own_noise=True),
        },
        storage=lambda name: torch.float16 if "vision_tower" in name else usual_types(name),
        left_out=(
            "paligemma.model.language_model.embed_tokens.weight",
            "paligemma.model.language_model.norm.weight",
            "gemma_expert.lm_head.weight",
        ),
    )


def pi05_trained() -> Checkpoint:
    horizon, width, dims, longest = 35, 7, 5, 33
    return Checkpoint(
        name="pi05_trained",
        seed=505,
        config=PI05Config(
            input_features=features(["observation.images.front"], 28, 4),
            output_features=action(dims),
            device="cpu",
            chunk_size=horizon,
            n_action_steps=20,
            max_action_dim=width,
            num_inference_steps=4,
            image_resolution=(28, 28),
            tokenizer_max_length=60,
            rtc_training_max_delay=longest,
        ),
        architecture=sizes((30, 1, 44, 2, 14), (44, 3, 70, 3, 1, 34), (38, 3, 52, 3, 1, 34)),
        statistics={
            "observation.state": {
                "q01": floats(-0.6, -1.9, -0.4, 0.0),
                "q99": floats(0.9, 1.1, 0.7, 2.0),
            },
            "action": {
                "q01": floats(-1.5, -0.25, 0.3, -3.0, 0.0),
                "q99": floats(1.25, 0.75, 0.7, 2.0, 0.1),
            },
        },
        state=floats(0.31, -1.07, 0.12, 1.4),
        image_sizes={"front": (37, 61)},
        cases={"all": Case("Pick_up the red block", ["front"])},
        storage=lambda _name: torch.float32,
        continued={
            "no_chunk_before": Continued(3, None, width, 4),
            "no_delay": Continued(0, 20, width, 4),
            "one_row": Continued(1, 20, width, 4),
            "the_robots_width": Continued(7, 25, dims, 4),
            "all_that_is_left": Continued(6, 6, width, 4),
            "longest": Continued(longest, horizon, width, 4),
            "one_step": Continued(5, 20, dims, 1),
            "more_steps": Continued(32, 34, width, 9),
        },
    )


# The trained form is of lerobot after 0.6.1, the others are of 0.6.1.
CHECKPOINTS = (
    [pi05_trained]
    if hasattr(PI05Config, "rtc_training_max_delay")
    else [pi05_relative, pi0_visual, pi0_keys, pi05_plain]
)
