"""libpi0.lerobot against lerobot's own policies, through lerobot's own batches and processors.

In an environment with lerobot's pi0 and pi05, whose sizes and tokenizer are replaced as in tools/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lerobot.policies.pi0.modeling_pi0", reason="pip install 'lerobot[pi]'")

import numpy as np
import torch
from conftest import serving
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.utils.constants import OBS_STATE

import libpi0
from libpi0.lerobot import LibPi0Config, LibPi0Policy
from libpi0.lerobot.left_over import rows_gone_by

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

from recording import from_lerobot  # noqa: E402
from recording.lerobot_inputs import read_tokenizer  # noqa: E402

TOKENIZER = ROOT / "testdata/golden/preprocess/tokenizer.json"
OPTIONS = {"tokenizer": str(TOKENIZER)}
CHECKPOINTS = [
    "golden_releases/pi0_0.6.1",
    "golden_releases/pi05_0.6.1",
    "golden_extra/pi05_relative",
]
TASKS = ["open the drawer", "Pick_up the red block\n", ""]


class Ours:
    """A policy with the processors that lerobot makes for it."""

    def __init__(self, directory: Path) -> None:
        self.policy = LibPi0Policy.from_pretrained(directory, dtype="fp32", options=OPTIONS)
        self.preprocess, self.postprocess = make_pre_post_processors(self.policy.config)


@pytest.fixture(params=CHECKPOINTS)
def directory(request: pytest.FixtureRequest) -> Path:
    return ROOT / "testdata" / request.param


@pytest.fixture
def both(directory: Path) -> list[Any]:
    theirs = from_lerobot.load(directory, read_tokenizer(TOKENIZER))
    return [theirs, Ours(directory)]


def draw_batch(config: Any, tasks: list[str], seed: int = 1) -> dict[str, Any]:
    """As robots' and environments' are: images of other sizes than the network's."""
    generator = torch.Generator().manual_seed(seed)
    cameras = [key for key in config.image_features if "empty_camera" not in key]
    batch: dict[str, Any] = {"task": tasks}
    for index, camera in enumerate(cameras):
        size = (len(tasks), 3, 33 + index, 47 - 5 * index)
        batch[camera] = torch.randint(256, size, generator=generator) / 255
    dims = config.input_features[OBS_STATE].shape[0]
    batch[OBS_STATE] = torch.rand(len(tasks), dims, generator=generator) - 0.5
    return batch


def draw_noise(policy: LibPi0Policy, count: int, seed: int = 2) -> torch.Tensor:
    network = policy.policy.info["network"]
    size = (count, network["action_horizon"], network["action_dim"])
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def chunk(side: Any, batch: dict[str, Any], **call: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """As the policy gives it, and as the robot gets it."""
    given = side.policy.predict_action_chunk(side.preprocess(dict(batch)), **call)
    return given, side.postprocess(given)


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_chunk_is_lerobots(both: list[Any]) -> None:
    batch = draw_batch(both[0].policy.config, TASKS[:1])
    noise = draw_noise(both[1].policy, 1)
    theirs, ours = (chunk(side, batch, noise=noise)[1] for side in both)
    assert_same(ours, theirs)
    assert theirs.std() > 0.01


def test_bytes_are_the_floats_that_lerobot_makes_of_them(both: list[Any]) -> None:
    batch = draw_batch(both[0].policy.config, TASKS[:1])
    noise = draw_noise(both[1].policy, 1)
    images = {k: (v * 255).round().byte() for k, v in batch.items() if "image" in k}
    ours = chunk(both[1], batch | images, noise=noise)[1]
    assert_same(ours, chunk(both[0], batch, noise=noise)[1])


@pytest.mark.parametrize("directory", [ROOT / "testdata" / c for c in CHECKPOINTS[:2]])
def test_robots_of_a_batch_get_lerobots_actions_of_the_same_seed(both: list[Any]) -> None:
    """Not of relative actions: lerobot adds them to the state of each step, not the chunk's."""
    given = []
    for side in both:
        torch.manual_seed(5)
        side.policy.reset()
        steps = side.policy.config.n_action_steps + 2  # into the second chunk
        for step in range(steps):
            batch = side.preprocess(draw_batch(both[0].policy.config, TASKS, seed=step))
            given.append(side.postprocess(side.policy.select_action(batch)))
    theirs, ours = given[: len(given) // 2], given[len(given) // 2 :]
    assert_same(torch.stack(ours), torch.stack(theirs))


def test_a_task_that_changes_has_a_chunk_of_its_own() -> None:
    """lerobot's drop_queued_actions(), of August 2026, clears what is kept under this name."""
    ours = Ours(ROOT / "testdata" / CHECKPOINTS[0])
    first, second = (draw_batch(ours.policy.config, [task]) for task in TASKS[:2])
    noise = draw_noise(ours.policy, 1)
    expected = chunk(ours, second, noise=noise)[0][:, 0]
    ours.policy.reset()
    ours.policy.select_action(ours.preprocess(dict(first)), noise=noise)
    assert len(ours.policy._action_queue) == ours.policy.config.n_action_steps - 1
    getattr(ours.policy, "drop_queued_actions", ours.policy._action_queue.clear)()  # 0.6.1: none
    action = ours.policy.select_action(ours.preprocess(dict(second)), noise=noise)
    torch.testing.assert_close(action, expected, atol=0, rtol=0)


class OnACard(torch.Tensor):
    """One that numpy cannot read where it lies."""

    def cpu(self) -> torch.Tensor:  # type: ignore[override, unused-ignore]
        return self.as_subclass(torch.Tensor)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize("count", [1, 2])
def test_noise_may_lie_on_a_card(count: int) -> None:
    ours = Ours(ROOT / "testdata" / CHECKPOINTS[0])
    batch, noise = draw_batch(ours.policy.config, TASKS[:count]), draw_noise(ours.policy, count)
    expected = chunk(ours, batch, noise=noise)[0]
    given = chunk(ours, batch, noise=noise.as_subclass(OnACard))[0]
    torch.testing.assert_close(given, expected, atol=0, rtol=0)


@pytest.mark.parametrize(("gone", "delay"), [(0, 0), (1, 1), (3, 0)])
def test_a_chunk_goes_on_as_lerobots(both: list[Any], gone: int, delay: int) -> None:
    config = RTCConfig(execution_horizon=4, max_guidance_weight=5.0)
    noises = [draw_noise(both[1].policy, 1, seed) for seed in (2, 3)]
    results = []
    for side in both:
        side.policy.config.rtc_config = config
        if hasattr(side.policy, "init_rtc_processor"):
            side.policy.init_rtc_processor()
        batch = draw_batch(both[0].policy.config, TASKS[:1])
        first = chunk(side, batch, noise=noises[0])[0]
        call = {"inference_delay": delay, "prev_chunk_left_over": first[0, gone:]}
        guided = chunk(side, batch, noise=noises[1], **call)[1]
        side.policy.reset()
        free = chunk(side, batch, noise=noises[1])[1]
        assert (guided - free).abs().max() > 0.01
        results.append(guided)
    assert_same(results[1], results[0])


@pytest.fixture
def served(directory: Path) -> Iterator[str]:
    """The URL of a server of the checkpoint."""
    with serving(directory, f"--tokenizer={TOKENIZER}") as url:
        yield url


def test_a_servers_chunks_are_lerobots(directory: Path, served: str) -> None:
    """One, those of a batch, and one that goes on."""
    theirs = from_lerobot.load(directory, read_tokenizer(TOKENIZER))
    ours = LibPi0Policy(LibPi0Config(server=served))
    for side in (theirs.policy, ours):
        side.config.rtc_config = RTCConfig(execution_horizon=4)
    theirs.policy.init_rtc_processor()
    theirs_before = ours_before = None
    for tasks in (TASKS, TASKS[:1], TASKS[1:2]):
        batch = draw_batch(theirs.policy.config, tasks)
        size = (len(tasks), theirs.policy.config.chunk_size, theirs.policy.config.max_action_dim)
        noise = torch.randn(size, generator=torch.Generator().manual_seed(3))
        given, robots = chunk(
            theirs, batch, noise=noise, inference_delay=1, prev_chunk_left_over=theirs_before
        )
        actions = ours.predict_action_chunk(
            batch, noise=noise, inference_delay=1, prev_chunk_left_over=ours_before
        )
        assert_same(actions, robots)
        if len(tasks) == 1:
            theirs_before, ours_before = given[0, 1:], actions[0, 1:]


def test_what_is_left_over_is_found_in_the_chunk() -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2) + 1
    zeros = np.zeros((4, 2), np.float32)
    assert rows_gone_by(rows, rows) == 0
    assert rows_gone_by(rows, rows[3:]) == 3
    assert rows_gone_by(rows, rows[1:3]) == 1  # cut at the execution horizon
    assert rows_gone_by(rows, np.concatenate([rows[4:], zeros])) == 4  # filled up to it
    assert rows_gone_by(rows, rows[None, 2:]) == 2
    assert rows_gone_by(rows, zeros) == 5
    assert rows_gone_by(rows, zeros[:0]) == 5
    for other in (rows + 1, rows[:, :1], np.concatenate([zeros[:1], rows])):
        with pytest.raises(libpi0.InvalidInputError, match="no part of the last chunk"):
            rows_gone_by(rows, other)


def test_what_the_checkpoints_own_processors_made_is_refused(directory: Path) -> None:
    theirs = from_lerobot.load(directory, read_tokenizer(TOKENIZER))
    batch = theirs.preprocess(draw_batch(theirs.policy.config, TASKS[:1]))
    with pytest.raises(libpi0.InvalidInputError, match="without a path"):
        Ours(directory).policy.select_action(batch)


def test_what_it_saves_is_a_policy_path(tmp_path: Path) -> None:
    directory = ROOT / "testdata" / CHECKPOINTS[0]
    ours = Ours(directory)
    ours.policy.save_pretrained(tmp_path)
    # As lerobot's scripts do it of --policy.path and --rename_map.
    config = PreTrainedConfig.from_pretrained(tmp_path, cli_overrides=["--n_action_steps=2"])
    config.pretrained_path = tmp_path
    again = LibPi0Policy.from_pretrained(tmp_path, config=config)
    assert isinstance(config, LibPi0Config)
    assert config.n_action_steps == 2
    renamed = {"observation.image": "observation.images.top"}
    preprocess, _ = make_pre_post_processors(
        config,
        pretrained_path=str(config.pretrained_path),
        preprocessor_overrides={
            "device_processor": {"device": "cpu"},
            "rename_observations_processor": {"rename_map": renamed},
        },
    )
    batch = draw_batch(config, TASKS[:1])
    noise = draw_noise(again, 1)
    expected = chunk(ours, batch, noise=noise)[1]
    batch["observation.image"] = batch.pop("observation.images.top")
    assert_same(again.predict_action_chunk(preprocess(batch), noise=noise), expected)
    assert LibPi0Policy.from_pretrained(tmp_path, threads=1).config.threads == 1


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ({"task": ["a"]}, "has none of them"),
        ({OBS_STATE: torch.zeros(2, 3), "task": ["a"]}, "1 tasks, expected 2"),
        (
            {OBS_STATE: torch.zeros(2, 3), "observation.images.top": torch.zeros(1, 3, 8, 8)},
            "observation.state of 2",
        ),
        ({OBS_STATE: torch.zeros(1, 3), "task": ["a"]}, "camera|image"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch: dict[str, Any], sentence: str) -> None:
    policy = Ours(ROOT / "testdata" / CHECKPOINTS[0]).policy
    with pytest.raises(libpi0.InvalidInputError, match=sentence):
        policy.select_action(batch)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "expected one of them"),
        ({"checkpoint": "a", "server": "ws://b"}, "expected one of them"),
        ({"n_action_steps": 6}, "n_action_steps is 6, expected 1 to 5"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(
    settings: dict[str, Any], sentence: str
) -> None:
    if "n_action_steps" in settings:
        settings = {"checkpoint": str(ROOT / "testdata" / CHECKPOINTS[0]), **settings}
    with pytest.raises(libpi0.InvalidInputError, match=sentence):
        LibPi0Policy(LibPi0Config(options=OPTIONS, **settings))
