"""What libpi0 is given and gives, as types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from typing import NotRequired

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

Observation = Mapping[str, Any]
"""What a robot sees and is told: its keys, with arrays (anything that numpy takes without a copy:
numpy, torch on the CPU, ``__dlpack__``, ``__array__``), PNG or JPEG bytes, and a text. In a key,
``a/b`` is also ``{"a": {"b": …}}``."""

Progress = Callable[[str, int, int], object]
"""Called with a stage ("vision"), and how much is done of how much."""


class PolicyTiming(TypedDict):
    """Milliseconds of a call."""

    infer_ms: float
    """the network: vision, prefix and denoising"""
    preprocess_ms: float
    """resizing, tokenising, normalising"""
    vision_ms: float
    prefix_ms: float
    denoise_ms: float


class Seam(TypedDict):
    """How a chunk meets the one that it goes on from, in the units of ``actions``."""

    delay: int
    """control steps from the observation until the first row of it goes out"""
    row: int
    """of the new chunk, the first to go out"""
    jump: Floats
    """[dims], between the two plans for that moment"""
    velocity_change: Floats
    """[dims], per control step"""


class InferResult(TypedDict):
    """A chunk of actions."""

    actions: Floats
    """[horizon, dims], in the robot's own units; row t is for t control steps after the observation"""
    policy_timing: PolicyTiming
    seam: NotRequired[Seam]
    """where it goes on from a chunk before: ``RealTimeChunking.executed``"""
    warnings: NotRequired[list[str]]
    """a masked camera, a prompt that was cut"""


class ServerTiming(TypedDict):
    """How a served call went."""

    infer_ms: float
    queue_ms: float
    round_trip_ms: float
    reconnects: int
    device: str


class ServedResult(InferResult):
    """A chunk of actions from a server."""

    server_timing: ServerTiming


class LastChunk(TypedDict):
    """What a session's next chunk goes on from. Arrays are flat."""

    actions: Floats
    model_actions: Floats
    state: Floats
    preceding: Floats
    begun: int


class NetworkInfo(TypedDict):
    """Sizes of the network's own tensors."""

    num_cameras: int
    image_size: int
    max_tokens: int
    vocab_size: int
    state_dim: int
    action_dim: int
    action_horizon: int
    num_steps: int
    rtc_training_max_delay: int
    least_correlation: float


class PolicyInfo(TypedDict):
    """What a checkpoint is, and under which keys its robot tells what."""

    kind: str
    """"pi0" or "pi05" """
    family: str
    """"lerobot" or "openpi" """
    cameras: tuple[str, ...]
    state_dims: int
    """0: the checkpoint does not say"""
    action_dims: int
    action_horizon: int
    n_action_steps: int
    num_steps: int
    action_names: tuple[str, ...]
    image_keys: tuple[str, ...]
    """of a camera that the checkpoint's ``rename_map`` renames, each; one of them is to be given"""
    state_keys: tuple[str, ...]
    prompt_key: str
    device: str
    network: NetworkInfo


class ServerInfo(TypedDict):
    """What a server told first. Of openpi's own, ``metadata`` and ``cameras`` alone."""

    metadata: str
    """all of it, as JSON"""
    version: str
    kind: str
    cameras: tuple[str, ...]
    state_dims: int
    action_dims: int
    action_horizon: int
    n_action_steps: int
    action_names: tuple[str, ...]
    devices: tuple[str, ...]
    image_keys: tuple[str, ...]
    """of a camera that the checkpoint's ``rename_map`` renames, each; one of them is to be given"""
    state_keys: tuple[str, ...]
    prompt_key: str


class InfersActions(Protocol):
    """A policy, here or on a server."""

    def infer(self, observation: Observation) -> InferResult: ...
    def reset(self) -> None: ...


@dataclass
class RealTimeChunking:
    """How a chunk is held to the one before it (lerobot's RTC; docs/real-time-chunking.md).

    Either ``executed``, with which a policy or session goes on from its own last chunk, or
    ``prev_chunk_left_over``, as lerobot passes it.
    """

    executed: int | None = None
    """rows of the last chunk that had gone by when the observation was taken"""
    inference_delay: int = 0
    """rows that go out before this chunk is there"""
    execution_horizon: int = 10
    """rows of the chunk before that count at all"""
    max_guidance_weight: float = 10.0
    prefix_attention_schedule: str = "LINEAR"
    """"LINEAR", "EXP", "ONES" or "ZEROS" """
    mode: str = "guided"
    """"guided", or "trained" of a checkpoint that was (``rtc_training_max_delay``)"""
    prev_chunk_left_over: Any = None
    """[rows, dims], normalised, of the chunk before: what had not been executed"""
    max_jump: Any = None
    """a number, or one a dimension: over it :class:`LimitError` is raised"""
    max_velocity_change: Any = None
    roll_state_forward: bool = False
    """VLASH: the state that the robot will have when the chunk begins to go out"""
