#!/usr/bin/env bash
# clang-tidy over every source file that git knows, tests left out.
#   tools/lint.sh BUILD_DIRECTORY      (one with a compile_commands.json)
# The shim over TTNN is left out too: its headers are TTNN's.
# The verbs are compiled together, so their own compile commands, and PI0_VERSION, are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files 'src/*.cc' 'examples/*.cc' ':!*_test.cc' ':!*/real_shim*.cc' |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$1" --quiet --extra-arg='-DPI0_VERSION=""'
echo "lint: clean"
