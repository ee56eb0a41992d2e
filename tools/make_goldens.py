"""Makes testdata/golden_extra: small checkpoints as lerobot saves them, and what it does with them.

They cover what testdata/golden leaves untested; testdata/golden_extra/README.md says what each
is for. Everything is drawn from fixed seeds, so that a second run gives the same files, up to
the rounding of another machine's matrix products.

    python tools/make_goldens.py            # with lerobot[pi] 0.6.1 installed; no network is used
    python tools/make_goldens.py --only pi05_relative --out /somewhere/else
    PYTHONPATH=…/lerobot/src python tools/make_goldens.py   # of its main: pi05_trained
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.processor import tokenizer_processor
from safetensors.torch import save_file

from golden_checkpoints import CHECKPOINTS, Checkpoint, Continued
from golden_parts import TESTDATA, TOKENIZER, Floats, randomise
from recording import from_lerobot, lerobot_inputs
from recording.observation import Observation, draw_image, draw_noise
from recording.reduced import lerobot_sizes
from recording.whole_way import WholeWayFile


def make(spec: Checkpoint, out: Path) -> None:
    """Writes the checkpoint, then loads it as a user would and records it."""
    directory = out / spec.name
    directory.mkdir(parents=True, exist_ok=True)
    save_checkpoint(spec, directory)
    policy = from_lerobot.load(directory, lerobot_inputs.read_tokenizer(TOKENIZER))
    generator = np.random.default_rng(spec.seed)
    horizon, width = policy.noise_shape
    noise = draw_noise(generator, horizon, width)
    images = {camera: draw_image(generator, *size) for camera, size in spec.image_sizes.items()}
    whole_way = WholeWayFile(Observation(images, spec.state, ""), noise)
    for name, case in spec.cases.items():
        seen = {camera: images[camera] for camera in case.cameras}
        if case.own_images:
            seen = {camera: draw_image(generator, 33, 51) for camera in case.cameras}
        state = spec.state if case.state is None else case.state
        own = draw_noise(generator, horizon, width) if case.own_noise else noise
        observation = Observation(seen, state, case.prompt)
        network, results = policy.record(observation, own)
        whole_way.add(name, observation, own, results)
        if name == next(iter(spec.cases)):
            save_file(
                network,
                directory / "network.safetensors",
                metadata={"made_with": policy.made_with},
            )
            if spec.continued:
                continue_chunks(spec, policy, observation, own, generator, directory)
    whole_way.save(directory / "policy.safetensors")


def continue_chunks(
    spec: Checkpoint,
    policy: from_lerobot.LerobotPolicy,
    observation: Observation,
    noise: Floats,
    generator: np.random.Generator,
    directory: Path,
) -> None:
    """Writes rtc.safetensors: calls in lerobot's trained form, and one in its guided form."""
    inputs = ("images", "image_masks", "tokens", "token_mask", "noise")
    tensors: dict[str, torch.Tensor] = {}
    described: dict[str, dict[str, object]] = {}

    def add(name: str, call: Continued, settings: dict[str, object], **more: object) -> None:
        before = None
        if call.rows is not None:
            before = torch.from_numpy(draw_noise(generator, call.rows, call.dims))
            tensors[f"{name}.prev_chunk_left_over"] = before
        policy.policy.config.rtc_config = RTCConfig(**settings)
        policy.policy.init_rtc_processor()
        network, _results = policy.record(
            observation,
            noise,
            call.steps,
            inference_delay=call.inference_delay,
            prev_chunk_left_over=before,
        )
        tensors.update({key: network[key] for key in inputs})
        tensors[f"{name}.actions"] = network["actions"]
        described[name] = {
            "mode": settings.get("mode", "guided"),
            "steps": call.steps,
            "inference_delay": call.inference_delay,
            **more,
        }

    for name, call in spec.continued.items():
        add(name, call, {"mode": "trained"})
    # What a caller who says no mode gets of the same checkpoint.
    add(
        "guided",
        Continued(2, 20, spec.config.max_action_dim, 4),
        {},
        schedule="LINEAR",
        max_guidance_weight=10.0,
        execution_horizon=10,
    )
    save_file(
        tensors,
        directory / "rtc.safetensors",
        metadata={"cases": json.dumps(described)},
    )


def save_checkpoint(spec: Checkpoint, directory: Path) -> None:
    """config.json, model.safetensors and both processors, by lerobot's own functions."""
    with lerobot_sizes(spec.architecture, spec.config):
        policy = get_policy_class(spec.config.type)(spec.config)
    randomise(policy, torch.Generator().manual_seed(spec.seed))
    weights = {
        spec.prefix + name: tensor.to(spec.storage(name)).contiguous()
        for name, tensor in policy.model.state_dict().items()
        if not name.endswith(spec.left_out or ("\0",))
    }
    save_file(weights, directory / "model.safetensors")

    spec.config._save_pretrained(directory)  # noqa: SLF001 (what PreTrainedPolicy saves)
    path = directory / "config.json"
    config = json.loads(path.read_text()) | {"architecture": spec.architecture}
    path.write_text(json.dumps(config, indent=2) + "\n")

    local = mock.Mock(from_pretrained=lambda _name: lerobot_inputs.read_tokenizer(TOKENIZER))
    with mock.patch.object(tokenizer_processor, "AutoTokenizer", local):
        preprocess, postprocess = make_pre_post_processors(
            spec.config, dataset_stats=spec.statistics
        )
    for step in preprocess.steps:
        if hasattr(step, "rename_map"):
            step.rename_map = spec.rename_map
        if hasattr(step, "norm_map"):
            step.eps = spec.eps[0]
            step.normalize_observation_keys = spec.normalize_observation_keys
    for step in postprocess.steps:
        if hasattr(step, "norm_map"):
            step.eps = spec.eps[1]
    preprocess.save_pretrained(directory)
    postprocess.save_pretrained(directory)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [checkpoint.__name__ for checkpoint in CHECKPOINTS]
    parser.add_argument("--only", choices=names, help="make this one alone")
    parser.add_argument("--out", type=Path, default=TESTDATA / "golden_extra")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    for checkpoint in CHECKPOINTS:
        if arguments.only in (None, checkpoint.__name__):
            make(checkpoint(), arguments.out)


if __name__ == "__main__":
    main()
