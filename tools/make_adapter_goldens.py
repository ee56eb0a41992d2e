"""Writes testdata/adapters: adapters that peft saved, and the weights that it merges them into.

  python tools/make_adapter_goldens.py      # torch, peft, safetensors; no lerobot

peft sees names and shapes of modules alone, so a tree of torch's own layers with the names of the
golden checkpoints stands for the policy. The values of A and B are random, as after training.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata"

# lerobot 0.6.1, PI0Policy._get_default_peft_targets.
PROJECTIONS = "state_proj|action_in_proj|action_out_proj|action_time_mlp_in|action_time_mlp_out"
DEFAULT_TARGETS = rf"(.*\.gemma_expert\..*\.self_attn\.(q|v)_proj|model\.({PROJECTIONS}))"


@dataclass
class Golden:
    """One directory of testdata/adapters."""

    name: str
    base: str  # of testdata/golden
    config: dict[str, Any] = field(default_factory=dict)


GOLDENS = [
    Golden(
        "lerobot_default", "pi0_tiny", {"r": 3, "lora_alpha": 7, "target_modules": DEFAULT_TARGETS}
    ),
    Golden(
        "lerobot_everything",
        "pi0_tiny",
        {
            "r": 3,
            "lora_alpha": 7,
            "use_rslora": True,
            "target_modules": [
                "patch_embedding",
                "layers.1.mlp.fc1",
                "language_model.layers.0.self_attn.k_proj",
                "gemma_expert.model.layers.2.mlp.down_proj",
                "action_in_proj",
                "lm_head",
            ],
            "modules_to_save": ["action_out_proj"],
            "bias": "all",
            "rank_pattern": {"k_proj": 2, r"^model.action_in_proj": 5},
            "alpha_pattern": {r"gemma_expert\.model\.layers\.2\.mlp.down_proj": 11},
        },
    ),
    Golden(
        "openpi_bf16",
        "openpi_pi05",
        {
            "r": 4,
            "lora_alpha": 4,
            "bias": "lora_only",
            "target_modules": ["q_proj", "input_layernorm.dense", "time_mlp_in"],
        },
    ),
]


def layer(name: str, tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The layer that a checkpoint has these tensors of: "weight", perhaps "bias"."""
    weight = tensors["weight"]
    bias = "bias" in tensors
    if name.endswith(("embed_tokens", "position_embedding")):
        made: nn.Module = nn.Embedding(*weight.shape)
    elif weight.ndim == 4:
        out, channels, *kernel = weight.shape
        made = nn.Conv2d(channels, out, tuple(kernel), stride=tuple(kernel), bias=bias)
    elif weight.ndim == 2:
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    else:
        made = nn.LayerNorm(weight.shape[0], bias=bias)
    made.to(weight.dtype).load_state_dict(tensors)
    return made


def policy_of(weights: dict[str, torch.Tensor]) -> nn.Module:
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        modules.setdefault(module, {})[kind] = tensor
    policy = nn.Module()
    for name, tensors in modules.items():
        *path, last = name.split(".")
        parent = policy
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(last, layer(name, tensors))
    return policy


def make(golden: Golden) -> None:
    torch.manual_seed(20)
    weights = load_file(ROOT / "golden" / golden.base / "model.safetensors")
    policy = policy_of(weights)
    model = get_peft_model(policy, LoraConfig(init_lora_weights=False, **golden.config))
    # In place of training: whatever would be trained, other than lm_head's, which nothing computes.
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        with torch.no_grad():
            if "lm_head" in name:
                parameter.zero_()
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.peft_config["default"].base_model_name_or_path = f"../../golden/{golden.base}"
    out = ROOT / "adapters" / golden.name
    shutil.rmtree(out, ignore_errors=True)
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    config = json.loads((out / "adapter_config.json").read_text())
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # a set in peft
    (out / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    merged = model.merge_and_unload().state_dict()
    changed = {
        name: tensor.contiguous()
        for name, tensor in merged.items()
        if not torch.equal(tensor, weights[name])
    }
    save_file(changed, out / "merged.safetensors")
    print(out.name, len(changed), "tensors changed")


def main() -> None:
    for golden in GOLDENS:
        make(golden)


if __name__ == "__main__":
    main()
