"""The model classes at other sizes than their variants'.

lerobot and openpi know their sizes by variant name alone ("gemma_2b", "gemma_300m") and fix the
vision tower's in code. The small checkpoints that libpi0 is tested with therefore carry their
sizes in config.json under `architecture`:

    {"vision": {"width", "depth", "mlp_dim", "num_heads", "patch_size"},
     "language": {"width", "depth", "mlp_dim", "num_heads", "num_kv_heads", "head_dim"},
     "expert": {the same}, "vocab_size"}

While one of the contexts below is open, the family's classes are built with these. The arithmetic
is untouched. Checkpoints without the key are built as published.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

Architecture = dict[str, Any]


@contextlib.contextmanager
def lerobot_sizes(architecture: Architecture | None, config: Any) -> Iterator[None]:
    """`config`: the PI0Config or PI05Config that the policy will be built from."""
    if architecture is None:
        yield
        return
    from lerobot.policies.pi0 import modeling_pi0
    from lerobot.policies.pi05 import modeling_pi05

    module = {"pi0": modeling_pi0, "pi05": modeling_pi05}[config.type]
    sizes = _sizes_by_variant(architecture, config)
    paligemma, gemma = "PaliGemmaForConditionalGenerationWithPiGemma", "PiGemmaForCausalLM"
    if not hasattr(module, gemma):  # until 0.4: those of a patched transformers
        paligemma, gemma = "PaliGemmaForConditionalGeneration", "GemmaForCausalLM"
    with (
        mock.patch.object(
            module, "get_gemma_config", lambda variant: module.GemmaConfig(**sizes[variant])
        ),
        _resized(module, paligemma, architecture, config.image_resolution[0]),
        _resized(module, gemma, architecture, config.image_resolution[0]),
    ):
        yield


@contextlib.contextmanager
def openpi_sizes(architecture: Architecture | None, config: Any, image_size: int) -> Iterator[None]:
    """`config`: as given to PI0Pytorch. `image_size`: the side that openpi fixes at 224.

    To be open while the model runs, too: openpi resizes inside.
    """
    if architecture is None:
        yield
        return
    from openpi.models import gemma
    from openpi.models_pytorch import gemma_pytorch, preprocessing_pytorch

    sizes = _sizes_by_variant(architecture, config)
    preprocess = functools.partial(
        preprocessing_pytorch.preprocess_observation_pytorch,
        image_resolution=(image_size, image_size),
    )
    with (
        mock.patch.object(gemma, "get_config", lambda variant: gemma.Config(**sizes[variant])),
        mock.patch.object(preprocessing_pytorch, "preprocess_observation_pytorch", preprocess),
        _resized(gemma_pytorch, "PaliGemmaForConditionalGeneration", architecture, image_size),
        _resized(gemma_pytorch, "GemmaForCausalLM", architecture, image_size),
    ):
        yield


def _sizes_by_variant(architecture: Architecture, config: Any) -> dict[str, dict[str, int]]:
    language, expert = config.paligemma_variant, config.action_expert_variant
    if language == expert:
        raise ValueError(
            f"`architecture` needs two different variant names to tell the two parts by, "
            f"both are {language}"
        )
    return {language: architecture["language"], expert: architecture["expert"]}


def _resized(
    module: Any, name: str, architecture: Architecture, image_size: int
) -> contextlib.AbstractContextManager[Any]:
    """Makes `module.name(config=…)` build the same class with the sizes of `architecture`."""
    original: Callable[..., Any] = getattr(module, name)

    def build(config: Any) -> Any:
        if hasattr(config, "text_config"):
            resize_paligemma(config, architecture, image_size)
        else:
            config.vocab_size = architecture["vocab_size"]
        return original(config=config)

    return mock.patch.object(module, name, build)


def resize_paligemma(config: Any, architecture: Architecture, image_size: int) -> None:
    """Vocabulary, vision tower and projector; the text's own sizes are set by the families."""
    vocabulary, vision = architecture["vocab_size"], architecture["vision"]
    config.text_config.vocab_size = vocabulary
    config._vocab_size = vocabulary  # noqa: SLF001 (set so by the policies' own code)
    config.image_token_index = vocabulary
    config.vision_config.hidden_size = vision["width"]
    config.vision_config.intermediate_size = vision["mlp_dim"]
    config.vision_config.num_hidden_layers = vision["depth"]
    config.vision_config.num_attention_heads = vision["num_heads"]
    config.vision_config.patch_size = vision["patch_size"]
    config.vision_config.image_size = image_size
    config.vision_config.projection_dim = architecture["language"]["width"]
    config.projection_dim = architecture["language"]["width"]
