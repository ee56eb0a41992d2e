#!/usr/bin/env bash
# README's two commands in bare chroots of other distributions, which have git and make and nothing
# else of ours: what a new user there sees. Prints a table of them, and ends with 1 where one fails.
#
#   tools/check_distributions.sh DISTRIBUTION…      (trixie, sid, bookworm: what debootstrap knows)
#
# DIRECTORY  where the chroots are kept (build/distributions). The bare system is an archive there,
#            made once; each run begins from it. Logs lie beside it.
# STAGES     what is run, "demo check" if not said; `wheel` installs those of out/wheels (make wheel)
#            and infers with nothing but Python and numpy: alone, in a system without a compiler
# What is checked is the last commit. apt has this machine's settings (its proxy, say). /proc and /dev
# are mounted in a namespace of their own, which ends with its processes: nothing stays mounted,
# however this ends.
set -euo pipefail
cd "$(dirname "$0")/.."
directory=${DIRECTORY:-build/distributions}
stages=${STAGES:-demo check}
[ $# -gt 0 ] || { echo "usage: $0 DISTRIBUTION…" >&2; exit 2; }
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
  echo "$0: needs root and debootstrap (apt-get install debootstrap) to make chroots" >&2
  exit 2
fi
mkdir -p "$directory"
directory=$(realpath "$directory")

# in_chroot ROOT COMMAND: by bash, with /proc and /dev, mounted in a namespace that ends with it.
in_chroot() {
  unshare --mount --propagation private bash -ec '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
      DEBIAN_FRONTEND=noninteractive bash -ec "$2"' chroot "$1" "$2"
}

# How this machine reaches its mirrors.
copy_network() {
  cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
  apt-config dump Acquire >"$1/etc/apt/apt.conf.d/99host"
}

# Makes the archive of a bare system, with git and make, unless it is there.
make_base() {
  local base=$directory/$1.tar root=$directory/$1
  [ -f "$base" ] && return
  echo "$1: debootstrap"
  rm -rf --one-file-system "$root"
  debootstrap --variant=minbase "$1" "$root" >"$directory/$1.debootstrap.log" 2>&1 || return
  copy_network "$root"
  in_chroot "$root" \
    'apt-get update -qq; apt-get install -y -qq --no-install-recommends git make ca-certificates' \
    >>"$directory/$1.debootstrap.log" 2>&1 || return
  tar -C "$root" -cf "$base.part" . && mv "$base.part" "$base"
}

# A wheel in a fresh venv: an inference as PyTorch did it, and the command. This machine fetches numpy.
try_wheel() {
  local root=$1 version
  in_chroot "$root" \
    'apt-get update -qq; apt-get install -y -qq --no-install-recommends python3-venv' || return
  version=$(in_chroot "$root" 'python3 -c "import sys; print(*sys.version_info[:2], sep=chr(46))"')
  mkdir "$root/root/wheels"
  cp out/wheels/libpi0-*.whl "$root/root/wheels/" || return
  python3 -m pip download -q --only-binary :all: --python-version "$version" numpy \
    -d "$root/root/wheels" || return
  in_chroot "$root" '
    cd /root/libpi0
    echo "compiler: $(command -v c++ cc gcc clang || echo none); $(python3 --version)"
    python3 -m venv /root/venv
    /root/venv/bin/pip install --no-index --find-links /root/wheels libpi0
    /root/venv/bin/python tools/try_wheel.py examples/policy
    /root/venv/bin/python -m libpi0 --version'
}

# One row of the table; 1 where a stage fails.
check() {
  local root=$directory/$1 row failed=""
  make_base "$1" || { echo "$1||||||debootstrap failed: $directory/$1.debootstrap.log"; return 1; }
  rm -rf --one-file-system "$root"
  mkdir "$root"
  tar -C "$root" -xf "$directory/$1.tar"
  copy_network "$root"
  git clone -q --no-hardlinks . "$root/root/libpi0"
  local -A seconds=()
  for stage in $stages; do
    local begin=$SECONDS
    local run=(in_chroot "$root" "cd /root/libpi0; make $stage")
    [ "$stage" != wheel ] || run=(try_wheel "$root")
    if "${run[@]}" >"$directory/$1.$stage.log" 2>&1; then
      seconds[$stage]=$((SECONDS - begin))
    else
      seconds[$stage]=failed failed=${failed:-"$stage failed: $directory/$1.$stage.log"}
    fi
  done
  row=$(in_chroot "$root" '. /etc/os-release; echo "$PRETTY_NAME|$(c++ -dumpfullversion 2>/dev/null)|$(cmake --version 2>/dev/null | sed -n "s/cmake version //p")"' || echo "$1||")
  echo "$row|${seconds[demo]:-}|${seconds[check]:-}|${seconds[wheel]:-}|${failed:-passed}"
  rm -rf --one-file-system "$root"
  [ -z "$failed" ]
}

table="distribution|g++|cmake|demo, s|check, s|wheel, s|result"
status=0
for distribution in "$@"; do
  echo "$distribution: $stages (logs: $directory/$distribution.*.log)" >&2
  row=$(check "$distribution") || status=1
  table+=$'\n'$(tail -n 1 <<<"$row")
done
column -t -s '|' <<<"$table"
exit $status
