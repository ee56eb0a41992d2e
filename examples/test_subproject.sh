#!/usr/bin/env bash
# Adds this tree to another project, as add_subdirectory and FetchContent do, and looks at what that
# project then has of ours: the library, but no test, nothing that is installed, no compiler option.
#   examples/test_subproject.sh CXX_COMPILER          configures: seconds
#   examples/test_subproject.sh CXX_COMPILER build    builds and runs it too, then tests an install
#                                                     of it: static, as `make test` has none
set -euo pipefail
examples=$(cd "$(dirname "$0")" && pwd)
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
fail() { echo "$1" >&2; exit 1; }

cat >"$temporary/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(robot CXX)
set(CMAKE_CXX_STANDARD 20)
enable_testing()
add_subdirectory("${examples%/*}" pi0)
add_executable(infer "$examples/infer.cc")
target_link_libraries(infer PRIVATE pi0::pi0)
END
build=$temporary/build
configure() {
  cmake -S "$temporary" -B "$build" -G "Unix Makefiles" -DCMAKE_CXX_COMPILER="$cxx" "$@" >/dev/null
}
cxx=$1

configure
grep -qx 'CXX_FLAGS = *-std=gnu++20' "$build/CMakeFiles/infer.dir/flags.make" ||
  fail "the project's own program has options of ours: $(grep FLAGS "$build/CMakeFiles/infer.dir/flags.make")"
ctest --test-dir "$build" -N | grep -qx 'Total Tests: 0' || fail "the project has tests of ours"
if grep 'file(INSTALL' "$build/pi0/cmake_install.cmake"; then fail "the project installs files of ours"; fi
if grep CLI11 "$build/CMakeCache.txt"; then fail "the project needs CLI11, which only the command uses"; fi

if [ "${2:-}" = build ]; then
  configure -DCMAKE_BUILD_TYPE=None -DPI0_INSTALL=ON -DPI0_COMMAND=ON  # None: quickly compiled
  cmake --build "$build" -j "$(nproc)"
  "$build/infer" "$examples/policy" base_0_rgb "$examples/frames/drawer_open_corner.png" \
    "open the drawer" -0.0066 0.6386 0.2493 1.0
  "$examples/test_install.sh" "$build" "$cxx"
fi
