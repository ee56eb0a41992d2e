"""``libpi0.serve.ray`` on a Ray of this machine, and examples/evaluate_ray.py."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import libpi0
from libpi0 import RealTimeChunking

pytest.importorskip("ray.serve", reason='pip install "ray[serve]"')
from ray import serve  # noqa: E402

from libpi0.serve import ray as libpi0_ray  # noqa: E402

ray: Any = pytest.importorskip("ray")

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors have not this file

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "examples/policy"
EXAMPLE = ROOT / "examples/evaluate_ray.py"


def observation(seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        "observation.images.base_0_rgb": generator.integers(256, size=(112, 112, 3), dtype=np.uint8),
        "observation.state": generator.random(4).astype(np.float32),
        "task": "open the drawer",
    }


@pytest.fixture(scope="module")
def handle() -> Iterator[Any]:
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    application = libpi0_ray.application(CHECKPOINT, replicas=2, device="cpu")
    yield serve.run(application, name="test", route_prefix=None)
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


@pytest.fixture(scope="module")
def local() -> libpi0.Policy:
    return libpi0.Policy(CHECKPOINT, device="cpu")


def wait_until(true: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_deployment_gives_what_the_policy_gives(handle: Any, local: libpi0.Policy) -> None:
    policy = libpi0_ray.Policy(handle)
    assert policy.info["image_keys"] == local.info["image_keys"]
    noise = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)
    ways: list[dict[str, Any]] = [{"seed": 5}, {"noise": noise}, {"noise": noise, "steps": 3}]
    for given in ways:
        served = policy.infer(observation(), **given)
        expected = local.infer(observation(), **given)
        np.testing.assert_array_equal(served["actions"], expected["actions"])
    asked = handle.infer.remote(observation(), seed=5).result()
    np.testing.assert_array_equal(
        asked["actions"], local.infer(observation(), seed=5)["actions"]
    )


def test_a_chunk_goes_on_from_the_last_one_on_any_replica(
    handle: Any, local: libpi0.Policy
) -> None:
    policy = libpi0_ray.Policy(handle)
    here = local.session()
    rtc = RealTimeChunking(executed=4, inference_delay=2)
    for seed in range(6):
        served = policy.infer(observation(seed), rtc=rtc, seed=seed)
        expected = here.infer(observation(seed), rtc=rtc, seed=seed)
        np.testing.assert_array_equal(served["actions"], expected["actions"])
        assert ("seam" in served) == ("seam" in expected) == (seed > 0)
        # Another robot's call in between changes nothing.
        libpi0_ray.Policy(handle).infer(observation(9), rtc=rtc, seed=9)
    policy.reset()
    assert "seam" not in policy.infer(observation(), rtc=rtc, seed=0)


def test_errors_are_ours(handle: Any) -> None:
    wrong = {**observation(), "observation.state": np.zeros(3, np.float32)}
    with pytest.raises(libpi0.InvalidInputError, match="3 values, expected 4") as raised:
        libpi0_ray.Policy(handle).infer(wrong)
    assert type(raised.value) is libpi0.InvalidInputError
    with pytest.raises(libpi0.InvalidInputError, match="3 values, expected 4"):
        handle.infer.remote(wrong, seed=1).result()


def test_an_actor_asks_by_the_handle(handle: Any, local: libpi0.Policy) -> None:
    class Robot:
        def __init__(self, policy: libpi0_ray.Policy) -> None:
            self._policy = policy

        def act(self, seed: int) -> Any:
            return self._policy.infer(observation(seed), seed=seed)["actions"]

    remote = ray.remote(num_cpus=0)(Robot)
    robots = [remote.remote(libpi0_ray.Policy(handle)) for _ in range(2)]
    acted = ray.get([robot.act.remote(seed) for seed, robot in enumerate(robots)])
    for seed, actions in enumerate(acted):
        np.testing.assert_array_equal(actions, local.infer(observation(seed), seed=seed)["actions"])


def test_calls_of_a_replica_that_dies_are_asked_again(handle: Any, local: libpi0.Policy) -> None:
    policies = [libpi0_ray.Policy(handle) for _ in range(4)]
    ended = threading.Event()
    answers: list[list[tuple[int, Any]]] = [[] for _ in policies]

    def ask(which: int) -> None:
        seed = which * 10_000
        while not ended.is_set():
            answers[which].append((seed, policies[which].infer(observation(), seed=seed)["actions"]))
            seed += 1

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(len(policies))]
    for thread in threads:
        thread.start()
    def wait_for_answers(each: int) -> None:
        wanted = [len(got) + each for got in answers]
        wait_until(lambda: all(len(got) >= n for got, n in zip(answers, wanted, strict=True)), 60)

    # Two replicas with a call each and one that waits: whichever dies has one.
    wait_for_answers(2)
    killed = [actor for actor in ray.util.list_named_actors(all_namespaces=True)
              if actor["name"].startswith("SERVE_REPLICA::test#")][0]  # fmt: skip
    ray.kill(ray.get_actor(killed["name"], killed["namespace"]), no_restart=True)
    wait_for_answers(3)
    ended.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sum(policy.asked_again for policy in policies) > 0
    for got in answers:
        for seed, actions in (got[0], got[-1]):
            np.testing.assert_array_equal(actions, local.infer(observation(), seed=seed)["actions"])


def running(name: str) -> int:
    """Replicas of an application that take calls."""
    deployments = serve.status().applications[name].deployments
    return sum(deployment.replica_states.get("RUNNING", 0) for deployment in deployments.values())


def test_replicas_come_and_go_with_the_calls(handle: Any) -> None:
    application = libpi0_ray.application(
        CHECKPOINT,
        device="cpu",
        autoscaling={
            "min_replicas": 1,
            "max_replicas": 2,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 0.5,
            "downscale_delay_s": 2,
        },
    )
    scaled = serve.run(application, name="scaled", route_prefix=None)
    try:
        assert running("scaled") == 1
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                scaled.infer.remote(observation(), seed=1).result()

        callers = [threading.Thread(target=ask) for _ in range(4)]
        for caller in callers:
            caller.start()
        try:
            wait_until(lambda: running("scaled") == 2)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        wait_until(lambda: running("scaled") == 1)
    finally:
        serve.delete("scaled")


def test_a_replica_that_is_to_go_finishes_what_it_took(handle: Any, local: libpi0.Policy) -> None:
    application = libpi0_ray.application(CHECKPOINT, device="cpu", drain_s=60)
    going = serve.run(application, name="going", route_prefix=None)
    begin = time.monotonic()
    local.infer(observation(), steps=1000)
    steps = int(3000 / (time.monotonic() - begin))  # some 3 s
    answer = going.infer.remote(observation(), seed=3, steps=steps)
    time.sleep(0.5)
    serve.delete("going", _blocking=False)
    wait_until(lambda: "going" not in serve.status().applications or running("going") == 0)
    found = answer.result()["actions"]
    np.testing.assert_array_equal(found, local.infer(observation(), seed=3, steps=steps)["actions"])


def test_what_waits_goes_together_and_errors_are_each_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A replica by itself, without Ray's machinery around it."""
    replica = libpi0_ray.Replica(str(CHECKPOINT), {"device": "cpu"}, max_batch_size=3)
    given: list[list[float]] = []
    infer_batch = replica._policy.infer_batch

    def noted(observations: list[Any], **options: Any) -> Any:
        given.append([one["observation.state"][0] for one in observations])
        return infer_batch(observations, **options)

    monkeypatch.setattr(replica._policy, "infer_batch", noted)

    async def together(*observations: dict[str, Any], **options: Any) -> list[Any]:
        replica._thread.submit(time.sleep, 0.2)  # another call, which they wait for
        calls = [asyncio.ensure_future(replica.infer(one, **options)) for one in observations]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    asked = [observation(seed) for seed in range(5)]
    results = asyncio.run(together(*asked))
    first = [one["observation.state"][0] for one in asked]
    assert given == [first[:3], first[3:]]
    assert all(result["actions"].shape == (16, 4) for result in results)

    *good, bad = asyncio.run(together(asked[0], asked[1], {**asked[2], "task": 7}))
    assert isinstance(bad, libpi0.InvalidInputError) and "observations[" not in str(bad)
    assert all(result["actions"].shape == (16, 4) for result in good)

    given.clear()
    noise = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)
    one, other = asyncio.run(together(asked[0], asked[0], noise=noise))
    np.testing.assert_array_equal(one["actions"], other["actions"])
    one, other = asyncio.run(together(asked[0], asked[0], seed=3))
    np.testing.assert_array_equal(one["actions"], other["actions"])
    assert not given  # noise and seeds have calls of their own


def test_a_call_whose_caller_left_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = libpi0_ray.Replica(str(CHECKPOINT), {"device": "cpu"})
    computed: list[Any] = []
    monkeypatch.setattr(replica._policy, "infer", lambda *given, **_: computed.append(given))

    async def leave() -> None:
        replica._thread.submit(time.sleep, 0.2)
        call = asyncio.ensure_future(replica.infer(observation()))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait([call])

    asyncio.run(leave())
    replica._thread.shutdown(wait=True)
    assert not computed


def test_a_call_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = libpi0_ray.Replica(str(CHECKPOINT), {"device": "cpu"}, stuck_after_s=0.05)
    infer = replica._policy.infer

    def slow(*given: Any, **options: Any) -> Any:
        time.sleep(0.4)
        return infer(*given, **options)

    monkeypatch.setattr(replica._policy, "infer", slow)

    async def ask() -> None:
        await replica.check_health()
        call = asyncio.ensure_future(replica.infer(observation()))
        await asyncio.sleep(0.2)
        with pytest.raises(RuntimeError, match="expected 0.05"):
            await replica.check_health()
        await call
        replica._thread.submit(lambda: None).result()
        await replica.check_health()

    asyncio.run(ask())


def test_what_serve_is_told() -> None:
    def options(**given: Any) -> Any:
        return libpi0_ray.application(CHECKPOINT, **given)._bound_deployment

    plain = options(replicas=3, cpus=4)
    assert plain.num_replicas == 3
    assert plain.ray_actor_options["num_cpus"] == 4
    assert plain.init_args[1]["threads"] == 4
    card = options(card=True)
    assert card.ray_actor_options["resources"] == {"tenstorrent": 1}
    assert card.init_kwargs["max_batch_size"] == 8
    scaled = options(autoscaling={"min_replicas": 1, "max_replicas": 5})
    assert scaled._deployment_config.autoscaling_config.max_replicas == 5
    with pytest.raises(libpi0.InvalidInputError, match="cpus is 0"):
        options(cpus=0)


def test_replicas_of_a_machine_take_different_cards(tmp_path: Path) -> None:
    first, held = libpi0_ray.take_card(tmp_path)
    second, other = libpi0_ray.take_card(tmp_path)
    assert (first, second) == (0, 1)
    with pytest.raises(libpi0.UnsupportedError, match="all of 2 cards"):
        libpi0_ray.take_card(tmp_path, most=2)
    held.close()
    assert libpi0_ray.take_card(tmp_path)[0] == 0
    other.close()


def test_users_of_a_machine_share_its_cards(tmp_path: Path) -> None:
    """As Linux lets another user open what lies in /tmp: for reading, and without O_CREAT."""
    umask = os.umask(0o077)
    try:
        mine, held = libpi0_ray.take_card(tmp_path)
    finally:
        os.umask(umask)
    assert os.stat(held.name).st_mode & 0o004, "that any user may read it"
    foreign = {held.name}

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        wrong = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if event == "open" and str(args[0]) in foreign and args[2] & wrong:
            raise PermissionError(errno.EACCES, "Permission denied", args[0])

    sys.addaudithook(refuse)  # which cannot be taken away again
    try:
        other, others = libpi0_ray.take_card(tmp_path)
        assert (mine, other) == (0, 1)
        held.close()
        first, again = libpi0_ray.take_card(tmp_path)
        assert first == 0
    finally:
        foreign.clear()
    others.close()
    again.close()


def evaluate_ray() -> Any:
    spec = importlib.util.spec_from_file_location("evaluate_ray", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["evaluate_ray"] = module
    spec.loader.exec_module(module)
    return module


def test_intervals_are_wilsons() -> None:
    pytest.importorskip("tqdm", reason="pip install tqdm")
    wilson = evaluate_ray().wilson
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for successes, of, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        assert wilson(successes, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_an_evaluation_survives_a_replica_and_a_simulator(tmp_path: Path) -> None:
    pytest.importorskip("metaworld", reason="pip install metaworld")
    pytest.importorskip("tqdm", reason="pip install tqdm")
    out = tmp_path / "evaluation"
    ran = subprocess.run(
        [
            sys.executable, EXAMPLE, CHECKPOINT, "--tasks", "close the drawer", "press the button",
            "--episodes", "3", "--max-steps", "100", "--replicas", "2", "--simulators", "2",
            "--kill-replica-after", "1", "--kill-actor-after", "2", "--out", out,
        ],
        capture_output=True, text=True, timeout=500,
        # Another Ray of this machine, that of the tests above, is not this one's business.
        env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"},
    )  # fmt: skip
    if "EGL" in ran.stderr and "PYOPENGL_PLATFORM" in ran.stderr:
        pytest.skip("MuJoCo draws nothing here: apt install libegl1, or set MUJOCO_GL=osmesa")
    assert ran.returncode == 0, ran.stderr
    assert "episodes:" not in ran.stderr  # no bar in a pipe
    told = json.loads(out.with_suffix(".json").read_text())
    assert len(told["killed"]) == 2
    assert told["begun_again"] >= 1
    episodes = told["episodes"]
    assert [one["number"] for one in episodes] == list(range(6))  # none lost, none twice
    by_task = {row["task"]: row for row in told["tasks"]}
    assert by_task["all"]["episodes"] == 6
    assert by_task["close the drawer"]["episodes"] == by_task["press the button"]["episodes"] == 3
    # The policy closes drawers (23 of 25, as PyTorch measured): success means something.
    assert by_task["close the drawer"]["successes"] >= 1
    assert "| close the drawer | 3 |" in out.with_suffix(".md").read_text()
    assert out.with_suffix(".md").read_text().strip() == ran.stdout.strip()
