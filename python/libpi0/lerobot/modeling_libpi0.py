"""π0 and π0.5 as a policy of lerobot's, computed by libpi0."""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor

import libpi0
from libpi0.lerobot.batches import split
from libpi0.lerobot.configuration_libpi0 import PROCESSORS, LibPi0Config
from libpi0.lerobot.left_over import rows_gone_by

Batch = dict[str, Any]

_logger = logging.getLogger(__name__)


class LibPi0Policy(PreTrainedPolicy):  # type: ignore[misc, unused-ignore]
    """As lerobot's ``PI0Policy`` and ``PI05Policy``, but in the robot's own units.

    Batches come as robots and environments give them, neither normalised nor tokenised: images
    [B, 3, H, W], floats in [0, 1] or uint8, states [B, dims], tasks a list of str. Actions go out
    in the robot's units. Noise is drawn from PyTorch's generator as lerobot's is, so that the
    same seed gives the same actions; a server is sent a seed that is drawn from it.

    Args:
        config: with a checkpoint or a server; its features, and what is None in it, are filled in.

    Raises:
        libpi0.Error: one of its classes, with one sentence.
    """

    config_class = LibPi0Config
    name = "libpi0"

    def __init__(self, config: LibPi0Config, **_dataset: Any) -> None:
        super().__init__(config)
        self.policy = _open(config)
        _fill_in(config, self.policy.info)
        keys = (*self.policy.info["image_keys"], *self.policy.info["state_keys"], OBS_STATE)
        self._keys = tuple(dict.fromkeys(keys))
        self._said: set[str] = set()
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_name_or_path: str | Path | None,
        *,
        config: LibPi0Config | None = None,
        revision: str | None = None,
        **settings: Any,
    ) -> LibPi0Policy:
        """The policy of an ordinary π0 or π0.5 checkpoint, or of what :meth:`save_pretrained` wrote.

        Args:
            pretrained_name_or_path: a directory, or a name on the Hub, of that ``revision``.
            config: where it names a checkpoint or a server, that is the one.
            settings: of a :class:`LibPi0Config`, where there is no ``config``.
        """
        path = pretrained_name_or_path
        if config is None and path is not None and _is_saved(Path(path)):
            config = replace(PreTrainedConfig.from_pretrained(path), **settings)
        elif config is None:
            config = LibPi0Config(**settings)
        if not config.checkpoint and not config.server and path and Path(path) != PROCESSORS:
            config.checkpoint = str(path)
        config.pretrained_revision = revision or config.pretrained_revision
        policy: LibPi0Policy = cls(config).eval()
        return policy

    def _save_pretrained(self, save_directory: Path, state_dict: Any = None) -> None:
        """For ``--policy.path``: how this policy is made, without the checkpoint itself."""
        self.config._save_pretrained(save_directory)  # noqa: SLF001 (as lerobot's own does)
        for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
            shutil.copy(PROCESSORS / name, save_directory / name)

    def reset(self) -> None:
        """An episode begins: no action is left, and there is no chunk to go on from."""
        # By this name lerobot's drop_queued_actions() finds it, for a task that changes meanwhile.
        self._action_queue: deque[Tensor] = deque()
        self._last: np.ndarray[Any, Any] | None = None
        self.policy.reset()

    def supports_rtc(self) -> bool:
        return True

    def select_action(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """The next action of each robot, [B, dims]; every ``n_action_steps`` calls a new chunk."""
        if not self._action_queue:
            chunk = self.predict_action_chunk(batch, noise=noise)
            self._action_queue.extend(chunk[:, : self.config.n_action_steps].transpose(0, 1))
        return self._action_queue.popleft()

    def predict_action_chunk(
        self,
        batch: Batch,
        *,
        noise: Tensor | None = None,
        num_steps: int | None = None,
        inference_delay: int | None = None,
        prev_chunk_left_over: Tensor | None = None,
        execution_horizon: int | None = None,
    ) -> Tensor:
        """A chunk of actions for each observation, [B, horizon, dims].

        Args:
            noise: [B, horizon, the network's action_dim], x at t = 1.
            num_steps: Euler steps.
            inference_delay, prev_chunk_left_over, execution_horizon: lerobot's real-time chunking,
                where ``config.rtc_config`` is enabled, of one robot. What is left over is
                [rows, dims] of the last chunk that this policy gave, zeros after its end.
        """
        observations = split(batch, self._keys, self.policy.info["prompt_key"])
        call: dict[str, Any] = {"steps": num_steps or self.config.num_inference_steps or 0}
        rtc = self._goes_on(prev_chunk_left_over, inference_delay, execution_horizon)
        if len(observations) == 1:
            results = [self.policy.infer(observations[0], rtc=rtc, **call, **self._noise(noise, 0))]
        elif rtc is not None:
            raise libpi0.InvalidInputError(
                f"the batch has {len(observations)} observations and goes on from a chunk, which "
                "is of one robot"
            )
        elif isinstance(self.policy, libpi0.Policy):
            several = noise if noise is not None else self._draw(len(observations))
            results = self.policy.infer_batch(observations, noise=several.cpu().numpy(), **call)
        else:
            results = [
                self.policy.infer(observation, **call, **self._noise(noise, index))
                for index, observation in enumerate(observations)
            ]
        self._last = results[0]["actions"] if len(results) == 1 else None
        self._warn(results)
        return torch.from_numpy(np.stack([result["actions"] for result in results]))

    def _goes_on(
        self, left_over: Tensor | None, delay: int | None, horizon: int | None
    ) -> libpi0.RealTimeChunking | None:
        """Without a chunk, as after a reset, there is none to go on from."""
        rtc = self.config.rtc_config
        if rtc is None or not rtc.enabled or left_over is None or self._last is None:
            return None
        return libpi0.RealTimeChunking(
            executed=rows_gone_by(self._last, left_over.cpu().numpy()),
            # A slow machine's delay may exceed the chunk, of which lerobot then drops all rows.
            inference_delay=min(delay or 0, len(self._last) - 1),
            execution_horizon=rtc.execution_horizon if horizon is None else horizon,
            max_guidance_weight=rtc.max_guidance_weight,
            prefix_attention_schedule=rtc.prefix_attention_schedule.value,
            mode=getattr(rtc, "mode", "guided"),  # 0.6.1's is guided alone
        )

    def _noise(self, noise: Tensor | None, index: int) -> dict[str, Any]:
        """What a call is told of its noise."""
        if noise is not None:
            return {"noise": noise[index].cpu().numpy()}
        if isinstance(self.policy, libpi0.Policy):
            return {"noise": self._draw(1)[0].numpy()}
        return {"seed": int(torch.randint(2**63 - 1, ()))}

    def _draw(self, count: int) -> Tensor:
        """[count, horizon, action_dim], as lerobot's ``sample_noise`` draws it."""
        assert isinstance(self.policy, libpi0.Policy)
        network = self.policy.info["network"]
        return torch.normal(0.0, 1.0, (count, network["action_horizon"], network["action_dim"]))

    def _warn(self, results: list[Any]) -> None:
        """What the calls warned of, once."""
        for sentence in {s for result in results for s in result.get("warnings", ())} - self._said:
            self._said.add(sentence)
            _logger.warning(sentence)

    def forward(self, batch: Batch) -> Any:
        raise libpi0.UnsupportedError("a policy of type libpi0 has no loss: it can only be run")

    def get_optim_params(self) -> Any:
        raise libpi0.UnsupportedError("a policy of type libpi0 has no parameters to train")


def _is_saved(path: Path) -> bool:
    """Whether save_pretrained wrote it: its config.json says so."""
    file = path / "config.json"
    return file.is_file() and json.loads(file.read_text()).get("type") == "libpi0"


def _open(config: LibPi0Config) -> libpi0.Policy | libpi0.Client:
    if bool(config.checkpoint) == bool(config.server):
        raise libpi0.InvalidInputError(
            f"policy.checkpoint is {config.checkpoint} and policy.server is {config.server}, "
            "expected one of them"
        )
    if config.server:
        return libpi0.Client(config.server, **{"robot": "none", **config.options})
    assert config.checkpoint is not None
    path = Path(config.checkpoint)
    if not path.is_dir():
        from huggingface_hub import snapshot_download

        path = Path(snapshot_download(config.checkpoint, revision=config.pretrained_revision))
    return libpi0.Policy(
        path,
        device=config.pi0_device,
        dtype=config.dtype,
        threads=config.threads,
        **config.options,
    )


def _fill_in(config: LibPi0Config, info: Any) -> None:
    """The checkpoint's features, and what the configuration leaves to it."""
    dims = info["action_dims"]
    asked = (config.output_features or {}).get(ACTION)
    if asked is not None and asked.shape[0] != dims:
        raise libpi0.InvalidInputError(
            f"the checkpoint's actions have {dims} dimensions, expected {asked.shape[0]} as the "
            "environment or data set has"
        )
    size = info["network"]["image_size"] if "network" in info else 224
    config.input_features = {
        **{key: PolicyFeature(FeatureType.VISUAL, (3, size, size)) for key in info["image_keys"]},
        OBS_STATE: PolicyFeature(FeatureType.STATE, (info["state_dims"],)),
    }
    config.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, (dims,))}
    config.chunk_size = info["action_horizon"]
    if config.n_action_steps is None:
        config.n_action_steps = info["n_action_steps"]
    if not 0 < config.n_action_steps <= config.chunk_size:
        raise libpi0.InvalidInputError(
            f"policy.n_action_steps is {config.n_action_steps}, expected 1 to {config.chunk_size}, "
            "as a chunk has"
        )
    names = [*info["action_names"]]
    if config.action_feature_names is None and names != [f"action_{i}" for i in range(dims)]:
        config.action_feature_names = names  # which put a robot's motors in the checkpoint's order
