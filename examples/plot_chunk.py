# %% [markdown]
# # What a policy is about to do
#
#     pip install --find-links out/wheels libpi0 matplotlib   # or PYTHONPATH=build/release/python/package
#     python examples/plot_chunk.py        # or cell by cell, in VS Code, Spyder or Jupyter (jupytext)
#
# A small trained π0 (examples/policy, whose robot opens a drawer in a simulator) sees a frame; its
# chunk of actions is drawn joint by joint, and then the next chunk, with and without real-time
# chunking, where it meets the first.

# %%
import pathlib
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import libpi0

if not hasattr(sys, "ps1"):
    matplotlib.use("Agg")  # a script: it writes a file
here = pathlib.Path(__file__).parent if "__file__" in globals() else pathlib.Path("examples")

# %% The policy, and what it wants to see.
policy = libpi0.Policy(here / "policy", device="cpu", dtype="fp32")
info = policy.info
print(policy)
print("images:", info["image_keys"], "state:", info["state_keys"], "prompt:", info["prompt_key"])

# %% One moment: an image as a camera has it, or the bytes of a PNG or JPEG, and the robot's state.
observation = {
    "observation.images.base_0_rgb": (here / "frames" / "drawer_open_corner.png").read_bytes(),
    "observation.state": np.array([-0.0066, 0.6386, 0.2493, 1.0], np.float32),
    "task": "open the drawer",
}
first = policy.infer(observation, seed=1)
print(first["actions"].shape, {name: round(ms, 1) for name, ms in first["policy_timing"].items()})

# %% The robot executes eight rows, looks again, and two more go out until the next chunk is there.
executed, delay = 8, 2
session = policy.session()


def next_chunk(weight: float) -> libpi0.InferResult:
    session.last_chunk = policy.last_chunk
    rtc = libpi0.RealTimeChunking(
        executed=executed, inference_delay=delay, max_guidance_weight=weight
    )
    return session.infer(observation, seed=2, rtc=rtc)


free, held = next_chunk(0.0), next_chunk(10.0)

# %% Each joint: the chunk, and the two that could follow. The dashed line is where one goes over.
dims = info["action_dims"]
figure, axes = plt.subplots(dims, 1, sharex=True, figsize=(7, 1.6 * dims), constrained_layout=True)
steps = np.arange(info["action_horizon"])
for dim, axis in enumerate(axes):
    axis.plot(steps, first["actions"][:, dim], color="black", label="this chunk")
    axis.plot(steps + executed, free["actions"][:, dim], color="tab:orange", label="the next alone")
    axis.plot(steps + executed, held["actions"][:, dim], color="tab:blue", label="the next, held to it")
    axis.axvline(executed + delay, color="grey", linestyle="--", linewidth=1)
    axis.set_ylabel(info["action_names"][dim])
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
axes[-1].set_xlabel("control step")
jumps = {name: np.abs(chunk["seam"]["jump"]).max() for name, chunk in (("alone", free), ("held", held))}
figure.suptitle(f"largest jump where they meet: {jumps['alone']:.3f} alone, {jumps['held']:.3f} held")
if hasattr(sys, "ps1"):
    plt.show()
else:
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "chunk.png")
    figure.savefig(out, dpi=110)
    print("wrote", out)
