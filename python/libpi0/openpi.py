"""In place of openpi's policies: ``openpi_client.base_policy.BasePolicy``.

    from libpi0.openpi import Policy

    policy = Policy("checkpoint/", robot="libero")   # for policy_config.create_trained_policy(...)
    server = WebsocketPolicyServer(policy, port=8000, metadata=policy.metadata)
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import libpi0

__all__ = ["Policy"]


class Policy:
    """openpi's ``Policy`` (policies/policy.py): the robot's keys in, its actions out.

    Args:
        checkpoint: its directory, as :class:`libpi0.Policy` takes it.
        robot: "aloha", "libero" or "droid": whose transforms openpi's configuration has; "none":
            lerobot's keys.
        default_prompt: of observations without one.
        sample_kwargs: of every call: ``num_steps``, ``noise``.
        metadata: what :attr:`metadata` gives, beside what openpi's has.
        options: as of :class:`libpi0.Policy`: ``device``, ``dtype``, ``delta_mask``, ….
    """

    def __init__(
        self,
        checkpoint: str | PathLike[str],
        *,
        robot: str = "none",
        default_prompt: str | None = None,
        sample_kwargs: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._policy = libpi0.Policy(checkpoint, robot=robot, prompt=default_prompt, **options)
        given = dict(sample_kwargs or {})
        self._call: dict[str, Any] = {"steps": given.pop("num_steps", 0)}
        self._call["noise"] = given.pop("noise", None)
        if given:
            raise libpi0.InvalidInputError(
                f"sample_kwargs has {', '.join(given)}, expected num_steps or noise"
            )
        reset_pose = {"reset_pose": [0, -1.5, 1.5, 0, 0, 0]} if robot == "aloha" else {}
        self._metadata = {**reset_pose, **(metadata or {})}

    def infer(self, obs: dict[str, Any], *, noise: Any = None) -> dict[str, Any]:
        """``actions`` [horizon, dims] float32, and ``policy_timing`` with ``infer_ms``."""
        call = self._call if noise is None else {**self._call, "noise": noise}
        return dict(self._policy.infer(obs, **call))

    def reset(self) -> None:
        """An episode begins."""
        self._policy.reset()

    @property
    def metadata(self) -> dict[str, Any]:
        """What openpi's server tells a client first."""
        return self._metadata

    @property
    def policy(self) -> libpi0.Policy:
        """All that openpi's has no name for."""
        return self._policy


try:
    from openpi_client.base_policy import BasePolicy
except ImportError:
    pass
else:
    BasePolicy.register(Policy)
