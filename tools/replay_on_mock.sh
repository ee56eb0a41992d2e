#!/usr/bin/env bash
# Replays full-size calls of pi0 and pi0.5 on TTNN's runtime, on its mock n150 and p150.
#   tools/replay_on_mock.sh PI0_COMMAND WORK_DIRECTORY
# Needs Python 3.10 or 3.12 and TTNN's wheel, which is fetched into WORK_DIRECTORY; without either
# it says so and exits with 77. PI0_TTNN_PYTHON names a Python that has the wheel already.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
pi0=$1
work=$2
version=0.71.2

skip() {
  echo "SKIPPED: needs Python 3.10 or 3.12 with ttnn==$version; $1"
  exit 77
}

# The first that runs and is of one of the wheel's two versions.
find_python() {
  local candidate
  local is_right='import sys, venv; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 12)))'
  for candidate in python3.10 python3.12 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[02].*/bin/python3; do
    if "$candidate" -c "$is_right" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

python=${PI0_TTNN_PYTHON:-$work/ttnn-$version/bin/python}
if [ -z "${PI0_TTNN_PYTHON:-}" ] && [ ! -e "$work/ttnn-$version/complete" ]; then
  base=$(find_python) || skip "no such Python on PATH or in pyenv"
  rm -rf "$work/ttnn-$version"
  mkdir -p "$work"
  "$base" -m venv "$work/ttnn-$version" || skip "$base makes no virtual environment"
  # Its dependencies (pandas and more) are those of its Python side, which is not used.
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --retries 1 --timeout 20 \
    "ttnn==$version" || skip "the package index does not give it"
  touch "$work/ttnn-$version/complete"
fi

"$python" "$tools/replay_on_mock_test.py"
for card in n150 p150; do
  for model in pi0 pi05; do
    calls=$work/$model-$card.json
    "$pi0" audit --random "$model" --device ttnn-emulated --card "$card" --json "$calls" \
      >"$work/$model-$card.txt"
    echo "== $model"
    "$python" "$tools/replay_on_mock.py" "$calls" --card "$card"
  done
done
