#!/usr/bin/env bash
# Installs a build into a temporary folder and builds and runs examples/ against it, as a user of
# the package would.
#   examples/test_install.sh BUILD_DIRECTORY CXX_COMPILER
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

cmake --install "$1" --prefix "$temporary/prefix" >/dev/null
cmake -S "$source" -B "$temporary/build" -DCMAKE_CXX_COMPILER="$2" \
  -DCMAKE_PREFIX_PATH="$temporary/prefix" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$temporary/build"
"$temporary/prefix/bin/pi0" --version
rows=$("$temporary/build/infer" "$source/policy" base_0_rgb "$source/frames/drawer_open_corner.png" \
  "open the drawer" -0.0066 0.6386 0.2493 1.0 | tee /dev/stderr | wc -l)
[ "$rows" -eq 8 ] || { echo "expected 8 rows, the policy's n_action_steps, found $rows" >&2; exit 1; }
