"""libpi0.Policy, against what PyTorch recorded, and as numpy's and torch's users call it."""

from __future__ import annotations

import pathlib
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
from conftest import SOURCE, TINY, read_safetensors

import libpi0
from libpi0 import _core

EXTRA = SOURCE / "testdata" / "golden_extra"
CASES = [
    (folder, case)
    for folder in ("pi0_keys", "pi0_visual", "pi05_plain", "pi05_relative")
    for case in read_safetensors(EXTRA / folder / "policy.safetensors")[0]
]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_gives_what_lerobot_gave(folder: str, case: str) -> None:
    cases, arrays = read_safetensors(EXTRA / folder / "policy.safetensors")

    def recorded(name: str) -> np.ndarray:
        return arrays.get(f"{case}.{name}", arrays.get(name))

    policy = libpi0.Policy(
        EXTRA / folder,
        device="reference",
        tokenizer=SOURCE / "testdata" / "golden" / "preprocess" / "tokenizer.json",
        raw=folder == "pi05_plain",
    )
    keys = {key.removeprefix("observation.images."): key for key in policy.info["image_keys"]}
    seen: dict[str, Any] = {
        keys.get(name, name): recorded(f"image.{name}") for name in cases[case]["cameras"]
    }
    seen[policy.info["state_keys"][0]] = recorded("state")
    seen[policy.info["prompt_key"]] = cases[case]["prompt"]
    actions = policy.infer(seen, noise=recorded("noise"))["actions"]
    np.testing.assert_allclose(actions, recorded("actions"), atol=1e-4, rtol=1e-4)


def test_the_longest_prompt_is_what_openpis_configuration_says() -> None:
    golden = SOURCE / "testdata" / "golden"
    policy = libpi0.Policy(
        golden / "openpi_pi0",
        device="reference",
        tokenizer=golden / "preprocess" / "tokenizer.json",
        max_token_len=100,
    )
    assert policy.info["network"]["max_tokens"] == 100


def test_rtc_takes_one_of_two(policy: libpi0.Policy) -> None:
    rtc = libpi0.RealTimeChunking(executed=2, prev_chunk_left_over=np.zeros((3, 4)))
    with pytest.raises(libpi0.InvalidInputError, match="executed"):
        policy.infer(a_look(), rtc=rtc)


def a_look(fill: int = 7) -> dict[str, Any]:
    return {
        "observation.images.base_0_rgb": np.full((48, 64, 3), fill, np.uint8),
        "observation.state": [0.1, 0.6, 0.2, 0.5],
        "task": "open the drawer",
    }


def test_a_chunk_goes_on_from_the_last(policy: libpi0.Policy, observation: dict[str, Any]) -> None:
    session = policy.session()
    first = session.infer(observation, seed=1)
    assert "seam" not in first
    rtc = libpi0.RealTimeChunking(executed=4, inference_delay=2, max_guidance_weight=0)
    alone = session.infer(observation, seed=2, rtc=rtc)
    np.testing.assert_allclose(
        alone["seam"]["jump"], alone["actions"][2] - first["actions"][6], atol=1e-6
    )
    session.reset()
    session.infer(observation, seed=1)
    before = session.last_chunk
    guided = session.infer(observation, seed=2, rtc=libpi0.RealTimeChunking(executed=4, inference_delay=2))
    assert np.abs(guided["seam"]["jump"]).max() < np.abs(alone["seam"]["jump"]).max()
    # Another session that is given the same last chunk gives the same.
    other = policy.session()
    other.last_chunk = before
    again = other.infer(observation, seed=2, rtc=libpi0.RealTimeChunking(executed=4, inference_delay=2))
    np.testing.assert_array_equal(again["actions"], guided["actions"])
    with pytest.raises(libpi0.LimitError, match="jump"):
        other.infer(
            observation, rtc=libpi0.RealTimeChunking(executed=4, inference_delay=2, max_jump=1e-9)
        )
    other.reset()
    assert other.last_chunk is None


def test_every_layout_and_type_gives_the_same(
    policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    image = observation["observation.images.base_0_rgb"]
    expected = policy.infer(observation, seed=7)["actions"]
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    read_only = image.copy()
    read_only.flags.writeable = False
    others = {
        "planes": planes,
        "a view of planes": planes.transpose(1, 2, 0),
        "upside down twice": image[::-1].copy()[::-1],
        "a crop": np.pad(image, ((3, 3), (5, 5), (0, 0)))[3:-3, 5:-5],
        "other integers": image.astype(np.int32),
        "big-endian": image.astype(">u2"),
        "read only": read_only,
        "floats": image.astype(np.float32) / 255,
        "a memoryview": memoryview(image),
        "a list": image.tolist(),
        "a batch of one": image[None],
    }
    for name, value in others.items():
        actions = policy.infer(
            {**observation, "observation.images.base_0_rgb": value}, seed=7
        )["actions"]
        np.testing.assert_allclose(actions, expected, atol=1e-5, err_msg=name)
    for state in (list(observation["observation.state"]), observation["observation.state"].astype(">f8")):
        actions = policy.infer({**observation, "observation.state": state}, seed=7)["actions"]
        np.testing.assert_allclose(actions, expected, atol=1e-6)


class OnlyDlpack:
    """An array of a library that numpy does not know."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


class OnlyArray:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array


def test_copies_no_image_that_lies_well(policy: libpi0.Policy, observation: dict[str, Any]) -> None:
    image = observation["observation.images.base_0_rgb"]
    tensors: list[Any] = [image, image.transpose(2, 0, 1).copy(), OnlyDlpack(image), OnlyArray(image)]
    try:
        import torch
    except ImportError:
        print("torch is not installed: its tensors are not tried")
    else:
        tensors.append(torch.from_numpy(image))
    before = _core.copies()
    for tensor in tensors:
        policy.infer({**observation, "observation.images.base_0_rgb": tensor})
    assert _core.copies() == before
    policy.infer({**observation, "observation.images.base_0_rgb": image[:, ::-1]})
    assert _core.copies() == before + 1


def test_a_batch_is_its_observations(policy: libpi0.Policy, observation: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, 16, 8)).astype(np.float32)
    batch = policy.infer_batch([observation, a_look()], noise=noise)
    for result, seen, own in zip(batch, (observation, a_look()), noise):
        np.testing.assert_array_equal(result["actions"], policy.infer(seen, noise=own)["actions"])
    with pytest.raises(libpi0.InvalidInputError, match=r"observations\[1\].*image"):
        policy.infer_batch([observation, {"task": "nothing"}])


def test_a_batch_on_two_devices_is_that_on_one(
    policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    both = libpi0.Policy(TINY, device="cpu,cpu", dtype="fp32", threads=1)
    assert both.info["device"].count("cpu (") == 2
    batch = [observation, a_look(), observation, a_look(), observation]
    threads: set[int] = set()
    shared = both.infer_batch(batch, seed=4, progress=lambda *_: threads.add(threading.get_ident()))
    assert len(threads) == 2 and threading.get_ident() in threads
    for result, alone in zip(shared, policy.infer_batch(batch, seed=4)):
        np.testing.assert_array_equal(result["actions"], alone["actions"])

    class Enough(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            raise Enough

    with pytest.raises(Enough):
        both.infer_batch(batch, progress=stop)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observation.images.base_0_rgb": None}, "no image"),
        ({"observation.images.base_0_rgb": np.zeros((4, 4, 2), np.uint8)}, "base_0_rgb"),
        ({"observation.images.base_0_rgb": np.zeros((4, 4, 3), complex)}, "base_0_rgb.*<c16"),
        ({"observation.images.base_0_rgb": object()}, "base_0_rgb.*O"),
        ({"observation.images.base_0_rgb": b"no image at all"}, "base_0_rgb"),
        ({"observation.state": np.zeros(5)}, "state"),
        ({"observation.state": [0, 0, 0, np.nan]}, "finite|nan"),
        ({"observation.state": "here"}, "state"),
        ({"task": None}, "task"),
    ],
)
def test_what_does_not_fit_is_said(
    policy: libpi0.Policy, observation: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(libpi0.InvalidInputError, match=words):
        policy.infer({**observation, **change})
    assert policy.infer(observation)["actions"].shape == (16, 4)


def test_errors_have_classes(tmp_path: pathlib.Path) -> None:
    with pytest.raises(libpi0.InvalidCheckpointError, match="model.safetensors"):
        libpi0.Policy(tmp_path)
    with pytest.raises(libpi0.Error, match="nowhere"):
        libpi0.Policy(tmp_path / "nowhere")
    with pytest.raises(libpi0.UnsupportedError, match="abacus"):
        libpi0.Policy(TINY, device="abacus")
    with pytest.raises(libpi0.InvalidInputError, match="robot"):
        libpi0.Policy(TINY, robot="r2d2")
    with pytest.raises(libpi0.OutOfMemoryError):
        libpi0.Policy(TINY, device="cpu", memory_limit_bytes=1000)
    with pytest.raises(libpi0.InvalidInputError, match="observation"):
        libpi0.Policy(TINY, device="reference").infer([1, 2])  # type: ignore[arg-type]
    assert issubclass(libpi0.InvalidInputError, ValueError)
    error = pickle.loads(pickle.dumps(libpi0.LimitError("a jump")))
    assert isinstance(error, libpi0.LimitError) and str(error) == "a jump"


def test_progress_tells_each_stage_and_may_stop(
    policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    told: list[tuple[str, int, int]] = []
    policy.infer(observation, progress=lambda *which: told.append(which))
    stages = [stage for stage, _, _ in told]
    assert list(dict.fromkeys(stages)) == sorted(set(stages), key=stages.index)
    assert len(set(stages)) >= 3 and all(done <= total for _, done, total in told)

    class Enough(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        policy.infer(observation, progress=stop)
    loaded: list[str] = []
    libpi0.Policy(TINY, device="reference", progress=lambda stage, *_: loaded.append(stage))
    assert loaded
    assert policy.infer(observation, seed=1)["actions"].shape == (16, 4)


def test_others_run_while_it_computes(policy: libpi0.Policy, observation: dict[str, Any]) -> None:
    """The GIL is let go: a thread counts on during a call of many steps."""
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        begin = time.perf_counter()
        policy.infer(observation, steps=300)
        seconds = time.perf_counter() - begin
    finally:
        done.set()
        thread.join()
    assert counted > 20 * seconds  # of about 900 a second; none with the GIL kept


def test_one_session_of_two_threads_gives_each_its_own(
    policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    expected = {seed: policy.infer(observation, seed=seed)["actions"] for seed in range(8)}
    session = policy.session()
    wrong: list[int] = []

    def call(seed: int) -> None:
        for _ in range(5):
            if not np.array_equal(session.infer(observation, seed=seed)["actions"], expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_pickles_as_what_it_was_made_of(observation: dict[str, Any]) -> None:
    policy = libpi0.Policy(TINY, device="reference", prompt="open the drawer")
    again = pickle.loads(pickle.dumps(policy))
    del observation["task"]
    np.testing.assert_array_equal(
        again.infer(observation, seed=3)["actions"], policy.infer(observation, seed=3)["actions"]
    )


def test_help_is_enough_to_start() -> None:
    assert "policy.infer({" in (libpi0.__doc__ or "")
    for name in libpi0.__all__:
        value = getattr(libpi0, name)
        assert value.__doc__ or name in ("Observation", "Progress"), name  # types' names
    assert "reference" in libpi0.devices()
