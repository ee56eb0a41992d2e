"""π0 and π0.5 robot policies without PyTorch: images, state and an instruction in, actions out.

    import libpi0

    policy = libpi0.Policy("checkpoint/", device="auto", dtype="int8")
    print(policy.info)                     # keys, sizes, device
    actions = policy.infer({
        "observation.images.top": frame,   # uint8 [height, width, 3]
        "observation.state": q,            # [dims], the robot's own units
        "task": "open the drawer",
    })["actions"]                          # float32 [horizon, dims]

Checkpoints are openpi's and lerobot's, as they are. ``libpi0.Client`` is the same of a server
(``pi0 serve``, or openpi's), ``libpi0.openpi`` takes the place of openpi's policies,
``libpi0.lerobot`` that of lerobot's (``--policy.type=libpi0``), ``libpi0.serve.ray`` runs many.
``python -m libpi0`` is the command ``pi0``.
"""

from libpi0._client import Client
from libpi0._core import __version__
from libpi0._errors import (
    Error,
    InvalidCheckpointError,
    InvalidInputError,
    IoError,
    LimitError,
    NotFiniteError,
    OutOfMemoryError,
    ServerError,
    UnsupportedError,
)
from libpi0._policy import Policy, Session, devices, progress_bar
from libpi0._types import (
    InferResult,
    LastChunk,
    NetworkInfo,
    Observation,
    PolicyInfo,
    PolicyTiming,
    Progress,
    RealTimeChunking,
    Seam,
    ServedResult,
    ServerInfo,
    ServerTiming,
)

__all__ = [
    "Client",
    "Error",
    "InferResult",
    "InvalidCheckpointError",
    "InvalidInputError",
    "IoError",
    "LastChunk",
    "LimitError",
    "NetworkInfo",
    "NotFiniteError",
    "Observation",
    "OutOfMemoryError",
    "Policy",
    "PolicyInfo",
    "PolicyTiming",
    "Progress",
    "RealTimeChunking",
    "Seam",
    "ServedResult",
    "ServerError",
    "ServerInfo",
    "ServerTiming",
    "Session",
    "UnsupportedError",
    "__version__",
    "devices",
    "progress_bar",
]
