"""From a recorded call of the shim (src/device/ttnn/shim/shim.h) to the call of TTNN that it stands for.

The same arguments as src/device/ttnn/real/ gives, by TTNN's Python bindings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ttnn_mock.runtime import Runtime

Operation = dict[str, Any]

# The programs that a call consists of on the card; more than these is a detour worth knowing of.
PROGRAMS = {
    "ttnn.linear": {"Matmul"},
    "ttnn.layer_norm": {"LayerNorm"},
    "ttnn.rms_norm": {"LayerNorm"},
    "ttnn.add": {"BinaryNg"},
    "ttnn.multiply": {"BinaryNg"},
    "ttnn.experimental.nlp_create_qkv_heads": {"NlpCreateHeads"},
    "ttnn.experimental.nlp_concat_heads": {"NLPConcatHeads"},
    "ttnn.experimental.rotary_embedding": {"RotaryEmbedding"},
    "ttnn.transformer.scaled_dot_product_attention": {"SDPAOperation"},
    "ttnn.fold": {"Fold"},
    "ttnn.to_layout": {"TilizeWithValPadding", "UntilizeWithUnpadding", "Tilize", "Untilize"},
    "ttnn.concat": {"Concat"},
    "ttnn.slice": {"Slice"},
    "ttnn.view": set(),
    "ttnn.reshape": {"ReshapeView"},
}


class BadRecording(Exception):
    """The recording lacks what the call needs."""


class Calls:
    """TTNN's operations, called as they were recorded."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ttnn = runtime.ttnn
        self._tensor = runtime.tensor
        data_type, layout = self._tensor.DataType, self._tensor.Layout
        self.data_types = {
            "bfloat16": data_type.BFLOAT16,
            "bfloat8_b": data_type.BFLOAT8_B,
            "bfloat4_b": data_type.BFLOAT4_B,
            "float32": data_type.FLOAT32,
        }
        self.layouts = {"tile": layout.TILE, "row_major": layout.ROW_MAJOR}
        interleaved = self._tensor.TensorMemoryLayout.INTERLEAVED
        self.placements = {
            "dram": self._tensor.MemoryConfig(interleaved, self._tensor.BufferType.DRAM),
            "l1": self._tensor.MemoryConfig(interleaved, self._tensor.BufferType.L1),
        }
        self._by_name: dict[str, Callable[..., Any]] = {
            name: getattr(self, "_" + name.rpartition(".")[2]) for name in PROGRAMS
        }

    def knows(self, name: str) -> bool:
        return name in self._by_name

    def call(self, operation: Operation, inputs: list[Any], output: Any | None) -> list[Any]:
        """The tensors that TTNN gives back; `output` is the one that it shall write into."""
        made = self._by_name[operation["name"]](operation, inputs, output)
        return list(made) if isinstance(made, (list, tuple)) else [made]

    def empty(self, operand: dict[str, Any]) -> Any:
        """A tensor as `operand` is recorded, of whatever the memory holds."""
        return self._operation("ttnn.empty")(
            operand["shape"],
            self.data_types[operand["dtype"]],
            self.layouts[operand["layout"]],
            self._runtime.device,
            self.placements[operand["placement"]],
        )

    def view(self, tensor: Any, operand: dict[str, Any]) -> Any:
        """With both shapes: view() itself cannot change what is padding."""
        shape = self._ttnn.types.Shape
        return self._operation("ttnn.reshape")(
            tensor, shape(operand["shape"]), shape(operand["padded_shape"])
        )

    # ---- One for each of the shim's calls ----

    def _linear(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        one_dimension = _get(operation, "program_config.one_dimension")
        activation = _unary_name(operation, "activation")
        blocks = {
            name: _get(operation, f"program_config.{name}")
            for name in (
                "in0_block_w",
                "out_subblock_h",
                "out_subblock_w",
                "out_block_h",
                "out_block_w",
                "per_core_M",
                "per_core_N",
            )
        }
        matmul = self._ttnn.operations.matmul
        grid = self._grid(operation, "program_config.grid")
        fused = self._unary(activation) if activation else None
        if one_dimension:
            config = matmul.MatmulMultiCoreReuseMultiCast1DProgramConfig(
                compute_with_storage_grid_size=grid,
                **blocks,
                fuse_batch=True,
                fused_activation=fused,
                mcast_in0=True,
            )
        else:
            config = matmul.MatmulMultiCoreReuseMultiCastProgramConfig(
                compute_with_storage_grid_size=grid,
                **blocks,
                transpose_mcast=False,
                fused_activation=fused,
                fuse_batch=True,
            )
        return self._operation(operation["name"])(
            inputs[0],
            inputs[1],
            bias=_optional(inputs, 2),
            memory_config=self._placement(operation),
            dtype=self._data_type(operation),
            program_config=config,
            compute_kernel_config=self._compute(operation),
        )

    def _layer_norm(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._norm(operation, inputs)

    def _rms_norm(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._norm(operation, inputs)

    def _norm(self, operation: Operation, inputs: list[Any]) -> Any:
        return self._operation(operation["name"])(
            inputs[0],
            epsilon=_get(operation, "epsilon"),
            weight=inputs[1],
            bias=_optional(inputs, 2),
            memory_config=self._placement(operation),
            compute_kernel_config=self._compute(operation),
        )

    def _add(self, operation: Operation, inputs: list[Any], output: Any) -> Any:
        return self._binary(operation, inputs, output)

    def _multiply(self, operation: Operation, inputs: list[Any], output: Any) -> Any:
        return self._binary(operation, inputs, output)

    def _binary(self, operation: Operation, inputs: list[Any], output: Any) -> Any:
        activation = _unary_name(operation, "lhs_activation")
        return self._operation(operation["name"])(
            inputs[0],
            inputs[1] if len(inputs) > 1 else float(_get(operation, "scalar")),
            dtype=self._data_type(operation),
            memory_config=self._placement(operation),
            output_tensor=output,
            input_tensor_a_activations=[self._unary(activation)] if activation else [],
        )

    def _nlp_create_qkv_heads(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            inputs[0],
            _optional(inputs, 1),
            num_heads=_get(operation, "num_q_heads"),
            num_kv_heads=_get(operation, "num_kv_heads"),
            transpose_k_heads=False,
            memory_config=self._placement(operation),
        )

    def _nlp_concat_heads(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            inputs[0], memory_config=self._placement(operation)
        )

    def _rotary_embedding(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            *inputs,
            memory_config=self._placement(operation),
            compute_kernel_config=self._compute(operation),
        )

    def _scaled_dot_product_attention(
        self, operation: Operation, inputs: list[Any], _output: Any
    ) -> Any:
        config = self._ttnn.operations.transformer.SDPAProgramConfig(
            compute_with_storage_grid_size=self._grid(operation, "grid"),
            q_chunk_size=_get(operation, "q_chunk_size"),
            k_chunk_size=_get(operation, "k_chunk_size"),
            exp_approx_mode=_get(operation, "exp_approx_mode"),
        )
        return self._operation(operation["name"])(
            *inputs[:3],
            attn_mask=_optional(inputs, 3),
            is_causal=False,
            scale=_get(operation, "scale"),
            memory_config=self._placement(operation),
            program_config=config,
            compute_kernel_config=self._compute(operation),
        )

    def _fold(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            inputs[0], _get(operation, "stride_h"), _get(operation, "stride_w")
        )

    def _to_layout(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        layout = self.layouts[operation["outputs"][0]["layout"]]
        return self._operation(operation["name"])(
            inputs[0], layout, memory_config=self._placement(operation)
        )

    def _concat(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            inputs, _get(operation, "dim"), memory_config=self._placement(operation)
        )

    def _slice(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation(operation["name"])(
            inputs[0],
            _get(operation, "begin"),
            _get(operation, "end"),
            [1, 1, 1, 1],
            memory_config=self._placement(operation),
        )

    def _view(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        made = self.view(inputs[0], operation["outputs"][0])
        if made.buffer_address() != inputs[0].buffer_address():
            raise BadRecording("recorded as a view, but TTNN moves it")
        return made

    def _reshape(self, operation: Operation, inputs: list[Any], _output: Any) -> Any:
        return self._operation("ttnn.reshape")(
            inputs[0], operation["outputs"][0]["shape"], memory_config=self._placement(operation)
        )

    # ---- Arguments ----

    def _operation(self, name: str) -> Any:
        return self._runtime.operations[name]

    def _placement(self, operation: Operation) -> Any:
        return self.placements[operation["outputs"][0]["placement"]]

    def _data_type(self, operation: Operation) -> Any:
        return self.data_types[operation["outputs"][0]["dtype"]]

    def _grid(self, operation: Operation, name: str) -> Any:
        return self._tensor.CoreCoord(*_get(operation, name))

    def _compute(self, operation: Operation) -> Any:
        fidelity = getattr(self._tensor.MathFidelity, _get(operation, "compute.math_fidelity"))
        return self._ttnn.operations.core.WormholeComputeKernelConfig(
            math_fidelity=fidelity,
            math_approx_mode=_get(operation, "compute.math_approx_mode"),
            fp32_dest_acc_en=_get(operation, "compute.fp32_dest_acc_en"),
            packer_l1_acc=_get(operation, "compute.packer_l1_acc"),
        )

    def _unary(self, name: str) -> Any:
        activation = self._ttnn.activation
        if name == "gelu":  # 0: not the fast table of six lines
            return activation.UnaryWithParam(activation.UnaryOpType.GELU, 0.0)
        if name == "silu":
            return activation.UnaryWithParam(activation.UnaryOpType.SILU)
        raise BadRecording(f"no unary operation of TTNN is known for '{name}'")


def _get(operation: Operation, name: str) -> Any:
    attributes = operation.get("attributes", {})
    if name not in attributes:
        raise BadRecording(f"the recording has no attribute '{name}', only {sorted(attributes)}")
    return attributes[name]


def _unary_name(operation: Operation, name: str) -> str | None:
    value = operation.get("attributes", {}).get(name, "none")
    return None if value == "none" else value


def _optional(inputs: list[Any], index: int) -> Any | None:
    return inputs[index] if index < len(inputs) else None
