#!/usr/bin/env python3
"""Feeds replay_on_mock.py recordings that a card would refuse, and one that it would not.

Run it in the Python that has TTNN's wheel; exit status 77 where there is none.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from ttnn_mock.runtime import WHAT_IT_NEEDS, TtnnMissing, find_package

TOOL = Path(__file__).resolve().with_name("replay_on_mock.py")
COMPUTE = {
    "compute.math_fidelity": "HiFi2",
    "compute.math_approx_mode": False,
    "compute.fp32_dest_acc_en": True,
    "compute.packer_l1_acc": True,
}


def tile_up(n: int) -> int:
    return -(-n // 32) * 32


class Recording:
    """As the recording shim makes it."""

    def __init__(self) -> None:
        self.operations: list[dict[str, Any]] = []
        self._next = 0

    def tensor(self, shape: list[int], **changes: Any) -> dict[str, Any]:
        self._next += 1
        operand = {
            "id": self._next,
            "buffer": self._next,
            "shape": shape,
            "dtype": "bfloat16",
            "layout": "tile",
            "placement": "dram",
        } | changes
        tiled = operand["layout"] == "tile"
        padded = [*shape[:2], tile_up(shape[2]), tile_up(shape[3])] if tiled else shape
        return operand | {"padded_shape": padded}

    def call(
        self,
        name: str,
        inputs: list[dict[str, Any]],
        outputs: list[dict[str, Any]],
        circular_buffer_bytes: int | None = None,
        **attributes: Any,
    ) -> list[dict[str, Any]]:
        operation = {"name": name, "where": "device", "component": "test", "index": 0}
        operation |= {"inputs": inputs, "outputs": outputs, "attributes": attributes}
        if circular_buffer_bytes is not None:
            operation["circular_buffer_bytes"] = circular_buffer_bytes
        self.operations.append(copy.deepcopy(operation))
        return outputs

    def linear(self, x: dict[str, Any], placement: str = "l1", **changes: Any) -> dict[str, Any]:
        """[1, 1, 50, 1024] x [1024, 2048] on 8 x 8 cores: 64 columns of tiles, one each."""
        weight = self.tensor([1, 1, 1024, 2048], dtype="bfloat8_b")
        out = self.tensor([1, 1, 50, 2048], placement=placement)
        config = {
            "one_dimension": True,
            "grid": [8, 8],
            "in0_block_w": 8,
            "out_subblock_h": 2,
            "out_subblock_w": 1,
            "out_block_h": 2,
            "out_block_w": 1,
            "per_core_M": 2,
            "per_core_N": 1,
        } | changes
        attributes = {f"program_config.{name}": value for name, value in config.items()}
        # in0 and in1 twice, the output, and its partial sums in fp32.
        needed = 2 * 2 * 8 * 2048 + 2 * 8 * 1088 + 2 * 2048 + 2 * 4096
        attributes |= {"activation": "gelu", **COMPUTE}
        self.call("ttnn.linear", [x, weight], [out], needed, **attributes)
        return out

    def add_to(self, x: dict[str, Any]) -> dict[str, Any]:
        """x + x, into x."""
        self._next += 1
        result = x | {"id": self._next}
        self.call("ttnn.add", [x, x], [result], 3 * 2 * 2048, output=x["id"])
        return result

    def attention(self, mask_keys: int = 928) -> dict[str, Any]:
        q = self.tensor([1, 8, 50, 256])
        k, v = self.tensor([1, 1, 928, 256]), self.tensor([1, 1, 928, 256])
        mask = self.tensor([1, 1, 50, mask_keys])
        out = self.tensor([1, 8, 50, 256])
        self.call(
            "ttnn.transformer.scaled_dot_product_attention",
            [q, k, v, mask],
            [out],
            scale=0.0625,
            grid=[8, 8],
            q_chunk_size=32,
            k_chunk_size=128,
            exp_approx_mode=False,
            **COMPUTE,
        )
        return out


class ReplayTest(unittest.TestCase):
    def replay(self, recording: Recording, card: str = "n150") -> tuple[int, str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            calls, report = Path(folder, "calls.json"), Path(folder, "report.json")
            calls.write_text(json.dumps({"operations": recording.operations}))
            done = subprocess.run(
                [sys.executable, TOOL, calls, "--card", card, "--json", report],
                capture_output=True,
                text=True,
                check=False,
            )
            found = json.loads(report.read_text()) if report.exists() else {}
            return done.returncode, done.stdout + done.stderr, found

    def refuse(self, recording: Recording, *said: str, card: str = "n150") -> None:
        status, output, report = self.replay(recording, card)
        self.assertEqual(status, 1, output)
        for words in said:
            self.assertIn(words, output)
            self.assertIn(words, report["refusal"])

    def test_accepts_what_a_card_would(self) -> None:
        for card in ("n150", "p150"):
            recording = Recording()
            x = recording.tensor([1, 1, 50, 1024], placement="l1")
            y = recording.linear(x)
            recording.call("deallocate", [x], [])
            recording.add_to(y)
            recording.attention()
            status, output, report = self.replay(recording, card)
            self.assertEqual(status, 0, output)
            self.assertEqual(report["calls"], 3)
            self.assertEqual(report["compared"], 2)
            self.assertEqual(report["recorded_more"]["value"], 0, output)
            self.assertEqual(report["recorded_less"]["value"], 0, output)
            self.assertIn("scaled_dot_product_attention runs BinaryNg", report["detours"])

    def test_tells_how_far_the_recorded_circular_buffers_are_off(self) -> None:
        recording = Recording()
        recording.linear(recording.tensor([1, 1, 50, 1024]))
        recording.operations[0]["circular_buffer_bytes"] -= 1000
        self.refuse(recording, "operations[0] (linear", "1000 bytes of its circular buffers")
        recording.operations[0]["circular_buffer_bytes"] += 3000
        status, output, report = self.replay(recording)
        self.assertEqual(status, 0, output)
        self.assertEqual(report["recorded_more"]["value"], 2000, output)

    def test_refuses_tensors_in_l1_that_nobody_reads(self) -> None:
        recording = Recording()
        recording.linear(recording.tensor([1, 1, 50, 1024]))
        # The result's tiles, two a core, and a tile that no call reads.
        for recorded, expected in ((2 * 2048, 0), (3 * 2048, 1)):
            recording.operations[0]["l1_bytes_per_core"] = recorded
            status, output, _ = self.replay(recording)
            self.assertEqual(status, expected, output)
        self.refuse(recording, "operations[0] (linear", "off by 2048 bytes a core")

    def test_knows_a_view_that_was_recorded_as_a_copy(self) -> None:
        recording = Recording()
        x = recording.tensor([3, 1, 32, 1024], placement="l1")
        y = recording.tensor([1, 1, 96, 1024], placement="l1")
        recording.call("ttnn.reshape", [x], [y], 4096)
        recording.call("deallocate", [x], [])
        recording.add_to(y)  # still there
        status, output, report = self.replay(recording)
        self.assertEqual(status, 0, output)
        self.assertEqual(report["views_recorded_as_copies"], 1)
        self.assertEqual(report["peak_tensors"]["value"], 2 * 2048)  # 96 tiles on 64 cores

    def test_writes_into_what_no_call_made_or_read(self) -> None:
        recording = Recording()
        zeros, row = recording.tensor([1, 1, 50, 928]), recording.tensor([1, 1, 1, 928])
        mask = recording.tensor([1, 1, 50, 928])
        written = recording.tensor([1, 1, 50, 928], buffer=mask["buffer"])
        recording.call("ttnn.add", [zeros, row], [written], output=mask["id"])
        status, output, report = self.replay(recording)
        self.assertEqual(status, 0, output)
        self.assertEqual(report["calls"], 1)

    def test_refuses_a_mask_of_the_wrong_size(self) -> None:
        recording = Recording()
        recording.attention(mask_keys=896)
        self.refuse(recording, "operations[0] (scaled_dot_product_attention", "match K sequence")

    def test_refuses_row_major_into_linear(self) -> None:
        recording = Recording()
        recording.linear(recording.tensor([1, 1, 50, 1024], layout="row_major"))
        self.refuse(recording, "operations[0] (linear", "must be tilized")

    def test_refuses_a_block_that_does_not_divide(self) -> None:
        recording = Recording()
        recording.linear(recording.tensor([1, 1, 50, 1024]), in0_block_w=5)
        self.refuse(recording, "divisible by in0_block_w")

    def test_refuses_circular_buffers_beyond_l1(self) -> None:
        """TTNN itself takes this one on the mock; a card would not."""
        recording = Recording()
        x = recording.tensor([1, 1, 50, 1024])
        changes = {"per_core_M": 2, "per_core_N": 64, "out_block_w": 64}
        recording.linear(x, in0_block_w=32, **changes)
        self.refuse(recording, "its circular buffers need")

    def test_refuses_circular_buffers_that_meet_tensors(self) -> None:
        recording = Recording()
        for _ in range(5):  # 256 KiB of each core each
            kept = recording.tensor([1, 1, 4096, 2048], placement="l1")
            recording.add_to(kept)
        recording.linear(recording.tensor([1, 1, 50, 1024]))
        self.refuse(recording, "operations[5] (linear", "bytes of tensors")

    def test_refuses_what_fits_the_mock_but_not_the_card(self) -> None:
        """8192 tiles are 69 a core on the mock's 120 cores, 75 on the 110 of a p150."""
        recording = Recording()
        for _ in range(9):
            kept = recording.tensor([1, 1, 4096, 2048], placement="l1")
            recording.add_to(kept)
        recording.linear(recording.tensor([1, 1, 50, 1024]), "dram")
        self.refuse(recording, "operations[9] (linear", "1382400 bytes of tensors", card="p150")

    def test_refuses_l1_that_is_full(self) -> None:
        recording = Recording()
        for _ in range(6):
            kept = recording.tensor([1, 1, 4096, 2048], placement="l1")
            recording.add_to(kept)
        self.refuse(recording, "operations[5] (add", "Out of Memory")

    def test_refuses_use_after_free(self) -> None:
        recording = Recording()
        x = recording.tensor([1, 1, 50, 1024])
        recording.linear(x)
        recording.call("deallocate", [x], [])
        recording.linear(x)
        self.refuse(recording, "operations[2] (linear", "used after it was freed")

    def test_refuses_a_result_that_is_not_the_recorded_one(self) -> None:
        recording = Recording()
        recording.linear(recording.tensor([1, 1, 50, 1024]))
        recording.operations[0]["outputs"][0]["shape"] = [1, 1, 64, 2048]
        self.refuse(recording, "recorded is {'shape': [1, 1, 64, 2048]}")

    def test_refuses_an_operation_that_it_does_not_know(self) -> None:
        recording = Recording()
        x = recording.tensor([1, 1, 50, 1024])
        recording.call("ttnn.softmax", [x], [x])
        self.refuse(recording, "no call of TTNN is known")


class RootTest(unittest.TestCase):
    def lay_out(self, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, TOOL.parent / "ttnn_mock/runtime.py", folder],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_lays_out_a_root_and_keeps_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "new/root")
            done = self.lay_out(root)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"export TT_METAL_RUNTIME_ROOT={root}\n")
            for name in ("tt_metal", "runtime/hw", "runtime/sfpi/compiler/bin/riscv-tt-elf-g++"):
                self.assertTrue((root / name).exists(), name)
            again = self.lay_out(root)
            self.assertEqual(again.returncode, 1)
            self.assertIn("is not empty", again.stderr)


if __name__ == "__main__":
    try:
        find_package()
    except TtnnMissing as missing:
        print(f"SKIPPED: needs {WHAT_IT_NEEDS}; {missing}")
        sys.exit(77)
    unittest.main()
