# What python/src/module.cc defines: for libpi0's own modules. Kept true by stubtest.
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, Final

from libpi0._types import InferResult, LastChunk, PolicyInfo, ServedResult, ServerInfo

__version__: Final[str]

def devices() -> list[tuple[str, str, str]]: ...
def copies() -> int: ...

class Session:
    def infer(
        self,
        observation: Mapping[str, Any],
        prompt: str | None,
        steps: int,
        seed: int | None,
        noise: Any,
        rtc: Any,
        time_stages: bool,
        progress: Callable[[str, int, int], object] | None,
    ) -> InferResult: ...
    def prefetch(self, observation: Mapping[str, Any], prompt: str | None) -> None: ...
    def last_chunk(self) -> LastChunk | None: ...
    def set_last_chunk(self, last: LastChunk | None) -> None: ...

class Policy:
    def __init__(
        self,
        checkpoint: str | PathLike[str],
        device: str,
        dtype: str,
        threads: int,
        affinity: list[int],
        priority: int,
        cache: str | PathLike[str],
        memory_limit_bytes: int,
        tokenizer: str | PathLike[str],
        resize: str,
        prompt_format: str,
        delta_mask: str | None,
        asset: str,
        action_dims: int,
        adapt_to_pi: bool,
        lerobot_version: str,
        action_horizon: int,
        max_token_len: int,
        base: str | PathLike[str],
        norm_stats: str | PathLike[str],
        raw: bool,
        robot: str,
        keys: str | PathLike[str],
        progress: Callable[[str, int, int], object] | None,
    ) -> None: ...
    def info(self) -> PolicyInfo: ...
    def warnings(self) -> list[str]: ...
    def session(self) -> Session: ...
    def infer_batch(
        self,
        observations: Iterable[Mapping[str, Any]],
        prompt: str | None,
        steps: int,
        seed: int | None,
        noise: Any,
        time_stages: bool,
        progress: Callable[[str, int, int], object] | None,
    ) -> list[InferResult]: ...

class Client:
    def __init__(
        self,
        url: str,
        api_key: str,
        ca_file: str | PathLike[str],
        robot: str,
        connect_timeout_s: float,
        call_timeout_s: float,
        reconnects: int,
        backoff_s: float,
        max_backoff_s: float,
    ) -> None: ...
    def infer(
        self,
        observation: Mapping[str, Any],
        prompt: str | None,
        steps: int,
        seed: int | None,
        noise: Any,
        rtc: Any,
        hz: float,
        deadline_ms: float,
        latest: bool,
    ) -> ServedResult: ...
    def reset(self) -> None: ...
    def info(self) -> ServerInfo: ...
