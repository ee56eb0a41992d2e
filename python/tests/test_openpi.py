"""``libpi0.openpi.Policy`` among openpi's own parts: its server, its client, its transforms.

PI0_OPENPI_SOURCE names a checkout of openpi, whose server and transforms are run as they are.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import libpi0
from libpi0.openpi import Policy

pytest.importorskip("openpi_client", reason="pip install openpi-client")
pytest.importorskip("websockets", reason="pip install websockets")
from openpi_client import action_chunk_broker, base_policy, msgpack_numpy  # noqa: E402
from openpi_client.websocket_client_policy import WebsocketClientPolicy  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "testdata/golden/openpi_pi0"
TOKENIZER = ROOT / "examples/policy/tokenizer.model"
REQUESTS = ROOT / "testdata/robots/requests.safetensors"


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source() -> Path:
    named = os.environ.get("PI0_OPENPI_SOURCE")
    if not named:
        pytest.skip("set PI0_OPENPI_SOURCE to a checkout of github.com/Physical-Intelligence/openpi")
    return Path(named)


@pytest.fixture(scope="module")
def openpi(source: Path) -> tuple[ModuleType, SimpleNamespace]:
    """tools/make_robot_goldens.py, and openpi's transforms, robots' policies and examples by it."""
    pytest.importorskip("einops", reason="pip install einops")
    pytest.importorskip("safetensors", reason="pip install safetensors")
    made = load("make_robot_goldens", ROOT / "tools/make_robot_goldens.py")
    return made, made.import_openpi(source)


def requests() -> tuple[dict[str, Any], dict[str, Any]]:
    """testdata/robots: per case what openpi made of it, and its tensors."""
    safetensors = pytest.importorskip("safetensors", reason="pip install safetensors")
    with safetensors.safe_open(REQUESTS, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return json.loads(file.metadata()["cases"]), tensors


def configured(folder: Path, case: dict[str, Any]) -> Path:
    """The golden checkpoint, with a case's statistics and settings."""
    shutil.copytree(GOLDEN, folder, copy_function=os.link)
    for name in ("assets/my_robot/norm_stats.json", "pi0.json"):
        (folder / name).unlink(missing_ok=True)
    (folder / "assets/my_robot/norm_stats.json").write_text(
        json.dumps({"norm_stats": case["norm_stats"]})
    )
    settings = {"adapt_to_pi": case["adapt_to_pi"], "delta_mask": case["delta_mask"]}
    (folder / "pi0.json").write_text(json.dumps({k: v for k, v in settings.items() if v != ""}))
    return folder


def draw_noise(policy: libpi0.Policy, seed: int = 0) -> Any:
    network = policy.info["network"]
    size = network["action_horizon"], network["action_dim"]
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of LIBERO: states of 8 values."""
    return configured(tmp_path_factory.mktemp("libero") / "checkpoint", requests()[0]["libero"])


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> Policy:
    return Policy(
        checkpoint, robot="libero", device="reference", tokenizer=TOKENIZER,
        metadata={"task": "demo"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def port(source: Path, policy: Policy) -> Iterator[int]:
    """openpi's WebsocketPolicyServer, on a thread."""
    module = load("openpi_server", source / "src/openpi/serving/websocket_policy_server.py")
    server = module.WebsocketPolicyServer(policy, host="127.0.0.1", metadata=policy.metadata)
    loop = asyncio.new_event_loop()
    started: list[int] = []
    ready = threading.Event()

    async def run() -> None:
        # Its run() does not tell the port that the system chose.
        made = module._server.serve(
            server._handler, "127.0.0.1", 0, compression=None, max_size=None,
            process_request=module._health_check,
        )  # fmt: skip
        async with made as listening:
            started.append(next(iter(listening.sockets)).getsockname()[1])
            ready.set()
            await asyncio.Event().wait()

    task = loop.create_task(run())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
    thread.start()
    assert ready.wait(10)
    yield started[0]
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)


def libero_observation(seed: int = 1) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        "observation/state": generator.random(8),
        "observation/image": generator.integers(256, size=(224, 224, 3), dtype=np.uint8),
        "observation/wrist_image": generator.integers(256, size=(224, 224, 3), dtype=np.uint8),
        "prompt": "do something",
    }


class FixedNoise:
    """openpi's server gives no noise to a policy: a call's is drawn here, the same each time."""

    def __init__(self, policy: Policy) -> None:
        self._infer = policy.infer
        self._noise = draw_noise(policy.policy)

    def __call__(self, obs: dict[str, Any]) -> dict[str, Any]:
        return self._infer(obs, noise=self._noise)


def test_it_is_a_policy_of_openpi(policy: Policy) -> None:
    assert isinstance(policy, base_policy.BasePolicy)


def test_openpis_broker_hands_out_row_by_row(policy: Policy) -> None:
    noise = draw_noise(policy.policy)
    fixed = Policy(
        policy.policy._made_of[0], robot="libero", device="reference", tokenizer=TOKENIZER,
        sample_kwargs={"noise": noise},
    )  # fmt: skip
    broker = action_chunk_broker.ActionChunkBroker(fixed, action_horizon=3)
    expected = policy.infer(libero_observation(), noise=noise)["actions"]
    for row in (0, 1, 2, 0):
        np.testing.assert_array_equal(broker.infer(libero_observation())["actions"], expected[row])
    broker.reset()


def test_openpis_client_gets_our_actions_from_openpis_server(
    checkpoint: Path, policy: Policy, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "infer", FixedNoise(policy))
    client = WebsocketClientPolicy("127.0.0.1", port)
    assert client.get_server_metadata() == {"task": "demo"}
    alone = libpi0.Policy(checkpoint, robot="libero", device="reference", tokenizer=TOKENIZER)
    for seed in (1, 2):
        observation = libero_observation(seed)
        served = client.infer(observation)
        client.reset()
        expected = alone.infer(observation, noise=draw_noise(alone))["actions"]
        assert served["actions"].dtype == np.float32
        np.testing.assert_array_equal(served["actions"], expected)
        assert served["policy_timing"]["infer_ms"] > 0
        assert served["server_timing"]["infer_ms"] >= served["policy_timing"]["infer_ms"]


def test_what_is_wrong_reaches_the_client_as_openpis_does(port: int) -> None:
    observation = libero_observation()
    del observation["observation/wrist_image"]
    with pytest.raises(RuntimeError, match="Error in inference server") as raised:
        WebsocketClientPolicy("127.0.0.1", port).infer(observation)
    assert "libpi0._errors.InvalidInputError" in str(raised.value)
    assert "observation/wrist_image" in str(raised.value)
    # The server goes on.
    assert WebsocketClientPolicy("127.0.0.1", port).infer(libero_observation())["actions"].size


@pytest.mark.parametrize(
    "robot, delta, adapt, dims",
    [("libero", (6, -1), False, 7), ("aloha", (6, -1, 6, -1), True, 14), ("droid", (7, -1), False, 8)],
)
def test_openpis_examples_go_the_way_of_openpis_transforms(
    tmp_path: Path, openpi: tuple[ModuleType, SimpleNamespace], robot: str, delta: tuple[int, ...], adapt: bool, dims: int
) -> None:
    """openpi's transforms around our bare network give what libpi0.openpi.Policy gives."""
    made, modules = openpi
    np.random.seed(7)
    example = getattr(getattr(modules, robot), f"make_{robot}_example")()
    generator = np.random.default_rng(8)
    state_dims = 14 if robot == "aloha" else 8
    case = {
        "robot": robot, "delta": delta, "adapt_to_pi": adapt,
        "delta_mask": ",".join(map(str, delta)),
        "norm_stats": {"state": made.draw_statistics(generator, state_dims),
                       "actions": made.draw_statistics(generator, dims)},
    }  # fmt: skip
    checkpoint = configured(tmp_path / "checkpoint", case)
    policy = Policy(checkpoint, robot=robot, device="reference", tokenizer=TOKENIZER)
    noise = draw_noise(policy.policy)
    actions = policy.infer(example, noise=noise)["actions"]
    assert actions.shape == (noise.shape[0], dims)

    inputs, outputs = made.transforms_of(modules, case)
    data = modules.transforms.compose(inputs)(example)
    bare = tmp_path / "bare"  # no statistics, no transforms: the network's own units
    shutil.copytree(GOLDEN, bare, ignore=shutil.ignore_patterns("assets", "pi0.json"))
    network = libpi0.Policy(bare, device="reference", tokenizer=TOKENIZER, raw=True)
    keys = network.info["image_keys"]
    given = {
        **{key: image for key in keys for camera, image in data["image"].items()
           if key.endswith(camera) and data["image_mask"][camera]},
        network.info["state_keys"][0]: data["state"].astype(np.float32),
        network.info["prompt_key"]: str(data["prompt"]),
    }  # fmt: skip
    predicted = network.infer(given, noise=noise)["actions"]
    expected = modules.transforms.compose(outputs)(
        {"state": data["state"].astype(np.float32), "actions": np.array(predicted)}
    )["actions"]
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["aloha", "aloha_as_it_is", "libero", "libero_floats", "droid", "droid_positions"]
)
def test_recorded_messages_are_what_openpis_transforms_made_of_them(
    tmp_path: Path, name: str
) -> None:
    """testdata/robots: a robot's message, and openpi's own pixels and prompt under plain keys."""
    cases, tensors = requests()
    case = cases[name]
    request = msgpack_numpy.unpackb(tensors[f"{name}.request"].tobytes())
    checkpoint = configured(tmp_path / "checkpoint", case)
    options: dict[str, Any] = {"device": "reference", "tokenizer": TOKENIZER}
    policy = Policy(
        checkpoint, robot=case["robot"], default_prompt="do what you were trained for", **options
    )
    noise = draw_noise(policy.policy)
    actions = policy.infer(request, noise=noise)["actions"]

    plain = libpi0.Policy(checkpoint, **options)
    state_keys = [key for key in policy.policy.info["state_keys"]]
    given: dict[str, Any] = {
        plain.info["state_keys"][0]: np.concatenate(
            [np.atleast_1d(np.asarray(request[key], np.float32)) for key in state_keys]
        ),
        plain.info["prompt_key"]: case["prompt"],
    }
    for camera in case["cameras"]:
        (key,) = (key for key in plain.info["image_keys"] if key.endswith(camera))
        given[key] = tensors[f"{name}.image.{camera}"]
    expected = plain.infer(given, noise=noise)["actions"]
    np.testing.assert_array_equal(actions, expected[:, : actions.shape[1]])
    assert actions.shape[1] == len(case["actions"][0])
