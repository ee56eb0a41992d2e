#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that libpi0 is built with, those that are missing;
# docs/dependencies.md says what each is for. Needs root, or sudo.
#
#   tools/install_dependencies.sh          to build and run
#   tools/install_dependencies.sh check    to test as well
#   tools/install_dependencies.sh wheel    to build Python's wheels as well
#   tools/install_dependencies.sh bench    to measure other libraries' matrices as well
#   tools/install_dependencies.sh lint     to format and lint as well
set -euo pipefail

packages=(g++ make cmake pkg-config libfmt-dev nlohmann-json3-dev libcli11-dev libpng-dev
          libjpeg-dev libsentencepiece-dev libxxhash-dev libboost-dev libssl-dev)
case "${1:-}" in
  "") ;;
  check) packages+=(libgtest-dev clang dpkg-dev file python3 python3-dev python3-venv) ;;
  wheel) packages+=(ninja-build python3-dev python3-venv) ;;
  bench) packages+=(libxsmm-dev libdnnl-dev) ;;
  lint) packages+=(libgtest-dev clang python3 clang-format clang-tidy) ;;
  *) echo "usage: $0 [check|wheel|bench|lint]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "$0: this machine has no dpkg; install what docs/dependencies.md lists, then go on" >&2
  exit 0
fi

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
install_missing() {
  local missing=()
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}"
  [ -n "${updated:-}" ] || as_root apt-get update -qq
  updated=1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

install_missing "${packages[@]}"
# msgpack for C++ has a package of its own from Debian 12 on; Ubuntu 22.04 has it beside C's.
if ! echo '#include <msgpack.hpp>' | g++ -fsyntax-only -DMSGPACK_NO_BOOST -x c++ - 2>/dev/null; then
  if [ -n "$(apt-cache search --names-only '^libmsgpack-cxx-dev$')" ]; then
    install_missing libmsgpack-cxx-dev
  else
    install_missing libmsgpack-dev
  fi
fi
# libsentencepiece's header includes absl's from 0.2.2 on, which Debian's package does not depend on.
if grep -q '<absl/' /usr/include/sentencepiece_processor.h; then
  install_missing libabsl-dev
fi
if [[ " ${packages[*]} " == *" clang "* ]]; then  # clang's sanitizer and fuzzer runtimes have its version in their name
  version=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
  install_missing "libclang-rt-$version-dev"
fi
