#!/usr/bin/env bash
# A virtual environment with what libpi0's Python is built and tested with. Prints the options that
# CMake takes for it; where there can be none, nothing, and why on stderr.
#   cmake … $(tools/python_environment.sh build/python_environment)
# PI0_PYTHON names a Python in place of python3.
set -euo pipefail
environment=$1
source=$(cd "$(dirname "$0")/.." && pwd)
wanted=$source/python/requirements-check.txt
python=${PI0_PYTHON:-python3}

skip() {
  echo "SKIPPED: libpi0's Python is neither built nor tested; $1" >&2
  exit 0
}

if ! cmp -s "$wanted" "$environment/complete"; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    skip "$python is no Python 3.10 or later"
  rm -rf "$environment"
  mkdir -p "$(dirname "$environment")"
  "$python" -m venv "$environment" >&2 || skip "$python makes no virtual environment"
  header=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -e "$header" ] || skip "there is no $header (Debian: python3-dev)"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 \
    --timeout 20 -r "$wanted" >&2 || skip "the package index does not give what $wanted lists"
  cp "$wanted" "$environment/complete"
fi
echo "-DPI0_PYTHON=ON -DPython_EXECUTABLE=$(cd "$environment" && pwd)/bin/python"
