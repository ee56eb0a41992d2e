"""A checkpoint's tensors into a PyTorch model: single file or shards, and nothing left unsaid.

lerobot's from_pretrained prints a failure and goes on with random weights, and reads no shards;
a recording of that would be worthless, so loading is done here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_EMBEDDING = "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight"
_LM_HEAD = "paligemma_with_expert.paligemma.lm_head.weight"
# Parameters that the classes have and inference does not use; files may leave them out.
_UNUSED = {
    _LM_HEAD,
    "paligemma_with_expert.gemma_expert.lm_head.weight",
    "paligemma_with_expert.paligemma.model.language_model.norm.weight",
}


class CheckpointError(Exception):
    """A sentence for the user: what is wrong with the checkpoint or with what was given with it."""


def tensor_shapes(directory: Path) -> dict[str, list[int]]:
    """The shape of every tensor of the checkpoint, by its name without the prefix `model.`."""
    shapes: dict[str, list[int]] = {}
    for path in _files(directory):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (not a dict)
                shapes[key.removeprefix("model.")] = file.get_slice(key).get_shape()
    return shapes


def load_weights(network: nn.Module, directory: Path) -> None:
    """Fills the network (lerobot's policy.model or openpi's PI0Pytorch) from the directory.

    Tensors are converted to the model's type. Names may begin with `model.`. Of the tied pair
    embed_tokens and lm_head either is enough; embed_tokens is used where both are there.
    """
    weights = _read(directory)
    if _EMBEDDING not in weights and _LM_HEAD in weights:
        weights[_EMBEDDING] = weights[_LM_HEAD]
    expected = network.state_dict()
    missing = sorted(expected.keys() - weights.keys() - _UNUSED)
    if missing:
        raise CheckpointError(f"{directory} lacks {_listed(missing)}")
    unknown = sorted(weights.keys() - expected.keys() - _UNUSED - {_EMBEDDING})
    if unknown:
        print(
            f"record: {directory} has tensors that are not used: {_listed(unknown)}",
            file=sys.stderr,
        )
    # lm_head above all stays out: where the class ties the pair, it would overwrite embed_tokens.
    used = {name: weights[name] for name in weights.keys() & expected.keys() - _UNUSED}
    for name, tensor in used.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} in {directory} has shape {list(tensor.shape)}, "
                f"the model expects {list(expected[name].shape)}"
            )
    network.load_state_dict(used, strict=False)


def _read(directory: Path) -> dict[str, Tensor]:
    """All tensors by name without the prefix `model.`; their bytes stay in the mapped files."""
    weights: dict[str, Tensor] = {}
    for path in _files(directory):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (not a dict)
                weights[key.removeprefix("model.")] = file.get_tensor(key)
    return weights


def _files(directory: Path) -> list[Path]:
    """The single file, or the shards that the index names."""
    single, index = directory / SINGLE_FILE, directory / INDEX_FILE
    if single.is_file():
        return [single]
    if not index.is_file():
        raise CheckpointError(f"{directory} has neither {SINGLE_FILE} nor {INDEX_FILE}")
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    for shard in shards:
        if not (directory / shard).is_file():
            raise CheckpointError(f"{directory} lacks {shard}, which {INDEX_FILE} names")
    return [directory / shard for shard in shards]


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
