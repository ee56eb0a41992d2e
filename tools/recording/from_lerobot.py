"""A lerobot policy (pi0 or pi05) as lerobot runs it: processors, network, processors."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lerobot import __version__ as lerobot_version
from lerobot.configs import PreTrainedConfig
from lerobot.policies.common.vla_utils import pad_vector
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.constants import (
    OBS_LANGUAGE_ATTENTION_MASK,
    OBS_LANGUAGE_TOKENS,
    OBS_STATE,
)
from numpy.typing import NDArray
from torch import Tensor

from recording.network import NetworkRecorder
from recording.observation import Observation, Robot, range_of
from recording.reduced import lerobot_sizes
from recording.weights import CheckpointError, load_weights

_IMAGES = "observation.images."


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
        self, observation: Observation, noise: NDArray[np.float32], steps: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]:
        """One call on `observation` with `noise` [H, D]; `steps`: None for the configuration's.

        Returns the network recording and the results of the whole-way recording.
        """
        renamed = _step(self.preprocess, "rename_map").rename_map
        batch = self.preprocess(_as_lerobot(observation, renamed))
        device = self.policy.config.device
        sampling: dict[str, Any] = {"noise": torch.from_numpy(noise)[None].to(device)}
        if steps is not None:
            sampling["num_steps"] = steps
        with NetworkRecorder(self.policy.model) as recorder:
            model_actions = self.policy.predict_action_chunk(batch, **sampling)
        network = recorder.tensors()
        # pi05's network does not take the state; recorded all the same, padded as pi0's is.
        state = pad_vector(batch[OBS_STATE], self.policy.config.max_state_dim)
        network.setdefault("state", state[0].cpu().clone())
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
    overrides: dict[str, Any] = {"device_processor": {"device": device}}
    if tokenizer is not None:
        overrides["tokenizer_processor"] = {"tokenizer": tokenizer}
    try:
        preprocess, postprocess = make_pre_post_processors(
            config,
            pretrained_path=str(directory),
            preprocessor_overrides=overrides,
            postprocessor_overrides={"device_processor": {"device": "cpu"}},
        )
    except Exception as error:  # lerobot and the Hub's client raise many kinds
        hint = "" if tokenizer else " (a tokenizer that cannot be fetched is given by --tokenizer)"
        sentence = f"lerobot cannot load the processors of {directory}{hint}: {error}"
        raise CheckpointError(sentence) from error
    return LerobotPolicy(policy, preprocess, postprocess)


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


def read_tokenizer(path: Path) -> Any:
    """A tokenizer.json, or a directory of one as transformers saves it."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if path.is_dir():
        return AutoTokenizer.from_pretrained(path)
    if path.suffix != ".json":
        raise CheckpointError(f"{path}: lerobot needs a tokenizer.json or a directory of one")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path))
    # PaliGemma's padding is token 0; a bare tokenizer.json does not say so.
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def short_name(feature: str) -> str:
    """observation.images.front -> front; other feature names stay."""
    return feature.removeprefix(_IMAGES)


def _as_lerobot(observation: Observation, renamed: dict[str, str]) -> dict[str, Any]:
    """Images [3, height, width] f32 in [0, 1], as lerobot's robots and data sets give them.

    `renamed`: the processor's rename_map; a robot that it was made for gives the state by the
    name that is renamed.
    """
    batch: dict[str, Any] = {}
    for camera, image in observation.images.items():
        name = camera if camera.startswith("observation.") else _IMAGES + camera
        batch[name] = torch.tensor(image).permute(2, 0, 1).to(torch.float32) / 255
    state_name = next((old for old, new in renamed.items() if new == OBS_STATE), OBS_STATE)
    batch[state_name] = torch.tensor(observation.state)
    batch["task"] = observation.prompt
    return batch


def _step(pipeline: Any, attribute: str) -> Any:
    """The pipeline's step that has the attribute."""
    for step in pipeline.steps:
        if hasattr(step, attribute):
            return step
    raise CheckpointError(f"the saved processor has no step with {attribute}")
