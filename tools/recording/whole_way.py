"""The file of whole-way recordings; docs/recordings.md, "Whole-way recording"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from recording.observation import Observation

Array = NDArray[Any]


class WholeWayFile:
    """Gathers the cases of one file and writes it.

    Images, state and noise given to the constructor are shared: a case holds its own only where
    they are not the same arrays.
    """

    def __init__(self, shared: Observation, noise: Array) -> None:
        """`noise`: [H, D] f32, x at t = 1."""
        self._images = shared.images
        self._state = shared.state
        self._noise = noise
        self._cases: dict[str, dict[str, Any]] = {}
        self._tensors: dict[str, Array] = {"state": shared.state, "noise": noise}
        self._tensors |= {f"image.{camera}": image for camera, image in shared.images.items()}

    def add(
        self,
        name: str,
        observation: Observation,
        noise: Array,
        results: dict[str, Array],
        **settings: Any,
    ) -> None:
        """`results`: tokens, token_mask, normalised_state, model_actions, actions.

        `settings`: what of prompt_format, delta_mask, action_dims and steps the call was made
        with beyond what the checkpoint says.
        """
        for camera, image in observation.images.items():
            if image is not self._images.get(camera):
                self._tensors[f"{name}.image.{camera}"] = image
        if observation.state is not self._state:
            self._tensors[f"{name}.state"] = observation.state
        if noise is not self._noise:
            self._tensors[f"{name}.noise"] = noise
        self._tensors |= {f"{name}.{result}": value for result, value in results.items()}
        self._cases[name] = {
            "prompt": observation.prompt,
            "cameras": list(observation.images),
            **settings,
        }

    def save(self, path: Path) -> None:
        tensors = {key: np.ascontiguousarray(value) for key, value in self._tensors.items()}
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(tensors, path, metadata={"cases": json.dumps(self._cases)})
