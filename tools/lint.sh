#!/usr/bin/env bash
# clang-format, clang-tidy and the arrows between rooms, over every file that git knows.
#   tools/lint.sh BUILD_DIRECTORY      (one with a compile_commands.json)
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
git ls-files '*.h' '*.cc' | xargs clang-format --dry-run -Werror
python3 tools/check_rooms.py
git ls-files 'src/*.cc' 'examples/*.cc' 'bench/*.cc' ':!*_test.cc' |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet --warnings-as-errors='*'
echo "lint: clean"
