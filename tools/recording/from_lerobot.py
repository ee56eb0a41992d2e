"""A lerobot policy (pi0 or pi05) as lerobot runs it: processors, network, processors.

For releases from 0.4.0 on, as far as their names go; from_lerobot_0_3.py is for the one before.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from lerobot import __version__ as lerobot_version
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.constants import (
    OBS_LANGUAGE_ATTENTION_MASK,
    OBS_LANGUAGE_TOKENS,
    OBS_STATE,
)
from numpy.typing import NDArray
from torch import Tensor

from recording.lerobot_inputs import as_lerobot, short_name
from recording.network import NetworkRecorder
from recording.observation import Observation, Robot, range_of
from recording.reduced import lerobot_sizes
from recording.weights import CheckpointError, load_weights


@dataclass
class LerobotPolicy:
    """A policy in fp32 with the processors saved beside it."""

    policy: Any  # PI0Policy or PI05Policy
    preprocess: Any  # PolicyProcessorPipeline
    postprocess: Any  # PolicyProcessorPipeline

    made_with: ClassVar[str] = f"lerobot {lerobot_version}, torch {torch.__version__}"
    settings: ClassVar[dict[str, Any]] = {}  # everything is in the checkpoint

    @property
    def noise_shape(self) -> tuple[int, int]:
        """(H, D) of the network, D with its padding."""
        return self.policy.config.chunk_size, self.policy.config.max_action_dim

    @property
    def image_size(self) -> int:
        return self.policy.config.image_resolution[0]

    @property
    def robot(self) -> Robot:
        features = self.policy.config.image_features
        cameras = [short_name(name) for name in features]
        renamed = _step(self.preprocess, "rename_map").rename_map
        others = {short_name(old) for old, new in renamed.items() if new in features}
        dimensions = self.policy.config.input_features[OBS_STATE].shape[0]
        statistics = (_step(self.preprocess, "norm_map").stats or {}).get(OBS_STATE, {})
        return Robot(
            cameras=[name for name in cameras if not name.startswith("empty_camera_")],
            state_range=range_of(statistics, dimensions),
            accepted_cameras={*cameras, *others},
        )

    def record(
        self,
        observation: Observation,
        noise: NDArray[np.float32],
        steps: int | None = None,
        **chunking: Any,
    ) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]:
        """One call on `observation` with `noise` [H, D]; `steps`: None for the configuration's.
        `chunking`: what real-time chunking adds to predict_action_chunk.

        Returns the network recording and the results of the whole-way recording.
        """
        renamed = _step(self.preprocess, "rename_map").rename_map
        batch = self.preprocess(as_lerobot(observation, renamed))
        config, model = self.policy.config, self.policy.model
        # 0.4.0's predict_action_chunk takes neither the noise nor the number of steps.
        given = torch.from_numpy(noise)[None].to(config.device)
        with (
            NetworkRecorder(model) as recorder,
            mock.patch.object(model, "sample_noise", lambda _shape, _device: given.clone()),
            mock.patch.object(config, "num_inference_steps", steps or config.num_inference_steps),
        ):
            model_actions = self.policy.predict_action_chunk(batch, **chunking)
        network = recorder.tensors()
        # pi05's network does not take the state; recorded all the same, padded as pi0's is.
        state = batch[OBS_STATE][0]
        padding = max(0, config.max_state_dim - len(state))
        network.setdefault("state", torch.nn.functional.pad(state, (0, padding)).cpu().clone())
        actions = self.postprocess(model_actions)
        results = {
            "tokens": batch[OBS_LANGUAGE_TOKENS][0].to(torch.int32),
            "token_mask": batch[OBS_LANGUAGE_ATTENTION_MASK][0].to(torch.bool),
            "normalised_state": batch[OBS_STATE][0],
            "model_actions": model_actions[0],
            "actions": actions[0],
        }
        return network, {name: value.cpu().numpy() for name, value in results.items()}


def load(directory: Path, tokenizer: Any = None, device: str = "cpu") -> LerobotPolicy:
    """The policy that lerobot saved in `directory`.

    `tokenizer`: used in place of the one that the saved processor names (of the Hub).
    """
    config, architecture = read_config(directory)
    config.device = device
    config.dtype = "float32"
    config.compile_model = False
    with lerobot_sizes(architecture, config):
        policy = get_policy_class(config.type)(config)
    load_weights(policy.model, directory)
    policy.eval()
    preprocess, postprocess = load_processors(config, directory, tokenizer)
    return LerobotPolicy(policy, preprocess, postprocess)


def load_processors(config: Any, directory: Path, tokenizer: Any = None) -> tuple[Any, Any]:
    """The two pipelines that lerobot saved in `directory`; `tokenizer` as for `load`."""
    overrides: dict[str, Any] = {"device_processor": {"device": config.device}}
    if tokenizer is not None:
        overrides["tokenizer_processor"] = {"tokenizer": tokenizer}
    try:
        return make_pre_post_processors(
            config,
            pretrained_path=str(directory),
            preprocessor_overrides=overrides,
            postprocessor_overrides={"device_processor": {"device": "cpu"}},
        )
    except Exception as error:  # lerobot and the Hub's client raise many kinds
        hint = "" if tokenizer else " (a tokenizer that cannot be fetched is given by --tokenizer)"
        sentence = f"lerobot cannot load the processors of {directory}{hint}: {error}"
        raise CheckpointError(sentence) from error


def read_config(directory: Path) -> tuple[Any, dict[str, Any] | None]:
    """lerobot's configuration, and the `architecture` that libpi0's small checkpoints have."""
    path = directory / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{directory} has no config.json")
    values = json.loads(path.read_text())
    if values.get("type") not in ("pi0", "pi05"):
        raise CheckpointError(f"{path} has type {values.get('type')!r}, expected pi0 or pi05")
    architecture = values.pop("architecture", None)
    # lerobot's parser refuses keys that it does not know, so it gets a copy without ours.
    with tempfile.TemporaryDirectory() as copy:
        (Path(copy) / path.name).write_text(json.dumps(values))
        config = PreTrainedConfig.from_pretrained(copy)
    return config, architecture


def _step(pipeline: Any, attribute: str) -> Any:
    """The pipeline's step that has the attribute."""
    for step in pipeline.steps:
        if hasattr(step, attribute):
            return step
    raise CheckpointError(f"the saved processor has no step with {attribute}")
