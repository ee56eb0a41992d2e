"""lerobot's batches as observations, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lerobot.utils.constants import OBS_LANGUAGE_TOKENS
from torch import Tensor

import libpi0


def split(batch: dict[str, Any], keys: Sequence[str], prompt_key: str) -> list[dict[str, Any]]:
    """Each observation of a batch, with what it has of ``keys`` and its task.

    Raises:
        libpi0.InvalidInputError: none of the keys is there, they are of different numbers of
            observations, or the checkpoint's own processors have been there before.
    """
    if OBS_LANGUAGE_TOKENS in batch:
        raise libpi0.InvalidInputError(
            f"the batch has {OBS_LANGUAGE_TOKENS}: the checkpoint's own processors normalised it, "
            "which libpi0 does itself; take make_pre_post_processors(policy.config), without a path"
        )
    tensors = {key: _on_cpu(batch[key]) for key in keys if key in batch}
    counts = {key: len(tensor) for key, tensor in tensors.items()}
    if len(set(counts.values())) != 1:
        found = ", ".join(f"{key} of {count}" for key, count in counts.items()) or "none of them"
        raise libpi0.InvalidInputError(
            f"the batch has {found}, expected {', '.join(keys)} of as many observations each"
        )
    count = next(iter(counts.values()))
    tasks = batch.get("task", "")
    tasks = [tasks] * count if isinstance(tasks, str) else tasks
    if len(tasks) != count:
        raise libpi0.InvalidInputError(
            f"the batch has {len(tasks)} tasks, expected {count}, one an observation"
        )
    return [
        {prompt_key: task, **{key: tensor[index].numpy() for key, tensor in tensors.items()}}
        for index, task in enumerate(tasks)
    ]


def _on_cpu(tensor: Tensor) -> Tensor:
    """numpy has no bfloat16."""
    tensor = tensor.detach().to("cpu")
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor
