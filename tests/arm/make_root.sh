#!/bin/sh
# Makes a Debian 12 userland for arm64 or armhf, which 64-bit Raspberry Pi OS builds on and 32-bit Raspberry Pi OS resembles,
# with Debian packages, a runtime, and on arm64 pytest too; its programs then run under QEMU after a chroot.
# Needs root, debootstrap, qemu-user-static, and network access to a Debian mirror and the Python package index.
#
#   make_root.sh arm64|armhf DIR PYTHON RUNTIME PACKAGE...
#
# The packages are unpacked, not configured: that is enough for Python, and takes no emulation.
# DIR takes about 500 MB and a minute; where there is one, it is complete and stays. PYTHON is one of this machine, with
# pip; RUNTIME is a requirement for it, such as ai-edge-litert==2.3.0.
# Prints nothing but errors. Exits with 77 when this machine lacks something, and says what.
set -eu

architecture=$1
root=$2
python=$3
runtime=$4
shift 4
packages=$(echo "$*" | tr ' ' ',')

case $architecture in
  arm64)
    emulator=qemu-aarch64
    wheels="$runtime numpy pytest hypothesis"
    platforms="manylinux_2_28_aarch64 manylinux_2_27_aarch64 manylinux2014_aarch64"
    ;;
  armhf)
    emulator=qemu-arm
    wheels="--no-deps $runtime" # Debian's numpy is older than 2, as tflite-runtime needs it
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
[ "$(id -u)" = 0 ] || lacks "running an $architecture userland needs root"

# Since the last boot nobody may have told the kernel what runs these programs.
binfmt=/proc/sys/fs/binfmt_misc
[ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt || lacks "binfmt_misc cannot be mounted here"
if [ ! -e $binfmt/$emulator ]; then
  [ -e /usr/lib/binfmt.d/$emulator.conf ] || lacks "$emulator is not installed (package qemu-user-static)"
  cat /usr/lib/binfmt.d/$emulator.conf >$binfmt/register
fi

[ ! -e "$root" ] || exit 0
command -v debootstrap >/dev/null || lacks "debootstrap is not installed"

# The mirror that this machine uses itself; without one, debootstrap's own default.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" {print $1; exit}')

partial=$root.partial
rm -rf "$partial"
mkdir -p "$partial"
log=$root.log
# shellcheck disable=SC2086  # no mirror is no argument
debootstrap --arch=$architecture --foreign --variant=minbase --include="$packages" bookworm "$partial" $mirror >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
for package in "$partial"/var/cache/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --skip-old-files -f - -C "$partial"
done
# The one thing that configuring would add: which BLAS and LAPACK numpy takes.
for library in blas/libblas lapack/liblapack; do
  for file in "$partial"/usr/lib/*/$library.so.3; do
    ln -s "$library.so.3" "${file%/*/*}/"
  done
done
# shellcheck disable=SC2046,SC2086  # several words
"$python" -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-compile --target "$partial/opt/site-packages" \
  $(printf -- '--platform %s ' $platforms) --python-version 311 --only-binary=:all: $wheels
rm -rf "$partial"/var/cache/apt/archives/*.deb
mv "$partial" "$root"
