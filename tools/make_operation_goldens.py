#!/usr/bin/env python3
"""Makes testdata/operations.safetensors: every operation of src/device/device.h, computed by PyTorch.

The reference device is checked against it, and other devices against the reference. Shapes are odd
on purpose: 1, primes, nothing that a tile or a vector divides. Needs torch, safetensors and
transformers (for Gemma's rotary embedding and attention):

    python tools/make_operation_goldens.py testdata/operations.safetensors

Each case is a group of tensors "<operation>.<case>.<name>"; sizes that no shape shows are one-value
tensors.
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.models.gemma.configuration_gemma import GemmaConfig
from transformers.models.gemma.modeling_gemma import GemmaRotaryEmbedding, apply_rotary_pos_emb

torch.manual_seed(20261124)
tensors: dict[str, torch.Tensor] = {}


def add(case: str, **named: torch.Tensor | int) -> None:
    for name, value in named.items():
        tensor = value if isinstance(value, torch.Tensor) else torch.tensor([float(value)])
        tensors[f"{case}.{name}"] = tensor.contiguous().clone()


def random(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape) * scale


def patch_embedding() -> None:
    sizes = [(1, 1, 1, 1, 1), (2, 15, 3, 5, 7), (3, 28, 2, 14, 19), (2, 45, 3, 14, 5)]
    for case, (cameras, size, side, patch, width) in enumerate(sizes):
        images = random(cameras, 3, size, size)
        weight, bias = random(width, 3, patch, patch, scale=0.1), random(width)
        positions = random(side * side, width)
        out = F.conv2d(images, weight, bias, stride=patch).flatten(2).transpose(1, 2) + positions
        add(
            f"patch_embedding.{case}",
            images=images.permute(0, 2, 3, 1),
            weight=weight,
            bias=bias,
            positions=positions,
            out=out.reshape(-1, width),
        )


def norms() -> None:
    for case, (rows, width) in enumerate([(1, 2), (5, 37), (3, 1153)]):
        x, weight, bias = random(rows, width, scale=3), random(width), random(width)
        add(
            f"layer_norm.{case}",
            x=x,
            weight=weight,
            bias=bias,
            out=F.layer_norm(x, (width,), weight, bias, eps=1e-6),
        )
        normed = F.rms_norm(x, (width,), eps=1e-6)
        add(f"rms_norm.{case}", x=x, weight=weight, out=normed * (1 + weight))
        condition, dense, dense_bias = random(1, 11), random(3 * width, 11), random(3 * width)
        scale, shift, gate = F.linear(condition, dense, dense_bias).chunk(3, dim=-1)
        add(
            f"modulation.{case}",
            x=x,
            condition=condition,
            dense=dense,
            dense_bias=dense_bias,
            scale=scale,
            shift=shift,
            gate=gate,
            out=normed * (1 + scale) + shift,
        )


def linears() -> None:
    activations = [lambda y: y, lambda y: F.gelu(y, approximate="tanh"), F.silu]
    for case, (rows, inputs, outputs) in enumerate(
        [(1, 1, 1), (3, 17, 33), (7, 101, 5), (2, 2049, 19)]
    ):
        x, weight, bias = (
            random(rows, inputs),
            random(outputs, inputs, scale=inputs**-0.5),
            random(outputs),
        )
        row, gate, residual = random(1, outputs), random(1, outputs), random(rows, outputs)
        plain = F.linear(x, weight)
        named = {f"activation_{i}": f(plain + bias) for i, f in enumerate(activations)}
        named |= {f"row_{i}": f(plain + bias + row) for i, f in enumerate(activations)}
        add(
            f"linear.{case}",
            x=x,
            weight=weight,
            bias=bias,
            row=row,
            gate=gate,
            residual=residual,
            no_bias=plain,
            residual_out=residual + plain + bias,
            gated_out=residual + gate * (plain + bias),
            **named,
        )


def gated_mlps() -> None:
    for case, (rows, width, mlp_dim) in enumerate([(1, 1, 1), (5, 13, 29), (3, 67, 131)]):
        x, residual, gate_row = random(rows, width), random(rows, width), random(1, width)
        gate, up = random(mlp_dim, width, scale=width**-0.5), random(
            mlp_dim, width, scale=width**-0.5
        )
        down = random(width, mlp_dim, scale=mlp_dim**-0.5)
        y = F.linear(F.gelu(F.linear(x, gate), approximate="tanh") * F.linear(x, up), down)
        add(
            f"gated_mlp.{case}",
            x=x,
            residual=residual,
            gate_row=gate_row,
            gate=gate,
            up=up,
            down=down,
            out=residual + y,
            gated_out=residual + gate_row * y,
        )


def attentions() -> None:
    """Projection, split, rotary embedding, and attention with and without a cache."""
    cases = [  # sequences, tokens, width, heads, kv_heads, head_dim, first position (-1: none), cached
        (1, 1, 3, 1, 1, 2, 0, 0),
        (3, 5, 7, 3, 3, 6, -1, 0),
        (1, 7, 11, 4, 1, 32, 816, 13),
        (1, 3, 5, 6, 2, 10, 5, 1),
        (2, 17, 19, 2, 2, 72, -1, 0),
        (1, 51, 23, 8, 1, 34, 817, 67),
    ]
    for case, (sequences, tokens, width, heads, kv_heads, head_dim, first, cached) in enumerate(
        cases
    ):
        x = random(sequences * tokens, width)
        q, k, v = (
            random(n * head_dim, width, scale=width**-0.5) for n in (heads, kv_heads, kv_heads)
        )
        q_bias, k_bias, v_bias = (
            random(heads * head_dim),
            random(kv_heads * head_dim),
            random(kv_heads * head_dim),
        )
        if first >= 0:  # Gemma has no biases, SigLIP no rotary embedding
            q_bias, k_bias, v_bias = (torch.zeros_like(b) for b in (q_bias, k_bias, v_bias))

        def split(weight: torch.Tensor, bias: torch.Tensor, count: int) -> torch.Tensor:
            return (
                F.linear(x, weight, bias).view(sequences, tokens, count, head_dim).transpose(1, 2)
            )

        queries, keys, values = (
            split(q, q_bias, heads),
            split(k, k_bias, kv_heads),
            split(v, v_bias, kv_heads),
        )
        if first >= 0:
            config = GemmaConfig(
                head_dim=head_dim, num_attention_heads=heads, num_key_value_heads=kv_heads
            )
            rotary = GemmaRotaryEmbedding(config)
            cos, sin = rotary(queries, torch.arange(first, first + tokens)[None])
            queries, keys = apply_rotary_pos_emb(queries, keys, cos, sin)
        cache_keys, cache_values = (random(sequences, kv_heads, cached, head_dim) for _ in range(2))
        out = F.scaled_dot_product_attention(
            queries,
            torch.cat([cache_keys, keys], dim=2).repeat_interleave(heads // kv_heads, dim=1),
            torch.cat([cache_values, values], dim=2).repeat_interleave(heads // kv_heads, dim=1),
        )
        add(
            f"attention.{case}",
            x=x,
            q=q,
            k=k,
            v=v,
            q_bias=q_bias,
            k_bias=k_bias,
            v_bias=v_bias,
            sequences=sequences,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            first=first,
            queries=queries,
            keys=keys,
            values=values,
            out=out.transpose(1, 2).reshape(sequences * tokens, heads * head_dim),
        )
        if cached:
            add(
                f"attention.{case}",
                cache_keys=cache_keys,
                cache_values=cache_values,
                all_keys=torch.cat([cache_keys, keys], dim=2),
                all_values=torch.cat([cache_values, values], dim=2),
            )


def main() -> None:
    for make in (patch_embedding, norms, linears, gated_mlps, attentions):
        make()
    save_file(tensors, sys.argv[1])
    print(f"{len(tensors)} tensors in {sys.argv[1]}")


if __name__ == "__main__":
    main()
