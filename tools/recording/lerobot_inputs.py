"""What a policy of any lerobot release is given: an observation in lerobot's form, a tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from recording.observation import Observation
from recording.weights import CheckpointError

_IMAGES = "observation.images."
STATE = "observation.state"


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


def as_lerobot(observation: Observation, renamed: dict[str, str]) -> dict[str, Any]:
    """Images [3, height, width] f32 in [0, 1], as lerobot's robots and data sets give them.

    `renamed`: the processor's rename_map; a robot that it was made for gives the state by the
    name that is renamed.
    """
    batch: dict[str, Any] = {}
    for camera, image in observation.images.items():
        name = camera if camera.startswith("observation.") else _IMAGES + camera
        batch[name] = torch.tensor(image).permute(2, 0, 1).to(torch.float32) / 255
    state_name = next((old for old, new in renamed.items() if new == STATE), STATE)
    batch[state_name] = torch.tensor(observation.state)
    batch["task"] = observation.prompt
    return batch
