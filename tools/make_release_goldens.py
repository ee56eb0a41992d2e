"""Makes testdata/golden_releases: a π0 and a π0.5 as one release of lerobot saves and runs them.

    PYTHONPATH=…/lerobot-0.4.4 python tools/make_release_goldens.py        # 0.3.3 to 0.6.1
    python tools/make_release_goldens.py --change bare                     # of 0.6.1
    python tools/make_release_goldens.py --change former_names             # of 0.3.3
    python tools/make_release_goldens.py --change aloha                    # of 0.3.3

The release is the one that Python finds; testdata/golden_releases/README.md says with which other
packages each was run. The policy is saved by the release's own `save_pretrained`, loaded by its
own `from_pretrained`, and recorded the whole way: that `pi0 verify` does the same is what its
golden says. config.json gets the key `architecture` afterwards, since lerobot knows no other sizes
than the published ones.

`--change bare` leaves the pipeline's step for the prompt out. `--change former_names` gives the
tensors the names of transformers before 4.52, which 0.3.3 reads as its own. `--change aloha` is of
0.3's `adapt_to_pi_aloha`, with a state and actions of 14.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from lerobot import __version__ as release
from lerobot.policies.factory import get_policy_class
from safetensors.torch import load_file, save_file

from golden_parts import (
    TESTDATA,
    TOKENIZER,
    Case,
    Floats,
    Statistics,
    action,
    features,
    floats,
    randomise,
    sizes,
    usual_types,
)
from recording.lerobot_inputs import read_tokenizer
from recording.observation import Observation, draw_image, draw_noise
from recording.whole_way import WholeWayFile

IMAGE_SIZE = 28
ARCHITECTURE = sizes((12, 1, 20, 2, 7), (16, 2, 24, 2, 1, 14), (12, 2, 20, 2, 1, 14))
CAMERAS = {"top": (33, 47), "wrist": (40, 21)}  # height, width: black above and below, or beside
STATE = floats(0.31, -1.07, 0.12)
CASES = {
    "all": Case("Pick_up the red block", [*CAMERAS]),
    "wrist_alone": Case("open the drawer\n", ["wrist"]),
}
IS_0_3 = release.startswith("0.3.")


def statistics(config: Any) -> Statistics:
    """Every statistic that some release's mode asks for; repeated for ALOHA's dimensions."""
    state, actions = config.robot_state_feature.shape[0], config.action_feature.shape[0]
    return {
        "observation.state": {
            "mean": np.resize(floats(0.2, -0.4, 0.05), state),
            "std": np.resize(floats(0.5, 1.25, 0.3), state),
            "q01": np.resize(floats(-0.6, -1.9, -0.4), state),
            "q99": np.resize(floats(0.9, 1.1, 0.7), state),
        },
        "action": {
            "mean": np.resize(floats(0.1, -0.2), actions),
            "std": np.resize(floats(0.7, 1.5), actions),
            "q01": np.resize(floats(-1.5, -0.25), actions),
            "q99": np.resize(floats(1.25, 0.75), actions),
        },
    }


def make_config(kind: str, aloha: bool) -> Any:
    """The release's own configuration, of a chunk of which the robot executes all but one row.

    max_state_dim stays 32: 0.4 pads π0.5's state in the prompt to that when it has loaded a policy,
    whatever the configuration says.
    """
    from lerobot.policies.pi0.configuration_pi0 import PI0Config

    common = {
        "input_features": features(
            [f"observation.images.{c}" for c in CAMERAS], IMAGE_SIZE, len(state_of(aloha))
        ),
        "output_features": action(14 if aloha else 2),
        "device": "cpu",
        "n_action_steps": 4,
        "chunk_size": 5,
        "max_action_dim": 15 if aloha else 4,
    }
    if IS_0_3:
        return PI0Config(
            **common,
            resize_imgs_with_padding=(IMAGE_SIZE, IMAGE_SIZE),
            proj_width=ARCHITECTURE["expert"]["width"],
            num_steps=5,
            adapt_to_pi_aloha=aloha,
        )
    from lerobot.policies.pi05.configuration_pi05 import PI05Config

    return {"pi0": PI0Config, "pi05": PI05Config}[kind](
        **common, image_resolution=(IMAGE_SIZE, IMAGE_SIZE), num_inference_steps=5
    )


def state_of(aloha: bool) -> Floats:
    """ALOHA's grippers, the seventh and the last, are between 0 and 1."""
    return np.append(np.resize(STATE, 13), np.float32(0.8)) if aloha else STATE


def as_tensors(values: Statistics) -> dict[str, dict[str, torch.Tensor]]:
    return {k: {s: torch.tensor(v) for s, v in of.items()} for k, of in values.items()}


def reduced_sizes(config: Any) -> contextlib.AbstractContextManager[Any]:
    if IS_0_3:
        from recording.from_lerobot_0_3 import reduced

        return reduced(ARCHITECTURE, IMAGE_SIZE, TOKENIZER)
    from recording.reduced import lerobot_sizes

    return lerobot_sizes(ARCHITECTURE, config)


def save_policy(config: Any, seed: int, directory: Path) -> torch.nn.Module:
    """config.json and model.safetensors, the weights in the types that training leaves."""
    settings: dict[str, Any] = {}
    if IS_0_3:
        settings = {"dataset_stats": as_tensors(statistics(config))}
    policy = get_policy_class(config.type)(config, **settings)
    randomise(policy.model, torch.Generator().manual_seed(seed))
    for name, parameter in policy.model.named_parameters():
        parameter.data = parameter.data.to(usual_types(name))
    policy.save_pretrained(directory)
    return policy.model


def give_former_names(path: Path) -> None:
    """The inverse of 0.3.3's PI0Policy._transform_state_dict_keys, on a file of weights."""
    weights = load_file(path)
    paligemma = "model.paligemma_with_expert.paligemma."
    for now, former in (
        ("lm_head.", "language_model.lm_head."),
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ):
        for name in [name for name in weights if name.startswith(paligemma + now)]:
            weights[paligemma + former + name.removeprefix(paligemma + now)] = weights.pop(name)
    save_file(weights, path, metadata={"format": "pt"})


def save_processors(config: Any, bare: bool, directory: Path) -> None:
    """The pipelines that the release makes for training."""
    from lerobot.policies.factory import make_pre_post_processors
    from lerobot.processor import tokenizer_processor

    local = mock.Mock(from_pretrained=lambda _name: read_tokenizer(TOKENIZER))
    with mock.patch.object(tokenizer_processor, "AutoTokenizer", local):
        preprocess, postprocess = make_pre_post_processors(
            config, dataset_stats=as_tensors(statistics(config))
        )
    if bare:
        of_prompt = ("NewLine", "PrepareState")
        steps = [s for s in preprocess.steps if not any(n in type(s).__name__ for n in of_prompt)]
        assert len(steps) + 1 == len(preprocess.steps)
        preprocess.steps = steps
    preprocess.save_pretrained(directory)
    postprocess.save_pretrained(directory)


def load(config: Any, saved: torch.nn.Module, directory: Path) -> Any:
    """As the release loads it. It goes on where a tensor is missing: so all are looked at."""
    policy = get_policy_class(config.type).from_pretrained(directory)
    for (name, parameter), (_, of_saved) in zip(
        policy.model.named_parameters(), saved.named_parameters(), strict=True
    ):
        assert parameter.dtype == torch.float32, name
        assert torch.equal(parameter, of_saved.to(torch.float32)), name
    if IS_0_3:
        from recording.from_lerobot_0_3 import Lerobot03Policy

        return Lerobot03Policy(policy)
    from recording import from_lerobot

    processors = from_lerobot.load_processors(config, directory, read_tokenizer(TOKENIZER))
    return from_lerobot.LerobotPolicy(policy.eval(), *processors)


def make(kind: str, change: str | None, directory: Path) -> None:
    seed = 611
    config = make_config(kind, change == "aloha")
    state = state_of(change == "aloha")
    with reduced_sizes(config):
        saved = save_policy(config, seed, directory)
        if change == "former_names":
            give_former_names(directory / "model.safetensors")
        if not IS_0_3:
            save_processors(config, change == "bare", directory)
        policy = load(config, saved, directory)
        generator = np.random.default_rng(seed)
        noise = draw_noise(generator, *policy.noise_shape)
        images = {camera: draw_image(generator, *size) for camera, size in CAMERAS.items()}
        whole_way = WholeWayFile(Observation(images, state, ""), noise)
        for name, case in CASES.items():
            seen = {camera: images[camera] for camera in case.cameras}
            observation = Observation(seen, state, case.prompt)
            _network, results = policy.record(observation, noise)
            whole_way.add(name, observation, noise, results)
    whole_way.save(directory / "policy.safetensors")
    path = directory / "config.json"
    values = json.loads(path.read_text()) | {"architecture": ARCHITECTURE}
    path.write_text(json.dumps(values, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--change", choices=["aloha", "bare", "former_names"])
    parser.add_argument("--out", type=Path, default=TESTDATA / "golden_releases")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    for kind in ["pi0"] if IS_0_3 else ["pi0", "pi05"]:
        name = f"{kind}_{release}" + (f"_{arguments.change}" if arguments.change else "")
        directory = arguments.out / name
        directory.mkdir(parents=True, exist_ok=True)
        make(kind, arguments.change, directory)
        print(f"{name}: torch {torch.__version__}")


if __name__ == "__main__":
    main()
