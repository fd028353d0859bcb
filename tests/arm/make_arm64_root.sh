#!/bin/sh
# Makes a Debian 12 arm64 userland (the base of 64-bit Raspberry Pi OS) with Python, LiteRT and pytest, to run under QEMU.
# Needs root, debootstrap, qemu-user-static, and network access to a Debian mirror and the Python package index.
#
#   make_arm64_root.sh DIR PYTHON LITERT_VERSION
#
# DIR takes about 400 MB and two minutes; a complete one is left as it is. PYTHON is one of this machine, with pip.
# Prints nothing but errors. Exits with 77 when this machine lacks something, and says what.
set -eu

root=$1
python=$2
litert=$3
complete=opt/complete-litert-$litert

lacks() {
  echo "$1" >&2
  exit 77
}

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9
[ ! -e "$root/$complete" ] || exit 0
[ "$(id -u)" = 0 ] || lacks "making an arm64 userland needs root"
command -v debootstrap >/dev/null || lacks "debootstrap is not installed"
command -v qemu-aarch64-static >/dev/null || lacks "qemu-aarch64-static is not installed (package qemu-user-static)"

# Programs that run programs (dpkg does) need the kernel to know that QEMU runs arm64 ones.
binfmt=/proc/sys/fs/binfmt_misc
[ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt || lacks "binfmt_misc cannot be mounted here"
[ -e $binfmt/qemu-aarch64 ] || grep -v '^#' /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register ||
  lacks "QEMU cannot be registered with binfmt_misc here"

# The mirror that this machine uses itself; without one, debootstrap's own default.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" {print $1; exit}')

partial=$root.partial
rm -rf "$root" "$partial"
mkdir -p "$partial"
log=$root.log
# shellcheck disable=SC2086  # no mirror is no argument
debootstrap --arch=arm64 --foreign --variant=minbase --include=python3 bookworm "$partial" $mirror >"$log" 2>&1 &&
  chroot "$partial" /debootstrap/debootstrap --second-stage >>"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
"$python" -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-compile --target "$partial/opt/site-packages" \
  --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
  --python-version 311 --only-binary=:all: "ai-edge-litert==$litert" numpy pytest hypothesis
cp "$(command -v qemu-aarch64-static)" "$partial/usr/bin/"
rm -rf "$partial"/var/cache/apt/archives/*.deb
touch "$partial/$complete"
mv "$partial" "$root"
