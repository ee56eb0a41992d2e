"""A policy on many machines, by Ray Serve (``pip install "ray[serve]"``).

    from ray import serve
    from libpi0.serve import ray as libpi0_ray

    handle = serve.run(libpi0_ray.application("checkpoint/", replicas=4, cpus=8, dtype="int8"))
    policy = libpi0_ray.Policy(handle)     # one a robot or simulator, in any actor of the cluster
    actions = policy.infer(observation)["actions"]
    response = handle.infer.remote(observation)   # or the handle itself, as Serve has it

Any replica answers any call: what a robot's next chunk goes on from travels with the call, so that
a replica may come, go or die between two of them. docs/scale.md has figures.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import libpi0
from libpi0 import InferResult, LastChunk, Observation, PolicyInfo, RealTimeChunking

try:
    from ray import serve
    from ray.exceptions import RayActorError, RayTaskError
    from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError
except ImportError as absent:
    raise ImportError(
        'libpi0.serve.ray needs Ray Serve, which is not installed: pip install "ray[serve]"'
    ) from absent

__all__ = ["CARD", "Policy", "Replica", "application"]

CARD = "tenstorrent"
"""What a Tenstorrent card is called among Ray's resources: ``ray start --resources
'{"tenstorrent": 4}'`` on a machine with four."""

T = TypeVar("T")


@dataclass
class _Call:
    """One that may be computed with others."""

    observation: Observation
    steps: int
    noise: Any
    result: Future[InferResult] = field(default_factory=Future)


class Replica:
    """What Serve runs: one loaded policy. Made by :func:`application`."""

    def __init__(
        self,
        checkpoint: str,
        options: dict[str, Any],
        *,
        card: bool = False,
        max_batch_size: int = 1,
        stuck_after_s: float = 600.0,
    ) -> None:
        if card:
            number, self._card = take_card()
            options = {**options, "device": f"ttnn:{number}"}
        self._policy = libpi0.Policy(checkpoint, **options)
        self._session = self._policy.session()
        # A policy's calls take turns; on this thread they leave the replica's event loop alone.
        self._thread = ThreadPoolExecutor(1, "libpi0")
        self._stuck_after_s = stuck_after_s
        self._began: float | None = None
        self._max_batch_size = max_batch_size
        self._waiting: deque[_Call] = deque()

    async def infer(
        self,
        observation: Observation,
        *,
        rtc: RealTimeChunking | None = None,
        last_chunk: LastChunk | None = None,
        steps: int = 0,
        seed: int | None = None,
        noise: Any = None,
    ) -> dict[str, Any]:
        """As :meth:`libpi0.Policy.infer`.

        A call with ``rtc`` or a ``seed`` is computed by itself: a batch continues no chunk, and
        gives a seed's noise to its first observation alone. With ``rtc``, ``last_chunk`` is what
        the robot's call before gave under that name, which it goes on from; None: an episode begins.
        """
        if rtc is None and seed is None:
            call = _Call(observation, steps, noise)
            self._waiting.append(call)
            self._thread.submit(self._timed, self._infer_waiting)
            answer: InferResult = await asyncio.wrap_future(call.result)
            return {**answer}

        def alone() -> dict[str, Any]:
            self._session.last_chunk = last_chunk
            result: dict[str, Any] = {
                **self._session.infer(observation, rtc=rtc, steps=steps, seed=seed, noise=noise)
            }
            if rtc is not None:
                result["last_chunk"] = self._session.last_chunk
            return result

        computed = self._thread.submit(self._timed, alone)
        return await asyncio.wrap_future(computed)

    async def info(self) -> PolicyInfo:
        """See :attr:`libpi0.Policy.info`."""
        return self._policy.info

    async def check_health(self) -> None:
        """Serve's question. A replica whose call does not end is replaced."""
        began = self._began
        if began is not None and (took := time.monotonic() - began) > self._stuck_after_s:
            raise RuntimeError(f"a call has taken {took:.0f} s, expected {self._stuck_after_s:g}")

    def _timed(self, work: Callable[[], T]) -> T:
        self._began = time.monotonic()
        try:
            return work()
        finally:
            self._began = None

    def _infer_waiting(self) -> None:
        # serve.batch collects for a time of its own, also while a batch is computed: nobody would
        # wait for others here, and what waits for the thread goes together.
        together = min(len(self._waiting), self._max_batch_size)
        taken = [self._waiting.popleft() for _ in range(together)]
        calls = [call for call in taken if call.result.set_running_or_notify_cancel()]
        if len(calls) > 1 and all(c.noise is None and c.steps == calls[0].steps for c in calls):
            try:
                results = self._policy.infer_batch(
                    [call.observation for call in calls], steps=calls[0].steps
                )
            except Exception:  # of one of them: each by itself tells whose
                pass
            else:
                for call, result in zip(calls, results, strict=True):
                    call.result.set_result(result)
                return
        for call in calls:
            try:
                result = self._policy.infer(call.observation, steps=call.steps, noise=call.noise)
            except Exception as error:  # the caller's
                call.result.set_exception(error)
            else:
                call.result.set_result(result)


class Policy:
    """A policy that a deployment computes, for one robot or simulator.

    It asks again where a replica dies, is replaced or has no room. It can be pickled, and used in
    any process of the cluster that is no event loop (there, await ``handle.infer.remote(…)``).

    Args:
        handle: of ``serve.run``, or ``serve.get_app_handle("libpi0")``.
        timeout_s: seconds of a call in all. backoff_s: seconds until it asks again.
    """

    def __init__(self, handle: Any, *, timeout_s: float = 300.0, backoff_s: float = 0.2) -> None:
        self._handle = handle
        self._timeout_s = timeout_s
        self._backoff_s = backoff_s
        self._last_chunk: LastChunk | None = None
        self.asked_again = 0
        """how many times so far"""

    @property
    def info(self) -> PolicyInfo:
        """Kind, cameras, keys, sizes, device."""
        return cast(PolicyInfo, self._call("info"))

    def infer(
        self,
        observation: Observation,
        *,
        rtc: RealTimeChunking | None = None,
        steps: int = 0,
        seed: int | None = None,
        noise: Any = None,
    ) -> InferResult:
        """As :meth:`libpi0.Policy.infer`; ``rtc.executed`` counts from the last call with ``rtc``.

        Raises:
            Error: of its classes, as there. ServerError: no answer in ``timeout_s``.
        """
        last_chunk = None if rtc is None else self._last_chunk
        result = self._call(
            "infer", observation, rtc=rtc, last_chunk=last_chunk, steps=steps, seed=seed, noise=noise
        )
        if rtc is not None:
            self._last_chunk = result.pop("last_chunk")
        return cast(InferResult, result)

    def reset(self) -> None:
        """An episode begins: there is no chunk to go on from."""
        self._last_chunk = None

    def _call(self, method: str, *args: Any, **named: Any) -> Any:
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                response = getattr(self._handle, method).remote(*args, **named)
                return response.result(timeout_s=max(0.0, until - time.monotonic()))
            except RayTaskError as error:
                if isinstance(error.cause, libpi0.Error):
                    raise error.cause from None
                raise
            except TimeoutError:
                raise libpi0.ServerError(
                    f"no answer in {self._timeout_s:g} s from the deployment"
                ) from None
            except (RayActorError, ReplicaUnavailableError, BackPressureError) as error:
                if time.monotonic() + self._backoff_s >= until:
                    raise libpi0.ServerError(
                        f"no replica in {self._timeout_s:g} s: {type(error).__name__}"
                    ) from error
                self.asked_again += 1
                time.sleep(self._backoff_s)


def application(
    checkpoint: str | PathLike[str],
    *,
    name: str = "policy",
    replicas: int = 1,
    autoscaling: dict[str, Any] | None = None,
    cpus: int = 1,
    card: bool = False,
    resources: dict[str, float] | None = None,
    max_batch_size: int | None = None,
    drain_s: float = 60.0,
    stuck_after_s: float = 600.0,
    deployment: dict[str, Any] | None = None,
    **options: Any,
) -> serve.Application:
    """For ``serve.run``, or ``serve deploy`` of a file that calls this.

    Args:
        checkpoint: its directory, at the same place on each machine that has replicas, as libpi0 is.
        name: of the deployment.
        replicas: how many; ``autoscaling`` instead: Serve's ``autoscaling_config`` (``min_replicas``,
            ``max_replicas``, ``target_ongoing_requests``: 1.5 unless said, as one computes and
            another waits).
        cpus: of a replica, which computes with as many threads. Which cores, the system says.
        card: a replica has a Tenstorrent card of its own: one of Ray's resource :data:`CARD`.
        resources: others that Ray is to reserve for a replica.
        max_batch_size: calls that :meth:`libpi0.Policy.infer_batch` is given together: 8 with a card,
            which takes the next images up meanwhile; else 1, as a CPU gains nothing by it.
        drain_s: seconds that a replica which is to go has for the calls that it took.
        stuck_after_s: seconds of a call after which its replica is replaced.
        deployment: more of ``serve.deployment``'s options.
        options: of :class:`libpi0.Policy`: ``device``, ``dtype``, ``robot``, ``cache``, ….
    """
    together = max_batch_size or (8 if card else 1)
    if together < 1 or cpus < 1:
        raise libpi0.InvalidInputError(
            f"cpus is {cpus} and max_batch_size {together}, expected 1 or more"
        )
    if autoscaling is not None:
        autoscaling = {"target_ongoing_requests": 1.5 * together, **autoscaling}
    settings: dict[str, Any] = {
        "name": name,
        "ray_actor_options": {
            "num_cpus": cpus,
            "resources": {**({CARD: 1} if card else {}), **(resources or {})},
        },
        # One computes and one waits: more are better off with another replica, or the next.
        "max_ongoing_requests": 2 * together,
        "graceful_shutdown_timeout_s": drain_s,
        "graceful_shutdown_wait_loop_s": 0.1,
        **({"autoscaling_config": autoscaling} if autoscaling else {"num_replicas": replicas}),
        **(deployment or {}),
    }
    made: serve.Deployment = cast(Any, serve.deployment)(Replica, **settings)
    return made.bind(
        str(checkpoint),
        {"threads": cpus, **options},
        card=card,
        max_batch_size=together,
        stuck_after_s=stuck_after_s,
    )


def take_card(folder: Path | None = None, most: int = 32) -> tuple[int, IO[bytes]]:
    """The first card of this machine that no process of any user has taken, and what holds it while
    it is open.

    Ray counts cards and does not say which one is whose.
    """
    for number in range(most):
        held = _open_lock((folder or Path(tempfile.gettempdir())) / f"libpi0-card-{number}.lock")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            continue
        return number, held
    raise libpi0.UnsupportedError(f"all of {most} cards of this machine are taken")


def _open_lock(path: Path) -> IO[bytes]:
    """For reading, which a lock is content with: in /tmp no other user may write to it, nor open it
    with O_CREAT (Linux's fs.protected_regular)."""
    for _ in range(20):
        with suppress(PermissionError):  # another process has just made it, and not yet for all
            try:
                return path.open("rb")
            except FileNotFoundError:
                with suppress(FileExistsError):
                    made = os.open(path, os.O_CREAT | os.O_EXCL, 0o444)
                    os.fchmod(made, 0o444)  # for all users, whatever the umask
                    os.close(made)
                    continue
        time.sleep(0.05)
    return path.open("rb")
