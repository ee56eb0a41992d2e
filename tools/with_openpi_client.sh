#!/usr/bin/env bash
# Runs a Python program that needs openpi's client.
#   tools/with_openpi_client.sh WORK_DIRECTORY PROGRAM.py [ARGUMENT…]
# The client is installed into WORK_DIRECTORY, once. PI0_OPENPI_PYTHON names a Python that has it
# already. Where there is none it says so and exits with 77.
set -euo pipefail
work=$1
shift
version=0.1.2

skip() {
  echo "SKIPPED: needs Python with openpi-client==$version; $1"
  exit 77
}

[ -z "${PI0_OPENPI_PYTHON:-}" ] || exec "$PI0_OPENPI_PYTHON" "$@"
environment=$work/openpi-client-$version
if [ ! -e "$environment/complete" ]; then
  command -v python3 >/dev/null || skip "there is no python3"
  rm -rf "$environment"
  mkdir -p "$work"
  python3 -m venv "$environment" || skip "python3 makes no virtual environment"
  # What its websocket client uses; the package asks for more, and for numpy 1.
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --retries 1 --timeout 20 "openpi-client==$version" msgpack numpy websockets \
    typing_extensions || skip "the package index does not give it"
  touch "$environment/complete"
fi
exec "$environment/bin/python" "$@"
