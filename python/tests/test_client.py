"""``libpi0.Client`` of ``pi0 serve``, beside the same checkpoint in this process."""

from __future__ import annotations

import json
import pathlib
import pickle
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import TINY, serving

import libpi0

KEYS = {"images": {"eye": "base_0_rgb"}, "state": ["joints", "gripper"], "prompt": "say"}
HORIZON = 16  # of TINY


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(TINY, "--threads=1") as url:
        yield url


@pytest.fixture
def client(url: str) -> libpi0.Client:
    return libpi0.Client(url)


def test_a_served_chunk_is_the_policys(
    client: libpi0.Client, policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    served = client.infer(observation, seed=4, steps=3)
    np.testing.assert_array_equal(
        served["actions"], policy.infer(observation, seed=4, steps=3)["actions"]
    )
    assert served["server_timing"]["infer_ms"] > 0
    assert served["server_timing"]["round_trip_ms"] > served["server_timing"]["infer_ms"]
    assert client.info["image_keys"] == policy.info["image_keys"]
    assert json.loads(client.info["metadata"])["pi0"]["kind"] == policy.info["kind"]


def test_keys_are_those_that_the_server_tells(
    tmp_path: pathlib.Path, policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS))
    expected = policy.infer(observation, seed=4)["actions"]
    own = {
        "eye": observation["observation.images.base_0_rgb"],
        "joints": observation["observation.state"][:3],
        "gripper": observation["observation.state"][3:],
        "say": observation["task"],
    }
    with serving(TINY, f"--keys={keys}") as url:
        robots, lerobots = libpi0.Client(url), libpi0.Client(url, robot="none")
        assert robots.info["state_keys"] == ("joints", "gripper")
        assert lerobots.info["state_keys"] == ("observation.state",)
        for client, seen in ((robots, own), (lerobots, observation)):
            np.testing.assert_array_equal(client.infer(seen, seed=4)["actions"], expected)
            with pytest.raises(libpi0.InvalidInputError, match="no image, expected at least one"):
                client.infer(observation if client is robots else own)


def test_keys_that_the_checkpoint_renames_are_taken(
    tmp_path: pathlib.Path, policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    renaming = tmp_path / "renaming"
    shutil.copytree(TINY, renaming)
    pipeline = json.loads((renaming / "policy_preprocessor.json").read_text())
    pipeline["steps"][0]["config"]["rename_map"] = {
        "observation.images.base_0_rgb": "observation.images.unused",
        "observation.images.front": "observation.images.base_0_rgb",
        "observation.joints": "observation.state",
    }
    (renaming / "policy_preprocessor.json").write_text(json.dumps(pipeline))
    expected = policy.infer(observation, seed=4)["actions"]
    image, state = observation["observation.images.base_0_rgb"], observation["observation.state"]
    with serving(renaming, "--threads=1") as url:
        robots, lerobots = libpi0.Client(url), libpi0.Client(url, robot="none")
        assert robots.info["cameras"] == ("base_0_rgb",)
        assert robots.info["image_keys"] == ("observation.images.front",)
        for client, key in ((robots, "observation.joints"), (lerobots, "observation.state")):
            seen = {"observation.images.front": image, key: state, "task": observation["task"]}
            np.testing.assert_array_equal(client.infer(seen, seed=4)["actions"], expected)


def test_chunks_go_on_until_an_episode_begins(
    client: libpi0.Client, policy: libpi0.Policy, observation: dict[str, Any]
) -> None:
    policy.reset()
    rtc = libpi0.RealTimeChunking(executed=4, inference_delay=2)
    for _ in range(2):
        served = client.infer(observation, seed=5, rtc=rtc)
        here = policy.infer(observation, seed=5, rtc=rtc)
        np.testing.assert_array_equal(served["actions"], here["actions"])
    np.testing.assert_array_equal(served["seam"]["jump"], here["seam"]["jump"])
    client.reset()
    assert "seam" not in client.infer(observation, seed=5, rtc=rtc)


def test_a_client_that_was_pickled_connects_anew(
    client: libpi0.Client, observation: dict[str, Any]
) -> None:
    other = pickle.loads(pickle.dumps(client))
    np.testing.assert_array_equal(
        other.infer(observation, seed=1)["actions"], client.infer(observation, seed=1)["actions"]
    )


def test_threads_may_share_a_client(client: libpi0.Client, observation: dict[str, Any]) -> None:
    expected = [client.infer(observation, seed=seed)["actions"] for seed in range(4)]
    found: dict[int, Any] = {}

    def ask(seed: int) -> None:
        found[seed] = client.infer(observation, seed=seed)["actions"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        np.testing.assert_array_equal(found[seed], expected[seed])


def test_a_server_that_came_back_is_asked_again(observation: dict[str, Any]) -> None:
    with serving(TINY) as url:
        client = libpi0.Client(url, backoff_s=0.05, max_backoff_s=0.2, reconnects=100)
        expected = client.infer(observation, seed=2)["actions"]
    port = int(re.findall(r":(\d+)", url)[0])
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(client.infer(observation, seed=2)))
    asking.start()
    with serving(TINY, port=port):
        asking.join()
    np.testing.assert_array_equal(found[0]["actions"], expected)
    assert found[0]["server_timing"]["reconnects"] > 0


def test_what_goes_wrong_is_an_error_of_its_class(
    client: libpi0.Client, observation: dict[str, Any]
) -> None:
    state = observation["observation.state"]
    for wrong, sentence in (
        ({"observation.state": state[:2]}, "state: 2 values, expected 4"),
        ({"observation.state": np.full_like(state, np.nan)}, "(?i)state.*nan"),
        ({"observation.images.base_0_rgb": np.zeros((3, 3), np.uint8)}, r"base_0_rgb.*\[3, 3\]"),
    ):
        with pytest.raises(libpi0.InvalidInputError, match=sentence):
            client.infer(observation | wrong)
    limited = libpi0.RealTimeChunking(executed=4, max_jump=[0.0] * 4)
    client.infer(observation, seed=1, rtc=limited)
    with pytest.raises(libpi0.LimitError, match="jump"):
        client.infer(observation, seed=2, rtc=limited)
    assert client.infer(observation)["actions"].shape[0] == HORIZON  # it goes on
    with pytest.raises(libpi0.ServerError, match="nowhere"):
        libpi0.Client("ws://nowhere.invalid:1", reconnects=0, connect_timeout_s=2)
    with pytest.raises(libpi0.InvalidInputError, match="aloha"):
        libpi0.Client(client._made_of["url"], robot="alohomora")
