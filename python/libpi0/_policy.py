"""Policies in this process."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

from libpi0 import _core
from libpi0._types import (
    InferResult,
    LastChunk,
    Observation,
    PolicyInfo,
    Progress,
    RealTimeChunking,
)

Path = str | PathLike[str]


class Session:
    """One robot's calls, one after another: a :class:`Policy`, or its :meth:`Policy.session`.

    Sessions of a policy share its network, whose calls on one device take turns: for calls side by
    side, name several devices ("ttnn:0,ttnn:1"), or load several policies.
    """

    def __init__(self, core: _core.Session, prompt: str | None) -> None:
        self._core = core
        self._prompt = prompt

    def infer(
        self,
        observation: Observation,
        *,
        rtc: RealTimeChunking | None = None,
        steps: int = 0,
        seed: int | None = None,
        noise: Any = None,
        progress: Progress | None = None,
        time_stages: bool = True,
    ) -> InferResult:
        """A chunk of actions.

        Other Python threads run while it computes. Ctrl-C stops it within a tenth of a second.

        Args:
            observation: the robot's keys (:attr:`Policy.info`). Images uint8 [height, width, 3] or
                [3, height, width], used where they lie; floats in [0, 1]; other integers; PNG or
                JPEG bytes. The state [dims], in the robot's own units. The instruction, a str.
            rtc: real-time chunking.
            steps: Euler steps; 0: as the checkpoint says.
            seed: of the noise; without one it is new at every call. Or ``noise``
                [action_horizon, action_dim] itself, x at t = 1.
            progress: called with (stage, done, total); what it raises stops the call.
            time_stages: False tells no stages apart, which saves a card's waiting for each.

        Raises:
            InvalidInputError: naming the key or option that does not fit.
            LimitError: the seam is over ``rtc``'s limits; the last chunk stays the one before.
        """
        return self._core.infer(
            observation, self._prompt, steps, seed, noise, rtc, time_stages, progress
        )

    def prefetch(self, observation: Observation) -> None:
        """Before a call, what will be given to the call after it: it is prepared at once."""
        self._core.prefetch(observation, self._prompt)

    @property
    def last_chunk(self) -> LastChunk | None:
        """What ``RealTimeChunking.executed`` counts from. May be set: to another session's, or to
        None, which :meth:`reset` does."""
        return self._core.last_chunk()

    @last_chunk.setter
    def last_chunk(self, last: LastChunk | None) -> None:
        self._core.set_last_chunk(last)

    def reset(self) -> None:
        """An episode begins: there is no chunk to go on from."""
        self._core.set_last_chunk(None)


class Policy(Session):
    """A π0 or π0.5 checkpoint of lerobot or openpi, loaded, and one robot's calls of it.

    >>> policy = libpi0.Policy("checkpoint/", device="cpu", dtype="int8")
    >>> policy.infer({"observation.images.top": frame,   # uint8 [height, width, 3]
    ...               "observation.state": q,            # the robot's own units
    ...               "task": "open the drawer"})["actions"]   # [horizon, dims]

    ``policy.info`` tells the keys, sizes and the device. It can be pickled: where it is unpickled
    the checkpoint is loaded anew. A process that was forked from this one cannot use it.

    Args:
        checkpoint: its directory: openpi's or lerobot's, as ``pi0 run`` takes it.
        device: "auto" (a Tenstorrent card where there is one, else the CPU), "cpu", "ttnn:0",
            "reference": see :func:`devices`. "ttnn:0,ttnn:1": both, among which ``infer_batch`` and
            sessions are shared out.
        dtype: of the CPU: "bf16" (where it is empty), "int8" or "fp32".
        threads: of the CPU; 0: one a core. ``affinity``: the cores they run on, one a thread.
            ``priority``: their SCHED_FIFO priority, 1 to 99.
        robot: whose keys observations have: "none" (lerobot's, of the checkpoint's own cameras),
            "aloha", "libero" or "droid" (openpi's). ``keys``: a file of another robot's.
        prompt: of observations without one.
        progress: called with (stage, done, total) while it loads; see :func:`progress_bar`.
        tokenizer, resize, prompt_format, delta_mask, asset, action_dims, adapt_to_pi,
            lerobot_version, action_horizon, max_token_len, base, norm_stats, raw: what the
            checkpoint does not say, or is to be read otherwise, as the options of ``pi0 run`` of
            those names.
        cache: a directory in which prepared weights are kept, for the next load.
        memory_limit_bytes: the most that loading and running may take; 0: what is free.

    Raises:
        Error: one of its classes, with one sentence. Nothing is left half loaded.
    """

    def __init__(
        self,
        checkpoint: Path,
        *,
        device: str = "auto",
        dtype: str = "",
        threads: int = 0,
        affinity: Sequence[int] = (),
        priority: int = 0,
        robot: str = "none",
        keys: Path | None = None,
        prompt: str | None = None,
        progress: Progress | None = None,
        tokenizer: Path | None = None,
        resize: str = "",
        prompt_format: str = "",
        delta_mask: str | None = None,
        asset: str = "",
        action_dims: int = 0,
        adapt_to_pi: bool = False,
        lerobot_version: str = "",
        action_horizon: int = 0,
        max_token_len: int = 0,
        base: Path | None = None,
        norm_stats: Path | None = None,
        raw: bool = False,
        cache: Path | None = None,
        memory_limit_bytes: int = 0,
    ) -> None:
        options: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "threads": threads,
            "affinity": list(affinity),
            "priority": priority,
            "robot": robot,
            "keys": keys or "",
            "tokenizer": tokenizer or "",
            "resize": resize,
            "prompt_format": prompt_format,
            "delta_mask": delta_mask,
            "asset": asset,
            "action_dims": action_dims,
            "adapt_to_pi": adapt_to_pi,
            "lerobot_version": lerobot_version,
            "action_horizon": action_horizon,
            "max_token_len": max_token_len,
            "base": base or "",
            "norm_stats": norm_stats or "",
            "raw": raw,
            "cache": cache or "",
            "memory_limit_bytes": memory_limit_bytes,
        }
        self._load(checkpoint, options, prompt, progress)
        for sentence in self._network.warnings():
            python_warnings.warn(sentence, stacklevel=2)

    def _load(
        self, checkpoint: Path, options: dict[str, Any], prompt: str | None, progress: Progress | None
    ) -> None:
        self._made_of = (checkpoint, options, prompt)
        self._network = _core.Policy(checkpoint, progress=progress, **options)
        self._info = self._network.info()
        super().__init__(self._network.session(), prompt)

    def __getstate__(self) -> tuple[Path, dict[str, Any], str | None]:
        return self._made_of

    def __setstate__(self, made_of: tuple[Path, dict[str, Any], str | None]) -> None:
        checkpoint, options, prompt = made_of
        self._load(checkpoint, options, prompt, None)

    def __repr__(self) -> str:
        return f"<libpi0.Policy {self._made_of[0]}: {self._info['kind']} on {self._info['device']}>"

    @property
    def info(self) -> PolicyInfo:
        """Kind, cameras, keys, sizes, device."""
        return self._info

    def session(self) -> Session:
        """For another robot, whose chunks go on from one another and not from this one's."""
        return Session(self._network.session(), self._prompt)

    def infer_batch(
        self,
        observations: Iterable[Observation],
        *,
        steps: int = 0,
        seed: int | None = None,
        noise: Any = None,
        progress: Progress | None = None,
        time_stages: bool = True,
    ) -> list[InferResult]:
        """The same for several, in their order; they continue no chunk.

        ``noise`` is [observations, action_horizon, action_dim]; a seed gives each its own.
        """
        return self._network.infer_batch(
            observations, self._prompt, steps, seed, noise, time_stages, progress
        )


def devices() -> dict[str, str]:
    """What ``device`` may be: name -> what it is, or why it is not here. Best first."""
    return {
        name: f"not here: {absent}" if absent else description
        for name, description, absent in _core.devices()
    }


def progress_bar(description: str = "libpi0") -> Progress:
    """A ``progress`` that draws a bar with tqdm, which has to be installed; quiet in a pipe."""
    from tqdm import tqdm

    bar = tqdm(desc=description, disable=None, leave=False)
    seen = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal seen
        if stage != seen:
            seen = stage
            bar.reset(total)
            bar.set_description(f"{description}: {stage}")
        bar.update(done - bar.n)

    return show
