"""lerobot 0.3's π0 policy, which normalises, resizes and tokenizes itself: no processors.

It knows its sizes by no configuration and computes in bf16, whatever it is given. Both are
replaced here while a context is open: the sizes, and `torch.bfloat16` by `torch.float32` in its
two modules, so that a difference is a mistake and not rounding. The arithmetic is its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from lerobot.policies.pi0 import modeling_pi0, paligemma_with_expert
from numpy.typing import NDArray

from recording.lerobot_inputs import STATE, as_lerobot, read_tokenizer
from recording.observation import Observation
from recording.reduced import Architecture, resize_paligemma

_GEMMA = {  # our word for a size -> transformers'
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "mlp_dim": "intermediate_size",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
}


class _Fp32Torch:
    """The module torch, in which bf16 is fp32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextlib.contextmanager
def reduced(architecture: Architecture, image_size: int, tokenizer: Path) -> Iterator[None]:
    """To be open while PI0Policy is made, and while it runs."""
    original = modeling_pi0.PaliGemmaWithExpertConfig

    def build(**settings: Any) -> Any:
        config = original(**settings)
        resize_paligemma(config.paligemma_config, architecture, image_size)
        config.gemma_expert_config.vocab_size = architecture["vocab_size"]
        for part, of in (
            (config.paligemma_config.text_config, "language"),
            (config.gemma_expert_config, "expert"),
        ):
            for size, value in architecture[of].items():
                setattr(part, _GEMMA[size], value)
        config.paligemma_config.hidden_size = architecture["language"]["width"]
        return config

    local = mock.Mock(from_pretrained=lambda _name: read_tokenizer(tokenizer))
    with (
        mock.patch.object(modeling_pi0, "PaliGemmaWithExpertConfig", build),
        mock.patch.object(modeling_pi0, "AutoTokenizer", local),
        mock.patch.object(modeling_pi0, "torch", _Fp32Torch()),
        mock.patch.object(paligemma_with_expert, "torch", _Fp32Torch()),
    ):
        yield


@dataclass
class Lerobot03Policy:
    """A PI0Policy in fp32."""

    policy: Any

    @property
    def noise_shape(self) -> tuple[int, int]:
        """(H, D) of the network: 0.3's chunk is as long as what is executed of it."""
        return self.policy.config.n_action_steps, self.policy.config.max_action_dim

    def record(
        self, observation: Observation, noise: NDArray[np.float32]
    ) -> tuple[None, dict[str, NDArray[Any]]]:
        """The results of the whole-way recording of one call with `noise` [H, D]."""
        policy = self.policy
        policy.reset()
        batch = as_lerobot(observation, {})
        batch = {k: v[None] if isinstance(v, torch.Tensor) else [v] for k, v in batch.items()}
        seen: dict[str, torch.Tensor] = {}
        sample = policy.model.sample_actions

        def kept(images: Any, masks: Any, tokens: Any, mask: Any, state: Any, **noise: Any) -> Any:
            seen["tokens"], seen["token_mask"] = tokens, mask
            seen["actions"] = sample(images, masks, tokens, mask, state, **noise)
            return seen["actions"]

        hook = policy.normalize_inputs.register_forward_hook(
            lambda _module, _inputs, output: seen.update(state=output[STATE].clone())
        )
        with mock.patch.object(policy.model, "sample_actions", kept):
            first = policy.select_action(batch, noise=torch.from_numpy(noise)[None].clone())
        hook.remove()
        rows = [first, *policy._action_queue]  # noqa: SLF001 (there is no other way to the chunk)
        results = {
            "tokens": seen["tokens"][0].to(torch.int32),
            "token_mask": seen["token_mask"][0].to(torch.bool),
            "normalised_state": seen["state"][0],
            "model_actions": seen["actions"][0],
            "actions": torch.cat(rows),
        }
        return None, {name: value.cpu().numpy() for name, value in results.items()}
