"""Collects the stages of one call of the network; docs/recordings.md, "Network recording"."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class NetworkRecorder:
    """While the context is open, keeps every stage of the model's next `sample_actions` call.

    The model is lerobot's PI0Pytorch or PI05Pytorch, or openpi's PI0Pytorch, in fp32: they share
    the method names that are watched here. Nothing is computed anew: each method is called as it
    is and its arguments and result are copied.

        with NetworkRecorder(policy.model) as recorder:
            policy.predict_action_chunk(batch, noise=noise)
        tensors = recorder.tensors()
    """

    def __init__(self, model: nn.Module) -> None:
        types = {parameter.dtype for parameter in model.parameters()}
        if types != {torch.float32}:
            raise ValueError(
                f"a recording is made in fp32, the model has {sorted(map(str, types))}"
            )
        parts = model.paligemma_with_expert
        self._watched = [
            (model, "sample_actions", self._after_sample_actions),
            (model, "embed_prefix", self._after_embed_prefix),
            (model, "embed_suffix", self._after_embed_suffix),
            (model, "denoise_step", self._after_denoise_step),
            (parts, "embed_image", self._after_embed_image),
        ]
        self._vision_norm = _only_module(parts, "post_layernorm")
        self._undo: list[Callable[[], None]] = []
        self._single: dict[str, Tensor] = {}  # stages with one value a call
        self._rows: dict[str, list[Tensor]] = {}  # stages with one value per camera or Euler step

    def __enter__(self) -> NetworkRecorder:
        for owner, name, after in self._watched:
            self._watch(owner, name, after)
        hook = self._vision_norm.register_forward_hook(
            lambda _module, _inputs, output: self._append("vision_output", output)
        )
        self._undo.append(hook.remove)
        return self

    def __exit__(self, *_exception: object) -> None:
        while self._undo:
            self._undo.pop()()

    def tensors(self) -> dict[str, Tensor]:
        """The recorded call, by the names and shapes of docs/recordings.md, on the CPU.

        `state` is absent where the network does not take it (lerobot's pi0.5).
        """
        if "actions" not in self._single:
            raise RuntimeError("no call of the model was made while the recorder was open")
        rows = {name: torch.stack(values) for name, values in self._rows.items()}
        result = {"noise": rows["x_t"][0], **self._single, **rows}
        return {name: value.contiguous().clone() for name, value in result.items()}

    def _watch(self, owner: nn.Module, name: str, after: Callable[..., None]) -> None:
        """Puts before owner.name a function that calls it and then after(arguments, result)."""
        original = getattr(owner, name)
        signature = inspect.signature(original)
        before = owner.__dict__.get(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            after(signature.bind(*args, **kwargs).arguments, result)
            return result

        def undo() -> None:
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        setattr(owner, name, call)
        self._undo.append(undo)

    def _append(self, stage: str, value: Tensor) -> None:
        self._rows.setdefault(stage, []).append(_row(value))

    def _after_sample_actions(self, _arguments: dict[str, Any], result: Tensor) -> None:
        self._single["actions"] = _row(result)

    def _after_embed_image(self, _arguments: dict[str, Any], result: Tensor) -> None:
        self._append("image_embeddings", result)

    def _after_embed_prefix(self, arguments: dict[str, Any], result: tuple) -> None:
        # lerobot names the last two differently in pi0 and pi05, so they are taken by place.
        # Behind them lerobot after 0.6.1 has what only a network with memory reads.
        images, image_masks, tokens, token_mask = [*arguments.values()][:4]
        embeddings, mask, _attention_blocks = result
        self._single |= {
            "images": torch.stack([_row(image) for image in images]),
            "image_masks": torch.stack([_row(valid) for valid in image_masks]),
            "tokens": _row(tokens).to(torch.int32),
            "token_mask": _row(token_mask).to(torch.bool),
            "prefix_mask": _row(mask).to(torch.bool),
            # As both families compute them in sample_actions.
            "prefix_positions": (torch.cumsum(_row(mask), dim=0) - 1).to(torch.int32),
            "prefix_embeddings": _row(embeddings),
        }

    def _after_embed_suffix(self, arguments: dict[str, Any], result: tuple) -> None:
        embeddings, conditioning = result[0], result[3]
        if "state" in arguments:
            self._single.setdefault("state", _row(arguments["state"]))
        self._single.setdefault("suffix_embeddings_0", _row(embeddings))
        if conditioning is not None:
            self._append("conditioning", conditioning)

    def _after_denoise_step(self, arguments: dict[str, Any], result: Tensor) -> None:
        if "prefix_keys" not in self._single:
            # Iterating a cache gives (keys, values, …) a layer, in every transformers so far.
            layers = [layer[:2] for layer in arguments["past_key_values"]]
            self._single["prefix_keys"] = torch.stack([_row(keys) for keys, _ in layers])
            self._single["prefix_values"] = torch.stack([_row(values) for _, values in layers])
        self._append("time", arguments["timestep"])
        self._append("x_t", arguments["x_t"])
        self._append("v_t", result)


def _row(value: Tensor) -> Tensor:
    """[1, …] -> […], a copy on the CPU."""
    if value.shape[0] != 1:
        raise ValueError(f"a recording holds one observation, the batch has {value.shape[0]}")
    value = value[0].detach().to("cpu")
    if value.dtype == torch.float64:  # openpi's normalised state, which the network rounds
        value = value.to(torch.float32)
    return value.clone()


def _only_module(model: nn.Module, last_name: str) -> nn.Module:
    found = [module for name, module in model.named_modules() if name.endswith("." + last_name)]
    if len(found) != 1:
        raise ValueError(f"expected one module named {last_name} in the model, found {len(found)}")
    return found[0]
