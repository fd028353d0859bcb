#!/bin/sh
# Makes a Debian 12 userland for arm64 or armhf, which 64-bit Raspberry Pi OS builds on and 32-bit Raspberry Pi OS resembles,
# with Python, numpy and a runtime (on arm64 pytest too), to run under QEMU.
# Needs root, debootstrap, qemu-user-static, and network access to a Debian mirror and the Python package index.
#
#   make_root.sh arm64|armhf DIR PYTHON RUNTIME
#
# The packages are unpacked, not configured: that is enough for Python, and takes no emulation.
# DIR takes about 400 MB and a minute; a complete one is left as it is. PYTHON is one of this machine, with pip; RUNTIME is
# a requirement for it, such as ai-edge-litert==2.3.0.
# Prints nothing but errors. Exits with 77 when this machine lacks something, and says what.
set -eu

architecture=$1
root=$2
python=$3
runtime=$4
complete=opt/complete-$runtime

case $architecture in
  arm64)
    emulator=qemu-aarch64
    packages=python3
    wheels="$runtime numpy pytest hypothesis"
    platforms="manylinux_2_28_aarch64 manylinux_2_27_aarch64 manylinux2014_aarch64"
    ;;
  armhf)
    emulator=qemu-arm
    packages=python3,python3-numpy # older than 2, as tflite-runtime needs it
    wheels="--no-deps $runtime"
    platforms=manylinux_2_34_armv7l
    ;;
esac

lacks() {
  echo "$1" >&2
  exit 77
}

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9
[ ! -e "$root/$complete" ] || exit 0
[ "$(id -u)" = 0 ] || lacks "making an $architecture userland needs root"
command -v debootstrap >/dev/null || lacks "debootstrap is not installed"
command -v $emulator-static >/dev/null || lacks "$emulator-static is not installed (package qemu-user-static)"

# The mirror that this machine uses itself; without one, debootstrap's own default.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" {print $1; exit}')

partial=$root.partial
rm -rf "$root" "$partial"
mkdir -p "$partial"
log=$root.log
# shellcheck disable=SC2086  # no mirror is no argument
debootstrap --arch=$architecture --foreign --variant=minbase --include=$packages bookworm "$partial" $mirror >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
for package in "$partial"/var/cache/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --skip-old-files -f - -C "$partial"
done
# shellcheck disable=SC2046,SC2086  # several words
"$python" -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-compile --target "$partial/opt/site-packages" \
  $(printf -- '--platform %s ' $platforms) --python-version 311 --only-binary=:all: $wheels
cp "$(command -v $emulator-static)" "$partial/usr/bin/"
rm -rf "$partial"/var/cache/apt/archives/*.deb
touch "$partial/$complete"
mv "$partial" "$root"
