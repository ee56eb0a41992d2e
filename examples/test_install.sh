#!/usr/bin/env bash
# Installs a build into a temporary folder and builds and runs examples/ against it, as a user of
# the package would: once by find_package, once by pkg-config; then uninstalls it.
#   examples/test_install.sh BUILD_DIRECTORY CXX_COMPILER
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
temporary=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$temporary"' EXIT
prefix=$temporary/prefix
fail() { echo "$1" >&2; exit 1; }

# One after the other: the build keeps the list of a user's own `make install`.
for component in library development command; do
  cmake --install "$1" --prefix "$prefix" --component $component >/dev/null
done
version=$("$prefix/bin/pi0" --version)
echo "$version"

cmake -S "$source" -B "$temporary/build" -DCMAKE_CXX_COMPILER="$2" \
  -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$temporary/build"

pc=$(find "$prefix" -name pi0.pc)
libraries=$(dirname "$(dirname "$pc")")
[ -e "$libraries/libpi0.so" ] && static="" || static=--static
export PKG_CONFIG_PATH=${pc%/*}
[ "pi0 $(pkg-config --modversion pi0)" = "$version" ] || fail "pi0.pc has another version"
# shellcheck disable=SC2046  # words
"$2" -std=c++20 "$source/infer.cc" $(pkg-config $static --cflags --libs pi0) -o "$temporary/infer"

for infer in "$temporary/build/infer" "env LD_LIBRARY_PATH=$libraries $temporary/infer"; do
  rows=$($infer "$source/policy" base_0_rgb "$source/frames/drawer_open_corner.png" \
    "open the drawer" -0.0066 0.6386 0.2493 1.0 | tee /dev/stderr | wc -l)
  [ "$rows" -eq 8 ] || fail "expected 8 rows, the policy's n_action_steps, found $rows"
  # An error of the library is caught as what it is: 1, not 2.
  status=0
  $infer "$temporary" top "$source/frames/drawer_open_corner.png" "" 0 || status=$?
  [ "$status" -eq 1 ] || fail "expected status 1, pi0::Error, found $status"
done

# A robot at 50 Hz, of the server that was installed too.
if [ -e "$temporary/build/control_loop" ]; then
  # shellcheck disable=SC2046  # words
  "$2" -std=c++20 "$source/control_loop.cc" $(pkg-config $static --cflags --libs pi0) -o "$temporary/control_loop"
  "$prefix/bin/pi0" serve "$source/policy" --port 0 2>"$temporary/said" &
  server=$!
  for _ in {1..300}; do
    grep -qs ready "$temporary/said" && break
    sleep 0.1
  done
  url=$(sed -n 's/.* on \(ws:.*\)/\1/p' "$temporary/said")
  for loop in "$temporary/build/control_loop" "env LD_LIBRARY_PATH=$libraries $temporary/control_loop"; do
    $loop "$url" "$source/frames/drawer_open_corner.png" "open the drawer" 2 -0.0066 0.6386 0.2493 1.0 |
      tee /dev/stderr | grep -q '^chunks: [1-9]' || fail "expected chunks, found none"
  done
  kill "$server"
  wait "$server" || fail "expected status 0 of a server that was told to stop, found $?"
  server=
fi

for component in library development command; do
  cmake -DMANIFEST="$1/install_manifest_$component.txt" -P "$source/../cmake/uninstall.cmake"
done
[ -z "$(find "$prefix" -not -type d)" ] || fail "left behind: $(find "$prefix" -not -type d)"
