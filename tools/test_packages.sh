#!/usr/bin/env bash
# Makes the Debian packages of a build, looks at them, and uses them from a folder: the command runs,
# and a program is built with the library.
#   tools/test_packages.sh BUILD_DIRECTORY CXX_COMPILER      77: no dpkg here
set -euo pipefail
command -v dpkg-shlibdeps >/dev/null || { echo "SKIPPED: no dpkg-dev here"; exit 77; }
source=$(cd "$(dirname "$0")/.." && pwd)
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
root=$temporary/root
fail() { echo "$1" >&2; exit 1; }

cpack --config "$1/CPackConfig.cmake" -B "$temporary" >"$temporary/log" || { cat "$temporary/log"; exit 1; }
holds() {  # PACKAGE FILE…: all that it must hold, and where its licence is
  local package=$1
  shift
  local deb
  deb=$(echo "$temporary/${package}"_*.deb)
  dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\./||' >"$temporary/files"
  for file in "$@" "usr/share/doc/$package/copyright"; do
    grep -qxE "$file" "$temporary/files" || fail "$package lacks $file: $(cat "$temporary/files")"
  done
  dpkg-deb -f "$deb" Package Version Depends
  dpkg-deb -x "$deb" "$root"
}
holds libpi0-0.1 'usr/lib/(.*/)?libpi0\.so\.0\.1'
if grep -E 'include|bin/|\.so$' "$temporary/files"; then fail "libpi0-0.1 holds what is another's"; fi
holds libpi0-dev 'usr/lib/(.*/)?libpi0\.so' usr/include/pi0/policy.h 'usr/lib/(.*/)?pkgconfig/pi0\.pc' \
  'usr/lib/(.*/)?cmake/pi0/pi0Config\.cmake'
holds pi0 usr/bin/pi0
depends() { dpkg-deb -f "$temporary/$1"_*.deb Depends | grep -q "$2" || fail "$1 does not depend on $2"; }
depends libpi0-0.1 libsentencepiece
depends libpi0-dev 'libpi0-0.1 (= '
depends pi0 libsentencepiece

version=$("$root/usr/bin/pi0" --version)
[ "pi0 $(dpkg-deb -f "$temporary"/pi0_*.deb Version)" = "$version" ] || fail "pi0 --version says $version"
library=$(dirname "$(find "$root" -name libpi0.so)")
export PKG_CONFIG_PATH=$library/pkgconfig LD_LIBRARY_PATH=$library
# shellcheck disable=SC2046  # words
"$2" -std=c++20 "$source/examples/infer.cc" $(pkg-config --cflags --libs pi0) -o "$temporary/infer"
"$temporary/infer" "$source/examples/policy" base_0_rgb \
  "$source/examples/frames/drawer_open_corner.png" "open the drawer" -0.0066 0.6386 0.2493 1.0
