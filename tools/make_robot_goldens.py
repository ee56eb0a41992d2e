"""Makes testdata/robots: openpi's messages, and what openpi's own transforms make of them.

    python tools/make_robot_goldens.py OPENPI        # a checkout of openpi (its src/openpi)

Needs openpi-client 0.1.2 (its msgpack_numpy packs every message), einops and safetensors. openpi's
policies, transforms and their order (training/config.py, policies/policy.py) are run as they are;
what they import and do not need for that (jax, the model, the tokenizer) is replaced by nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import numpy as np
from openpi_client import msgpack_numpy
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent.parent / "testdata" / "robots"
WIDTH = 32  # of the network's state and actions
HORIZON = 3
SIDES = (5, 7)  # height, width


def import_openpi(checkout: Path) -> types.SimpleNamespace:
    """Its modules, from its sources."""
    for name in ("jax", "openpi.models", "openpi.models.model", "openpi.models.tokenizer",
                 "openpi.shared.array_typing", "openpi.shared.normalize"):
        sys.modules[name] = mock.MagicMock()
    # Of flax, for trees of one level, which is all that Normalize is given here.
    flat = types.SimpleNamespace(
        flatten_dict=lambda tree, sep: dict(tree), unflatten_dict=lambda tree, sep: dict(tree)
    )
    sys.modules["flax"] = mock.MagicMock(traverse_util=flat)
    sys.modules["flax.traverse_util"] = flat
    sys.path.insert(0, str(checkout / "src"))
    from openpi import transforms
    from openpi.policies import aloha_policy, droid_policy, libero_policy

    return types.SimpleNamespace(
        transforms=transforms, aloha=aloha_policy, droid=droid_policy, libero=libero_policy,
        pi0=droid_policy._model.ModelType.PI0,
    )


def draw_image(generator: np.random.Generator, dtype: str, channels_first: bool) -> np.ndarray:
    """Floats are any in [0, 1], those that 8 bits have, and those just below them, whose product
    with 255 is rounded up before it is cut where they are float16."""
    shape = (3, *SIDES) if channels_first else (*SIDES, 3)
    eight_bits = generator.integers(0, 256, shape, dtype=np.uint8)
    if dtype == "u1":
        return eight_bits
    of_pixels = (eight_bits / 255).astype(dtype)
    below = np.nextafter(of_pixels, np.zeros((), dtype))
    image = np.choose(generator.integers(0, 3, shape), (generator.random(shape), of_pixels, below))
    image.flat[:2] = 0, 1
    return image.astype(dtype)


def draw_statistics(generator: np.random.Generator, dims: int) -> dict[str, list[float]]:
    numbers = generator.uniform(0.1, 1, (2, dims)).astype(np.float32)
    return {"mean": (numbers[0] - 0.5).tolist(), "std": numbers[1].tolist()}


def cases(generator: np.random.Generator) -> dict[str, dict[str, Any]]:
    """A request, and how the robot's policy is configured, of each."""

    def image(dtype: str, channels_first: bool) -> np.ndarray:
        return draw_image(generator, dtype, channels_first)

    aloha_state = generator.uniform(-1, 1, 14)
    aloha_state[[6, 13]] = 0.31, 0.77  # grippers, from 0 to 1
    cameras = ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")
    return {
        "aloha": {
            "robot": "aloha", "adapt_to_pi": True, "delta": (6, -1, 6, -1), "action_dims": 14,
            "request": {"state": aloha_state, "images": {name: image("u1", True) for name in cameras},
                        "prompt": "open the drawer"},
        },
        "aloha_as_it_is": {
            "robot": "aloha", "action_dims": 16,
            "request": {"state": aloha_state.astype(">f4"),
                        "images": {"cam_high": image("f4", True), "cam_right_wrist": image("f8", True)}},
        },
        "libero": {
            "robot": "libero", "delta": (6, -1), "action_dims": 9,
            "request": {"observation/image": image("u1", False),
                        "observation/wrist_image": image("u1", True),
                        "observation/state": generator.uniform(-1, 1, 8),
                        "prompt": np.str_("stack the bowls")},
        },
        "libero_floats": {
            "robot": "libero", "action_dims": 7,
            "request": {"observation/image": image("f2", False),
                        "observation/wrist_image": image("<f4", True),
                        "observation/state": generator.uniform(-1, 1, 8).astype(np.float32),
                        "prompt": "Öffne die Schublade"},
        },
        "droid": {
            "robot": "droid", "action_dims": 8,
            "request": {"observation/exterior_image_1_left": image("u1", False),
                        "observation/wrist_image_left": image("f8", False),
                        "observation/joint_position": generator.uniform(-1, 1, 7),
                        "observation/gripper_position": generator.uniform(0, 1, 1),
                        "prompt": b"put the marker in the cup"},
        },
        "droid_positions": {
            "robot": "droid", "delta": (7, -1), "action_dims": 8,
            "request": {"observation/exterior_image_1_left": image(">f4", True),
                        "observation/wrist_image_left": image("u1", True),
                        "observation/joint_position": generator.uniform(-1, 1, 7).astype(np.float32),
                        "observation/gripper_position": np.float64(0.25)},
        },
    }  # fmt: skip


def transforms_of(openpi: types.SimpleNamespace, case: dict[str, Any]) -> tuple[list, list]:
    """Of the inputs and of the outputs, in openpi's order."""
    statistics = {
        key: types.SimpleNamespace(**{name: np.array(v) for name, v in of.items()})
        for key, of in case["norm_stats"].items()
    }
    if case["robot"] == "aloha":
        adapt = case.get("adapt_to_pi", False)
        inputs = [openpi.aloha.AlohaInputs(adapt_to_pi=adapt)]
        outputs = [openpi.aloha.AlohaOutputs(adapt_to_pi=adapt)]
    elif case["robot"] == "libero":
        inputs = [openpi.libero.LiberoInputs(model_type=openpi.pi0)]
        outputs = [openpi.libero.LiberoOutputs()]
    else:
        inputs = [openpi.droid.DroidInputs(model_type=openpi.pi0)]
        outputs = [openpi.droid.DroidOutputs()]
    group = openpi.transforms.Group(inputs=inputs, outputs=outputs)
    if "delta" in case:
        mask = openpi.transforms.make_bool_mask(*case["delta"])
        group = group.push(
            inputs=[openpi.transforms.DeltaActions(mask)],
            outputs=[openpi.transforms.AbsoluteActions(mask)],
        )
    return (
        [
            openpi.transforms.InjectDefaultPrompt("do what you were trained for"),
            *group.inputs,
            openpi.transforms.Normalize(statistics),
        ],
        [openpi.transforms.Unnormalize(statistics), *group.outputs],
    )


def run_case(openpi: types.SimpleNamespace, name: str, case: dict[str, Any],
             generator: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, Any]]:  # fmt: skip
    """What is stored of it: tensors, and what JSON can say."""
    message = msgpack_numpy.packb(case["request"])
    state_dims = 14 if case["robot"] == "aloha" else 8
    case["norm_stats"] = {
        "state": draw_statistics(generator, state_dims),
        "actions": draw_statistics(generator, case["action_dims"]),
    }
    inputs, outputs = transforms_of(openpi, case)
    data = openpi.transforms.compose(inputs)(msgpack_numpy.unpackb(message))
    data = openpi.transforms.PadStatesAndActions(WIDTH)(data)
    prompt = data["prompt"] if isinstance(data["prompt"], str) else data["prompt"].item()
    predicted = generator.normal(0, 1, (HORIZON, WIDTH)).astype(np.float32)
    finished = openpi.transforms.compose(outputs)(
        {"state": data["state"].astype(np.float32), "actions": predicted.copy()}
    )
    tensors = {f"{name}.request": np.frombuffer(message, np.uint8)}
    for camera, image in data["image"].items():
        if data["image_mask"][camera]:
            tensors[f"{name}.image.{camera}"] = np.ascontiguousarray(image)
            assert image.dtype == np.uint8
    said = {
        "robot": case["robot"],
        "adapt_to_pi": case.get("adapt_to_pi", False),
        "delta_mask": ",".join(map(str, case.get("delta", ()))),
        "norm_stats": case["norm_stats"],
        "cameras": [camera for camera, is_there in data["image_mask"].items() if is_there],
        "prompt": prompt,
        "normalised_state": data["state"][:state_dims].tolist(),
        "model_actions": predicted.tolist(),
        "actions": finished["actions"].tolist(),
    }
    return tensors, said


def types_message() -> tuple[bytes, dict[str, list[float]]]:
    """An array of each numeric type and byte order, and its numbers."""
    arrays = {}
    for order in "<>":
        for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
            info = np.iinfo(kind)
            numbers = np.array([info.min, 0, 1, 77, info.max // 3, info.max], dtype=kind)
            arrays[order + kind] = numbers.astype(order + kind).reshape(2, 3)
        for kind in ("f2", "f4", "f8"):
            info = np.finfo(kind)
            least = float(info.smallest_subnormal) if kind == "f2" else 1e-30
            most = float(info.max) if kind != "f8" else 1e30
            numbers = np.array([-1.5, 0, least, 0.1, 1 / 3, most])
            arrays[order + kind] = numbers.astype(order + kind).reshape(2, 3)
    arrays["|b1"] = np.array([[True, False, True], [False, False, True]])
    arrays["columns first"] = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    arrays["each second"] = np.arange(12, dtype=np.int16).reshape(2, 6)[:, ::2]
    arrays["no sides"] = np.array(2.5)
    arrays["nothing"] = np.zeros((0, 3), np.float32)
    message = msgpack_numpy.packb(arrays)
    return message, {name: array.ravel().astype(float).tolist() for name, array in arrays.items()}


def values_message() -> bytes:
    """Every other value that there is; value_test.cc says them again."""
    return msgpack_numpy.packb(
        {
            "float16": np.float16(0.1), "float32": np.float32(0.1), "float64": np.float64(0.1),
            "int8": np.int8(-3), "uint64": np.uint64(2**64 - 1), "bool_": np.bool_(True),
            "str_": np.str_("öffne"), "bytes_": np.bytes_(b"open"),
            "text": "Öffne die 🤖", "long text": "ab" * 40, "bytes": b"\x00\xff",
            "texts little": np.array("Öffne die 🤖", dtype="<U"), "texts big": np.array("Öffne", dtype=">U9"),
            "no text": np.array("", dtype="<U1"), "two texts": np.array(["a", "b"]),
            "none": None, "true": True, "false": False,
            "integers": [0, 127, 128, 255, 256, 65536, 2**32, 2**63 - 1, 2**63, 2**64 - 1],
            "negative": [-1, -32, -33, -129, -32769, -(2**31) - 1, -(2**63)],
            "float": 0.1, "nan": float("nan"), "infinite": np.array([np.inf, -np.inf], np.float32),
            "beyond": np.array([1e300]), "task": ["fold the shirt"],
            "map": {"a": {"b": (1, [2.5])}}, b"bytes for a key": 1,
        }
    )  # fmt: skip


def str_keys_message() -> bytes:
    """As clients in other languages pack an array and a scalar."""
    array = {"__ndarray__": True, "data": b"\x01\x02", "dtype": "|u1", "shape": [2]}
    return msgpack.packb({"array": array, "scalar": {"__npgeneric__": True, "data": 1.5, "dtype": "<f8"}})


def written_message() -> bytes:
    """What encode_test.cc writes."""
    return msgpack_numpy.packb(
        {
            "actions": np.arange(6, dtype=np.float32).reshape(3, 2) / 4,
            "image": np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
            "policy_timing": {"infer_ms": 12.5, "prev_total_ms": 13.0},
            "texts": ["a", "ö" * 20, "b" * 300],
            "integers": [0, 127, 128, -1, -33, 70000, -(2**63), 2**64 - 1],
            "none": None, "true": True, "false": False, "bytes": b"\x00\x01",
            "map": {},
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("openpi", type=Path, help="a checkout of openpi")
    openpi = import_openpi(parser.parse_args().openpi)
    generator = np.random.default_rng(21)
    tensors, said = {}, {}
    for name, case in cases(generator).items():
        of_case, said[name] = run_case(openpi, name, case, generator)
        tensors |= of_case
    OUT.mkdir(exist_ok=True)
    save_file(tensors, OUT / "requests.safetensors", {"cases": json.dumps(said)})
    types, numbers = types_message()
    messages = {
        "types": types, "values": values_message(), "str_keys": str_keys_message(),
        "written": written_message(),
    }  # fmt: skip
    save_file(
        {name: np.frombuffer(message, np.uint8) for name, message in messages.items()},
        OUT / "messages.safetensors",
        {"numbers": json.dumps(numbers)},
    )


if __name__ == "__main__":
    main()
