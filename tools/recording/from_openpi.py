"""openpi's PyTorch model as openpi serves it: its own transforms and Policy around the network.

What a training configuration of openpi's would say about the robot (delta actions, the number of
its dimensions, the prompt's form) is not in a converted checkpoint; it is given as to `pi0 run`.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from openpi import transforms
from openpi.models.model import IMAGE_KEYS
from openpi.models.pi0_config import Pi0Config
from openpi.models.tokenizer import PaligemmaTokenizer
from openpi.models_pytorch.pi0_pytorch import PI0Pytorch
from openpi.policies.aloha_policy import AlohaOutputs, _decode_state
from openpi.policies.policy import Policy
from openpi.shared import download, normalize
from torch import Tensor

from recording.network import NetworkRecorder
from recording.observation import Observation, Robot, range_of
from recording.reduced import openpi_sizes
from recording.weights import CheckpointError, load_weights, tensor_shapes

_POSITIONS = (
    "paligemma_with_expert.paligemma.model.vision_tower.vision_model.embeddings"
    ".position_embedding.weight"
)


@dataclass
class RobotSettings:
    """The options of `pi0 run` that openpi's form of a checkpoint leaves open."""

    prompt_format: str | None = None  # "pi0" or "pi05"; None: the network's
    delta_mask: str | None = None  # as in make_bool_mask: "6,-1"; None: no delta actions
    asset: str | None = None  # below assets/; None: the only one
    action_dims: int | None = None  # None: as many as the statistics have
    action_horizon: int | None = None  # None: as config.json says, or 50
    max_token_len: int | None = None  # None: 48 of pi0, 200 of pi05
    adapt_to_pi: bool | None = None  # True: ALOHA's joints and grippers become pi0's, and back


@dataclass
class OpenpiPolicy:
    """The network in fp32 and what surrounds it."""

    network: PI0Pytorch
    architecture: dict[str, Any] | None
    statistics: dict[str, normalize.NormStats]  # of "state" and "actions"
    tokenizer: PaligemmaTokenizer
    prompt_format: str
    delta_mask: str | None
    action_dims: int
    adapt_to_pi: bool
    image_size: int
    device: str

    made_with: ClassVar[str] = f"openpi (PyTorch), torch {torch.__version__}"

    @property
    def noise_shape(self) -> tuple[int, int]:
        """(H, D) of the network, D with its padding."""
        return self.network.config.action_horizon, self.network.config.action_dim

    @property
    def settings(self) -> dict[str, Any]:
        """What a case of a whole-way recording says beyond its prompt and cameras."""
        return {
            "prompt_format": self.prompt_format,
            "delta_mask": self.delta_mask,
            "action_dims": self.action_dims,
            "adapt_to_pi": self.adapt_to_pi,
        }

    @property
    def robot(self) -> Robot:
        state = self.statistics["state"]
        known = {"q01": state.q01, "q99": state.q99, "mean": state.mean, "std": state.std}
        known = {name: np.asarray(value) for name, value in known.items() if value is not None}
        dimensions = min(len(state.mean), self.network.config.action_dim)
        return Robot(list(IMAGE_KEYS), range_of(known, dimensions), set(IMAGE_KEYS))

    def record(
        self, observation: Observation, noise: NDArray[np.float32], steps: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]:
        """One call on `observation` with `noise` [H, D]; `steps`: None for openpi's 10.

        Returns the network recording and the results of the whole-way recording.
        """
        config = self.network.config
        sizes = openpi_sizes(self.architecture, config, self.image_size)
        # The Policy takes hold of sample_actions when it is made, so it is made after the recorder.
        with sizes, NetworkRecorder(self.network) as recorder:
            policy = Policy(
                self.network,
                transforms=self._inputs(),
                output_transforms=self._outputs(),
                sample_kwargs={} if steps is None else {"num_steps": steps},
                pytorch_device=self.device,
                is_pytorch=True,
            )
            outputs = policy.infer(self._as_openpi(observation), noise=noise)
        network = recorder.tensors()
        results = {
            "tokens": network["tokens"].numpy(),
            "token_mask": network["token_mask"].numpy(),
            "normalised_state": network["state"].numpy()[: len(observation.state)],
            "model_actions": network["actions"].numpy(),
            "actions": outputs["actions"].astype(np.float32),
        }
        return network, results

    def _as_openpi(self, observation: Observation) -> dict[str, Any]:
        """As the robots' input transforms leave it: a missing camera is black and masked."""
        black = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        return {
            "image": {key: observation.images.get(key, black) for key in IMAGE_KEYS},
            "image_mask": {key: np.bool_(key in observation.images) for key in IMAGE_KEYS},
            "state": observation.state,
            "prompt": observation.prompt,
        }

    def _inputs(self) -> list[Any]:
        """Normalisation, then what ModelTransformFactory makes, as in create_trained_policy."""
        config = self.network.config
        return [
            *([_as_pi_has_it] if self.adapt_to_pi else []),
            transforms.Normalize(self.statistics, use_quantiles=config.pi05),
            transforms.ResizeImages(self.image_size, self.image_size),
            transforms.TokenizePrompt(
                self.tokenizer, discrete_state_input=self.prompt_format == "pi05"
            ),
            transforms.PadStatesAndActions(config.action_dim),
        ]

    def _outputs(self) -> list[Any]:
        """Un-normalisation, absolute actions, then the robot's own dimensions."""
        mask = None
        if self.delta_mask is not None:
            mask = transforms.make_bool_mask(*_numbers(self.delta_mask))
        return [
            transforms.Unnormalize(self.statistics, use_quantiles=self.network.config.pi05),
            transforms.AbsoluteActions(mask),
            lambda data: {**data, "actions": data["actions"][:, : self.action_dims]},
            *([AlohaOutputs(adapt_to_pi=True)] if self.adapt_to_pi else []),
        ]


def load(
    directory: Path, given: RobotSettings, tokenizer: Path | None = None, device: str = "cpu"
) -> OpenpiPolicy:
    """The model that openpi's conversion left in `directory`.

    `given` goes before pi0.json. `tokenizer`: PaliGemma's .model; None: as openpi fetches it.
    """
    settings = _settings(directory, given)
    statistics = _statistics(directory, settings.asset)
    path = directory / "config.json"
    values = json.loads(path.read_text()) if path.is_file() else {}
    architecture = values.get("architecture")
    shapes = tensor_shapes(directory)
    if _POSITIONS not in shapes or "action_in_proj.weight" not in shapes:
        raise CheckpointError(f"{directory} is not openpi's PyTorch form of pi0 or pi05")
    patch_size = architecture["vision"]["patch_size"] if architecture else 14
    config = Pi0Config(
        dtype="float32",
        paligemma_variant=values.get("paligemma_variant", "gemma_2b"),
        action_expert_variant=values.get("action_expert_variant", "gemma_300m"),
        action_dim=shapes["action_in_proj.weight"][1],
        action_horizon=settings.action_horizon or values.get("action_horizon", 50),
        max_token_len=settings.max_token_len,
        pi05="time_mlp_in.weight" in shapes,
        pytorch_compile_mode=None,
    )
    image_size = math.isqrt(shapes[_POSITIONS][0]) * patch_size
    with openpi_sizes(architecture, config, image_size):
        network = PI0Pytorch(config)
    # PI0Pytorch sets this to "high", which on a GPU is less than fp32.
    torch.set_float32_matmul_precision("highest")
    load_weights(network, directory)
    network.to(device).eval()
    with _tokenizer_file(tokenizer):
        paligemma = PaligemmaTokenizer(config.max_token_len)
    return OpenpiPolicy(
        network,
        architecture,
        statistics,
        paligemma,
        settings.prompt_format or ("pi05" if config.pi05 else "pi0"),
        settings.delta_mask,
        settings.action_dims or (14 if settings.adapt_to_pi else len(statistics["actions"].mean)),
        bool(settings.adapt_to_pi),
        image_size,
        device,
    )


def _as_pi_has_it(data: dict[str, Any]) -> dict[str, Any]:
    """What AlohaInputs does to a state; its images are here already."""
    return {**data, "state": _decode_state(data["state"], adapt_to_pi=True)}


def _settings(directory: Path, given: RobotSettings) -> RobotSettings:
    path = directory / "pi0.json"
    written = json.loads(path.read_text()) if path.is_file() else {}
    unknown = written.keys() - vars(given).keys()
    if unknown:
        raise CheckpointError(f"{path} has unknown keys: {', '.join(sorted(unknown))}")
    if isinstance(written.get("delta_mask"), list):
        written["delta_mask"] = ",".join(map(str, written["delta_mask"]))
    named = {key: value for key, value in vars(given).items() if value is not None}
    return RobotSettings(**(written | named))


def _statistics(directory: Path, asset: str | None) -> dict[str, normalize.NormStats]:
    assets = directory / "assets"
    found = sorted(
        path.parent.relative_to(assets).as_posix() for path in assets.rglob("norm_stats.json")
    )
    if asset is None and len(found) != 1:
        many = f"several assets, choose one by --asset: {', '.join(found)}"
        raise CheckpointError(f"{assets} has {many if found else 'no norm_stats.json'}")
    if asset is not None and asset not in found:
        others = ", ".join(found) or "no assets at all"
        raise CheckpointError(f"{assets} has no {asset}/norm_stats.json; there is {others}")
    statistics = normalize.load(assets / (asset or found[0]))
    return {name: statistics[name] for name in ("state", "actions")}


def _tokenizer_file(path: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Makes openpi's tokenizer read `path` in place of the file that it would fetch."""
    if path is None:
        return contextlib.nullcontext()
    if path.suffix != ".model":
        raise CheckpointError(f"{path}: openpi needs a SentencePiece .model")
    return mock.patch.object(download, "maybe_download", lambda *_args, **_options: path)


def _numbers(mask: str) -> list[int]:
    try:
        return [int(number) for number in mask.split(",")]
    except ValueError as error:
        raise CheckpointError(f"the delta mask {mask!r} is not a list such as 6,-1") from error
