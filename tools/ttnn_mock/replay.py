"""Replays a recording, call by call, and holds each against what was recorded and the card's L1.

Each call is made twice. Once with real allocation: TTNN refuses wrong shapes, masks, layouts and
program configurations, what does not fit, and what has been freed. Once inside a graph capture
that dispatches nothing: it says what circular buffers the call's programs need, which TTNN of this
version compares with nothing before a program runs on a card.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ttnn_mock.calls import PROGRAMS, BadRecording, Calls, Operation
from ttnn_mock.circular_buffers import CallGraph, read_graph
from ttnn_mock.runtime import Runtime

TILE = 32
TILE_BYTES = {"bfloat16": 2048, "bfloat8_b": 1088, "bfloat4_b": 576, "float32": 4096}
L1_ALIGNMENT = 16
# There are no traces on the mock; what one consists of is recorded as it is captured.
IGNORED = {"ttnn.execute_trace"}


class ReplayError(Exception):
    """TTNN refuses a call or answers otherwise than recorded, or the card has no room for it."""


@dataclass
class Worst:
    """The largest of something, and the operation that it belongs to."""

    value: int = 0
    where: str = ""

    def see(self, value: int, where: str) -> None:
        if value > self.value:
            self.value, self.where = value, where


@dataclass
class Findings:
    calls: int = 0
    on_host: int = 0
    transfers: int = 0
    peak_l1: Worst = field(default_factory=Worst)  # tensors and circular buffers
    peak_tensors: Worst = field(default_factory=Worst)
    peak_circular_buffers: Worst = field(default_factory=Worst)
    # Of the recorded circular buffers from TTNN's: more is cautious, less accepts too much.
    compared: int = 0
    recorded_more: Worst = field(default_factory=Worst)
    recorded_less: Worst = field(default_factory=Worst)
    recorded_tensors_off: Worst = field(default_factory=Worst)  # in L1, per core, either way
    detours: dict[str, int] = field(default_factory=dict)
    views_recorded_as_copies: int = 0  # which need less memory than recorded


class Replay:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._calls = Calls(runtime)
        self._tensors: dict[int, Any] = {}  # by the recording's id
        self._ids: dict[int, set[int]] = {}  # of each buffer that is alive
        self._freed: set[int] = set()  # buffers
        # Of buffers in L1: where TTNN put it, and the operand that it was made as.
        self._in_l1: dict[int, tuple[int, dict[str, Any]]] = {}
        self.findings = Findings()

    def run(self, operations: list[Operation]) -> Findings:
        self._allocate_what_was_there(operations)
        for number, operation in enumerate(operations):
            where = _name(number, operation)
            try:
                self._step(operation, where)
            except BadRecording as error:
                raise ReplayError(f"{where}: {error}") from None
            except RuntimeError as error:  # as which all of TTNN's exceptions arrive
                raise ReplayError(f"{where}: TTNN refuses it: {_sentence(error)}") from None
        return self.findings

    def _allocate_what_was_there(self, operations: list[Operation]) -> None:
        """Before the recording began: weights, tables, inputs; all that no call makes."""
        made: set[int] = set()  # buffers
        for number, operation in enumerate(operations):
            written = _written(operation)
            for operand in operation["inputs"] + ([] if written is None else [written]):
                if operand["placement"] != "host" and operand["buffer"] not in made:
                    made.add(operand["buffer"])
                    try:
                        self._keep(self._calls.empty(operand), operand)
                    except (BadRecording, RuntimeError) as error:
                        raise ReplayError(
                            f"{_name(number, operation)}: tensor {operand['id']} cannot be "
                            f"allocated before the first call: {_sentence(error)}"
                        ) from None
            made.update(operand["buffer"] for operand in operation["outputs"])

    def _step(self, operation: Operation, where: str) -> None:
        name = operation["name"]
        if operation.get("where") == "host":
            self.findings.on_host += 1
        elif name == "deallocate":
            self._free(operation["inputs"][0]["buffer"])
        elif operation.get("where") == "transfer":
            self.findings.transfers += 1
            for operand in operation["inputs"]:
                if operand["placement"] != "host":
                    self._find(operand)
            for operand in operation["outputs"]:
                # What is written into stays where it is.
                if operand["placement"] != "host" and operand["buffer"] not in self._ids:
                    self._keep(self._calls.empty(operand), operand)
        elif self._calls.knows(name):
            self._call(operation, where)
        elif name not in IGNORED:
            raise BadRecording("no call of TTNN is known for it; add it to ttnn_mock/calls.py")

    def _call(self, operation: Operation, where: str) -> None:
        inputs = [self._find(operand) for operand in operation["inputs"]]
        written = _written(operation)
        output = None if written is None else self._find(written)
        made = self._calls.call(operation, inputs, output)
        graph = self._capture(operation, inputs, output)
        if len(made) != len(operation["outputs"]):
            raise BadRecording(
                f"TTNN gives {len(made)} tensors, recorded are {len(operation['outputs'])}"
            )
        for tensor, operand in zip(made, operation["outputs"]):
            if operand["buffer"] not in self._ids and _shares(tensor, inputs):
                self.findings.views_recorded_as_copies += 1
            self._keep(tensor, operand)
        self.findings.calls += 1
        self._check_l1(operation, graph, where)

    def _capture(self, operation: Operation, inputs: list[Any], output: Any) -> CallGraph:
        capture = self._runtime.ttnn.graph
        capture.begin_graph_capture(capture.RunMode.NO_DISPATCH)
        try:
            self._calls.call(operation, inputs, output)
        finally:
            nodes = capture.end_graph_capture()
        return read_graph(nodes)

    # ---- Tensors ----

    def _find(self, operand: dict[str, Any]) -> Any:
        tensor = self._tensors.get(operand["id"])
        if tensor is None:
            if operand["buffer"] in self._freed:
                raise BadRecording(f"tensor {operand['id']} is used after it was freed")
            # A view that was made before the recording began.
            ids = self._ids[operand["buffer"]]
            tensor = self._calls.view(self._tensors[max(ids)], operand)
            self._keep(tensor, operand)
        return tensor

    def _keep(self, tensor: Any, operand: dict[str, Any]) -> None:
        self._compare(tensor, operand)
        buffer = operand["buffer"]
        self._tensors[operand["id"]] = tensor
        if buffer not in self._ids:
            self._ids[buffer] = set()
            self._freed.discard(buffer)
            if operand["placement"] == "l1":
                self._in_l1[buffer] = (tensor.buffer_address(), operand)
        self._ids[buffer].add(operand["id"])

    def _free(self, buffer: int) -> None:
        for id_ in self._ids.pop(buffer, set()):
            del self._tensors[id_]  # TTNN frees the memory with the last tensor that shares it
        self._in_l1.pop(buffer, None)
        self._freed.add(buffer)

    def _compare(self, tensor: Any, operand: dict[str, Any]) -> None:
        found = {
            "shape": list(tensor.shape),
            "padded_shape": list(tensor.padded_shape),
            "dtype": _key_of(self._calls.data_types, tensor.dtype),
            "layout": _key_of(self._calls.layouts, tensor.layout),
            "placement": _key_of(self._calls.placements, tensor.memory_config()),
        }
        wrong = {what: found[what] for what in found if found[what] != operand[what]}
        if wrong:
            recorded = {what: operand[what] for what in wrong}
            raise BadRecording(f"TTNN's tensor has {wrong}, recorded is {recorded}")

    # ---- Memory ----

    def _check_l1(self, operation: Operation, graph: CallGraph, where: str) -> None:
        """Circular buffers grow from L1's lower end, tensors from its upper; they must not meet."""
        runtime, card, findings = self._runtime, self._runtime.card, self.findings
        counted = self._l1_of_tensors(runtime.l1_banks)
        if counted != runtime.l1_bytes_per_bank():
            raise ReplayError(
                f"{where}: TTNN has {runtime.l1_bytes_per_bank()} bytes of tensors in a bank of "
                f"L1, of which this tool knows {counted}"
            )
        tensors = self._l1_of_tensors(card.l1_banks)
        needed = graph.circular_buffer_bytes
        lowest = min(
            (address for address, _ in self._in_l1.values()), default=card.l1_base + card.l1_bytes
        )
        if tensors + needed > card.l1_bytes or card.l1_base + needed > lowest:
            raise ReplayError(
                f"{where}: its circular buffers need {needed} bytes of each core, beside "
                f"{tensors} bytes of tensors the lowest of which begins "
                f"{lowest - card.l1_base} bytes above them; {card.name} has {card.l1_bytes}"
            )
        findings.peak_l1.see(tensors + needed, where)
        findings.peak_tensors.see(tensors, where)
        findings.peak_circular_buffers.see(needed, where)
        detour = Counter(p.removesuffix("DeviceOperation") for p in graph.programs)
        for program in sorted(set(detour) - PROGRAMS[operation["name"]]):
            what = f"{_short(operation['name'])} runs {program}"
            findings.detours[what] = findings.detours.get(what, 0) + detour[program]
        recorded = operation.get("circular_buffer_bytes")
        if recorded is not None:
            findings.compared += 1
            findings.recorded_more.see(recorded - needed, where)
            findings.recorded_less.see(needed - recorded, where)
        recorded = operation.get("l1_bytes_per_core")
        if recorded is not None:
            findings.recorded_tensors_off.see(abs(recorded - tensors), where)

    def _l1_of_tensors(self, banks: int) -> int:
        # By address, since of some recorded copies TTNN makes a view.
        by_address = dict(self._in_l1.values())
        return sum(_bytes_per_bank(operand, banks) for operand in by_address.values())


def _written(operation: Operation) -> dict[str, Any] | None:
    """The tensor that it writes its result into: memory that was there before it."""
    id_ = operation.get("attributes", {}).get("output")
    return None if id_ is None else operation["outputs"][0] | {"id": id_}


def _bytes_per_bank(operand: dict[str, Any], banks: int) -> int:
    """Pages are dealt out to the banks in turn: tiles, or rows."""
    padded = operand["padded_shape"]
    if operand["layout"] == "tile":
        pages = math.prod(padded) // TILE**2
        page = TILE_BYTES[operand["dtype"]]
    else:
        pages = math.prod(padded[:-1])
        page = padded[-1] * (TILE_BYTES[operand["dtype"]] // TILE**2)
    return -(-pages // banks) * (-(-page // L1_ALIGNMENT) * L1_ALIGNMENT)


def _shares(tensor: Any, others: list[Any]) -> bool:
    return any(
        tensor.buffer_address() == other.buffer_address()
        and tensor.memory_config() == other.memory_config()
        for other in others
    )


def _key_of(table: dict[str, Any], value: Any) -> str:
    return next((key for key, entry in table.items() if entry == value), str(value))


def _name(number: int, operation: Operation) -> str:
    component = operation.get("component", "")
    part = f", {component} {operation.get('index', 0)}" if component else ""
    return f"operations[{number}] ({_short(operation['name'])}{part})"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _sentence(error: Exception) -> str:
    """TTNN's own, without where in its sources it stands and how it came there."""
    text = str(error)
    if "info:" in text:
        text = text.split("info:", 1)[1].split("backtrace:", 1)[0]
    return " ".join(text.split())
