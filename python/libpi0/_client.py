"""Policies that a server computes."""

from __future__ import annotations

from os import PathLike
from typing import Any

from libpi0 import _core
from libpi0._types import Observation, RealTimeChunking, ServedResult, ServerInfo


class Client:
    """A policy that ``pi0 serve``, or openpi's own server, computes.

    >>> client = libpi0.Client("ws://gpu-box:8000")
    >>> client.infer(observation)["actions"]

    It connects anew where a connection breaks, and sends what was lost again. It may be used by
    several threads; a robot has a client of its own.

    Args:
        url: ``ws://HOST[:PORT][/PATH]``, or ``wss://`` where the server encrypts.
        api_key: sent as "Authorization: Api-Key …". ``ca_file``: PEM of whom to trust.
        robot: whose keys observations have (``client.info`` tells them). Where it is empty, the
            robot's that the server serves, as it says. "none": lerobot's, of the server's cameras.
            openpi's own server says nothing: "aloha", "libero" or "droid".
        prompt: of observations without one.
        connect_timeout_s, call_timeout_s: seconds; of a call in all.
        reconnects, backoff_s, max_backoff_s: how often a call is sent again, and after how long.

    Raises:
        ServerError: no server there, or it says nothing in time.
    """

    def __init__(
        self,
        url: str = "ws://127.0.0.1:8000",
        *,
        api_key: str = "",
        ca_file: str | PathLike[str] | None = None,
        robot: str = "",
        prompt: str | None = None,
        connect_timeout_s: float = 10.0,
        call_timeout_s: float = 60.0,
        reconnects: int = 5,
        backoff_s: float = 0.1,
        max_backoff_s: float = 5.0,
    ) -> None:
        self._made_of: dict[str, Any] = {
            "url": url,
            "api_key": api_key,
            "ca_file": ca_file or "",
            "robot": robot,
            "connect_timeout_s": connect_timeout_s,
            "call_timeout_s": call_timeout_s,
            "reconnects": reconnects,
            "backoff_s": backoff_s,
            "max_backoff_s": max_backoff_s,
        }
        self._prompt = prompt
        self._core = _core.Client(**self._made_of)

    def __getstate__(self) -> tuple[dict[str, Any], str | None]:
        return self._made_of, self._prompt

    def __setstate__(self, made_of: tuple[dict[str, Any], str | None]) -> None:
        self._made_of, self._prompt = made_of
        self._core = _core.Client(**self._made_of)

    def __repr__(self) -> str:
        return f"<libpi0.Client {self._made_of['url']}>"

    @property
    def info(self) -> ServerInfo:
        """What the server told first: keys, sizes, devices."""
        return self._core.info()

    def infer(
        self,
        observation: Observation,
        *,
        rtc: RealTimeChunking | None = None,
        steps: int = 0,
        seed: int | None = None,
        noise: Any = None,
        hz: float = 0.0,
        deadline_ms: float = 0.0,
        latest: bool = False,
    ) -> ServedResult:
        """As :meth:`Policy.infer`, and how the call went, in ``server_timing``.

        Args:
            rtc: with ``executed``, which counts from the last chunk on this connection.
            hz: control steps a second: the server makes ``inference_delay`` of how long it takes.
            deadline_ms: an answer later than that is of no use.
            latest: this client's earlier calls are no longer wanted.

        Raises:
            ServerError, InvalidInputError, LimitError. The client can be called again.
        """
        return self._core.infer(
            observation, self._prompt, steps, seed, noise, rtc, hz, deadline_ms, latest
        )

    def reset(self) -> None:
        """An episode begins: the next call goes on from no chunk. Those that other threads made
        before are of the episode before."""
        self._core.reset()
