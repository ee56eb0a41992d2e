#!/usr/bin/env bash
# The main job on data that is in the tree: a small π0 (examples/policy), trained on Meta-World's
# "open the drawer", with what its camera saw, what the expert did and what PyTorch predicted.
#   examples/demo.sh PI0_COMMAND OUTPUT_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
pi0=$1 out=$2
mkdir -p "$out"
show() { echo; echo "\$ pi0 $*"; "$pi0" "$@"; }

show info examples/policy

# A moment of an episode, with the noise that
# PyTorch was given: the solid line is ours, the other what the scripted expert did from there.
show run examples/policy --image base_0_rgb=examples/demo/camera.png \
  --state examples/demo/state.json --prompt "open the drawer" --noise examples/demo/noise.npy \
  --out "$out/open_the_drawer.json" --plot "$out/open_the_drawer.svg" \
  --plot-with examples/demo/expert.csv

# A larger frame of the same simulator: resized and padded as lerobot does.
show run examples/policy \
  --image base_0_rgb=examples/frames/drawer_open_corner.png \
  --state -0.006566404956760898,0.6386081380550773,0.24928539451017387,1.0 \
  --prompt "open the drawer" --seed 1 \
  --out "$out/drawer_open_frame.csv" --plot "$out/drawer_open_frame.svg"

# Is it the same as PyTorch?
show verify examples/policy examples/policy/recorded.safetensors --device reference
echo
echo "Look at $out/open_the_drawer.svg"
