"""What the scripts that make golden checkpoints share: features, sizes, weights from a seed.

Runs with every release of lerobot from 0.3.3 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from numpy.typing import NDArray
from torch import Tensor, nn

TESTDATA = Path(__file__).resolve().parent.parent / "testdata"
TOKENIZER = TESTDATA / "golden" / "preprocess" / "tokenizer.json"

Floats = NDArray[np.float32]
Statistics = dict[str, dict[str, Floats]]  # feature -> "mean", "std", "q01", … -> values


@dataclass
class Case:
    """One call: who sees what. Shared images, state and noise where nothing else is given."""

    prompt: str
    cameras: list[str]  # in the order in which they are given
    state: Floats | None = None
    own_images: bool = False
    own_noise: bool = False


def features(cameras: list[str], size: int, state: int) -> dict[str, PolicyFeature]:
    """input_features: the cameras in this order, each as lerobot names it, then the state."""
    result = {
        camera: PolicyFeature(type=FeatureType.VISUAL, shape=(3, size, size)) for camera in cameras
    }
    result["observation.state"] = PolicyFeature(type=FeatureType.STATE, shape=(state,))
    return result


def action(dimensions: int) -> dict[str, PolicyFeature]:
    return {"action": PolicyFeature(type=FeatureType.ACTION, shape=(dimensions,))}


def modes(visual: str, state: str, actions: str) -> dict[str, NormalizationMode]:
    return {
        "VISUAL": NormalizationMode(visual),
        "STATE": NormalizationMode(state),
        "ACTION": NormalizationMode(actions),
    }


def floats(*values: float) -> Floats:
    return np.asarray(values, np.float32)


def sizes(
    vision: tuple[int, ...], language: tuple[int, ...], expert: tuple[int, ...]
) -> dict[str, Any]:
    """vision: width, depth, mlp_dim, num_heads, patch_size; the others: width, depth, mlp_dim,
    num_heads, num_kv_heads, head_dim."""
    names = ("width", "depth", "mlp_dim", "num_heads")
    text = (*names, "num_kv_heads", "head_dim")
    return {
        "vision": dict(zip((*names, "patch_size"), vision, strict=True)),
        "language": dict(zip(text, language, strict=True)),
        "expert": dict(zip(text, expert, strict=True)),
        "vocab_size": 512,
    }


LONG_PROMPT = (
    "put the small green cube that lies left of the blue bowl into the open drawer, "
    "then close the drawer slowly and come back to where you were before"
)


def usual_types(name: str) -> torch.dtype:
    """As lerobot's bf16 training leaves a checkpoint, about: norms and embeddings of patches and
    positions in fp32, the rest in bf16."""
    wide = ("norm", "patch_embedding", "position_embedding")
    return torch.float32 if any(part in name for part in wide) else torch.bfloat16


def randomise(policy: nn.Module, generator: torch.Generator) -> None:
    """Weights under which no part of the network is too weak to be seen in the actions."""

    def fill(tensor: Tensor, scale: float, mean: float = 0.0) -> None:
        tensor.data = torch.randn(tensor.shape, generator=generator) * scale + mean

    for name, parameter in sorted(policy.named_parameters()):
        kind = name.rsplit(".", 2)[-2]
        if "embed_tokens" in name or name.endswith("lm_head.weight"):
            fill(parameter, parameter.shape[-1] ** -0.5)  # gets multiplied by the width's root
        elif "position_embedding" in name:
            fill(parameter, 0.3)
        elif parameter.dim() >= 2:
            inputs = parameter[0].numel()
            fill(parameter, (0.4 if kind == "dense" else 1.0) * inputs**-0.5)
        elif name.endswith("bias"):
            fill(parameter, 0.1)
        elif "vision_tower" in name:
            fill(parameter, 0.2, mean=1.0)  # LayerNorm
        else:
            fill(parameter, 0.2)  # RMSNorm: 1 + w
