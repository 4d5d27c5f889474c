#!/usr/bin/env bash
# Follow README.md's first commands on a machine that has only Debian's base system:
# build, fetch a model from a file server, label a photo. Print the time of each step.
# Needs root, debootstrap and a Debian mirror. The machine is a chroot in a temporary
# folder, or in FOLDER, which is kept and used again.
# Usage: bare_machine.sh [FOLDER]
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suite=${SUITE:-bookworm}
work=$(mktemp -d)
root=$(realpath -m "${1:-$work/root}")
name=cifar10-resnet56 # small, and in the manifest
server=

say() { printf 'bare_machine: %s\n' "$*" >&2; }

clean() {
  [ -z "$server" ] || kill "$server"
  rm -rf --one-file-system "$work"
}
trap clean EXIT

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
  say "skipped: it needs root and debootstrap"
  exit 77
fi

if [ ! -e "$root/etc/debian_version" ]; then
  say "installing the base system of $suite"
  mkdir -p "$root"
  debootstrap --variant=minbase "$suite" "$root" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 5 "$work/debootstrap.log" >&2; exit 1; }
fi
cp /etc/resolv.conf "$root/etc/"
# This machine's mirror may need a proxy, or its lists may be old.
settings=$(apt-config dump | grep -E '^Acquire::(http::Proxy|Check-)' || true)
printf '%s\n' "$settings" >"$root/etc/apt/apt.conf.d/99host"
checkout=$root/root/libresnet
[ -d "$checkout" ] || git clone -q "$source" "$checkout"
git -C "$checkout" fetch -q "$source" HEAD
git -C "$checkout" reset -q --hard FETCH_HEAD
cp "$source/models/samples/cat-tabby.jpg" "$checkout/photo.jpg"
rm -rf "$checkout/nets"

# The model comes from the server only: its entry has no file in the checkout.
mkdir "$work/served"
cp "$source/models/$name.onnx" "$work/served/"
python3 - "$source/models/manifest.json" $name >"$root/root/manifest.json" <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    entry = next(one for one in json.load(file)["models"] if one["name"] == sys.argv[2])
print(json.dumps({"models": [entry | {"file": None, "urls": ["https://example.invalid/x"]}]}))
PYTHON
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/served" 0 >"$work/port" 2>&1 &
server=$!
until port=$(grep -oE 'port [0-9]+' "$work/port"); do sleep 0.1; done
port=${port#port }

# step COMMAND: run it on the bare machine, and print its time.
step() {
  local start=$SECONDS
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --pid --fork sh -ec '
    mount -t proc proc "$1/proc"
    mount --bind /dev "$1/dev"
    exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
      chroot "$1" bash -euc "cd /root/libresnet && $2"' sh "$root" "$1"
  say "$((SECONDS - start)) s: $1"
}

step "tools/build release resnet"
step "python3 models/get.py --manifest ../manifest.json --mirror http://127.0.0.1:$port $name -o nets"
step "build/release/resnet classify -m nets/$name.onnx photo.jpg | tee ../output"
grep -q '%  cat$' "$root/root/output" || { say "the photo of a cat is not labelled"; exit 1; }
say "$SECONDS s in all"
