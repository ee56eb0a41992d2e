"""Pipelines that pass batches through: libpi0 resizes, normalises and tokenises itself."""

from __future__ import annotations

from typing import Any

from lerobot.policies.factory import make_pre_post_processors

from libpi0.lerobot.configuration_libpi0 import PROCESSORS, LibPi0Config


def make_libpi0_pre_post_processors(
    config: LibPi0Config, dataset_stats: dict[str, Any] | None = None
) -> tuple[Any, Any]:
    """lerobot's pre- and postprocessor of this policy.

    ``dataset_stats`` count for nothing: the checkpoint has the statistics it was trained with.
    """
    preprocess, postprocess = make_pre_post_processors(
        config,
        pretrained_path=str(PROCESSORS),
        preprocessor_overrides={"device_processor": {"device": config.device}},
    )
    return preprocess, postprocess
