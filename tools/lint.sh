#!/usr/bin/env bash
# clang-tidy over every source file that git knows, tests left out.
#   tools/lint.sh BUILD_DIRECTORY      (with a compile_commands.json, and PI0_UNITY off)
# The shim over TTNN is left out too: its headers are TTNN's. So is what measures libxsmm and oneDNN
# where their headers are not there (`make bench` installs them).
set -euo pipefail
cd "$(dirname "$0")/.."
left_out=()
for library in libxsmm:libxsmm.h onednn:oneapi/dnnl/dnnl.hpp; do
  if ! echo "#include <${library#*:}>" | g++ -E -x c++ - >/dev/null 2>&1; then
    echo "lint: NOT LOOKED AT: src/profile/other_${library%:*}.cc, whose header is not here"
    left_out+=(":!src/profile/other_${library%:*}.cc")
  fi
done
git ls-files 'src/*.cc' 'examples/*.cc' ':!*_test.cc' ':!*_testing.cc' ':!*/real_shim*.cc' "${left_out[@]}" |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$1" --quiet
echo "lint: clean"
