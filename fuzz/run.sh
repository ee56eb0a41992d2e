#!/usr/bin/env bash
# Runs every fuzzer of a build for some seconds, from its corpus in fuzz/corpus/<fuzzer>.
#   fuzz/run.sh BUILD_DIRECTORY SECONDS
# New inputs go into a temporary folder; an input that crashes is kept in out/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p out/fuzz
found=0
for fuzzer in "$1"/fuzz_*; do
  [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
  name=$(basename "$fuzzer")
  scratch=$(mktemp -d)
  seeds=fuzz/corpus/$name
  [ -d "$seeds" ] || { echo "$name: no corpus in $seeds" >&2; exit 1; }
  if "$fuzzer" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
      -print_final_stats=1 -artifact_prefix=out/fuzz/"$name"- "$scratch" "$seeds" \
      >"$scratch.log" 2>&1; then
    echo "$name: $(sed -n 's/stat::number_of_executed_units: *//p' "$scratch.log") inputs, nothing found"
  else
    cat "$scratch.log" >&2
    exit 1
  fi
  rm -rf "$scratch" "$scratch.log"
  found=$((found + 1))
done
[ "$found" -gt 0 ] || { echo "no fuzzer in $1" >&2; exit 1; }
