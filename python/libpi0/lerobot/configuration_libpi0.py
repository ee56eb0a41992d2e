"""What ``--policy.type=libpi0`` can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies.rtc.configuration_rtc import RTCConfig

import libpi0

PROCESSORS = Path(__file__).parent
"""Where lerobot finds this policy's processors, which pass batches through."""


@PreTrainedConfig.register_subclass("libpi0")
@dataclass
class LibPi0Config(PreTrainedConfig):  # type: ignore[misc, unused-ignore]
    """A checkpoint that is computed here, or a server that computes one.

    What is None here, and the features, the policy fills in from the checkpoint.
    """

    checkpoint: str | None = None
    """π0's or π0.5's directory as lerobot or openpi saved it, or its name on the Hub"""
    pretrained_path: Path | None = None
    """taken for the checkpoint; then lerobot finds this policy's processors there"""
    server: str | None = None
    """``ws://HOST:PORT`` of ``pi0 serve``, in place of a checkpoint"""
    pi0_device: str = "auto"
    """what libpi0 computes on: ``libpi0.devices()``. (``device`` is lerobot's: where batches are.)"""
    dtype: str = ""
    """of libpi0's CPU: "bf16" (where it is empty), "int8" or "fp32" """
    threads: int = 0
    """of libpi0's CPU; 0: one a core"""
    options: dict[str, Any] = field(default_factory=dict)
    """what else ``libpi0.Policy`` takes ("tokenizer", "cache", …), or ``libpi0.Client``"""

    num_inference_steps: int | None = None
    n_action_steps: int | None = None
    """rows of a chunk that ``select_action`` gives before it computes the next"""
    chunk_size: int | None = None
    action_feature_names: list[str] | None = None
    rtc_config: RTCConfig | None = None
    device: str | None = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.checkpoint is None and self.server is None and self.pretrained_path is not None:
            self.checkpoint = str(self.pretrained_path)
        # lerobot takes the processors from there. The checkpoint's own normalise and tokenise,
        # as libpi0 does itself; and only those of a path heed --rename_map.
        self.pretrained_path = PROCESSORS

    def validate_features(self) -> None:
        """They are the checkpoint's own."""

    @property
    def observation_delta_indices(self) -> None:
        return None

    @property
    def action_delta_indices(self) -> None:
        return None

    @property
    def reward_delta_indices(self) -> None:
        return None

    def get_optimizer_preset(self) -> Any:
        raise libpi0.UnsupportedError(
            "a policy of type libpi0 cannot be trained, only run: train its checkpoint as "
            "lerobot's own type, pi0 or pi05"
        )

    def get_scheduler_preset(self) -> None:
        return None
