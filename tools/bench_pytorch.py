#!/usr/bin/env python3
"""Times lerobot's own π0 or π0.5 (PyTorch, CPU) at full size: what `pi0 bench` is compared with.

    tools/bench_pytorch.py pi0 [--cameras 3] [--tokens 48] [--dtype float32|bfloat16] [--runs 3]

Needs a Python with lerobot 0.6.1, torch and transformers (docs/dependencies.md). Weights are random;
float32 takes 17 GB. One call to warm up, then the runs; the machine's peak is measured beside them:
a float32 product of two 2048 x 2048 matrices by torch itself.
"""

import argparse
import resource
import time

import torch


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["pi0", "pi05"])
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def make_model(kind: str, dtype: str) -> torch.nn.Module:
    if kind == "pi0":
        from lerobot.policies.pi0.configuration_pi0 import PI0Config as Config
        from lerobot.policies.pi0.modeling_pi0 import PI0Pytorch as Model
    else:
        from lerobot.policies.pi05.configuration_pi05 import PI05Config as Config
        from lerobot.policies.pi05.modeling_pi05 import PI05Pytorch as Model
    # Values do not change how long a product takes: filled once, not drawn by each layer.
    torch.nn.init.kaiming_uniform_ = torch.nn.init.normal_ = lambda tensor, *_, **__: tensor
    model = Model(Config(dtype=dtype, device="cpu", compile_model=False)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    return model


def product_flops() -> float:
    a, b = torch.ones(2048, 2048), torch.ones(2048, 2048)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def main() -> None:
    arguments = parse_arguments()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    model = make_model(arguments.kind, arguments.dtype)
    images = [torch.rand(1, 3, 224, 224) * 2 - 1 for _ in range(arguments.cameras)]
    masks = [torch.ones(1, dtype=torch.bool) for _ in images]
    tokens = torch.ones(1, arguments.tokens, dtype=torch.long)
    token_masks = torch.ones(1, arguments.tokens, dtype=torch.bool)
    inputs = [images, masks, tokens, token_masks]
    if arguments.kind == "pi0":
        inputs.append(torch.zeros(1, 32))
    seconds = []
    print(f"product of 2048 x 2048 matrices: {product_flops() / 1e9:.0f} GFLOP/s", flush=True)
    with torch.no_grad():
        for run in range(arguments.runs + 1):
            start = time.perf_counter()
            model.sample_actions(*inputs, noise=torch.zeros(1, 50, 32))
            took = time.perf_counter() - start
            print(f"{'warm-up' if run == 0 else 'run'} {took:.1f} s", flush=True)
            if run > 0:
                seconds.append(took)
    print(f"product of 2048 x 2048 matrices: {product_flops() / 1e9:.0f} GFLOP/s")
    print(f"{arguments.kind} {arguments.dtype}: median {sorted(seconds)[len(seconds) // 2]:.1f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
