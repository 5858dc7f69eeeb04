#!/bin/sh
# Sees to what a build and a run need: cargo, a linker and, on Linux, a Vulkan driver. Installs only the last one, on
# Debian and its kin; elsewhere names what is missing and stops.
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null || fail "cargo is missing; install Rust $needed or later from https://rustup.rs"
found=$(rustc --version | awk '{ print $2 }')
echo "$found $needed" | awk '{ split($1, a, /[.-]/); split($2, b, "."); exit !(a[1] + 0 > b[1] + 0 || (a[1] + 0 == b[1] + 0 && a[2] + 0 >= b[2] + 0)) }' ||
    fail "Rust $found is too old: Pumice needs $needed or later; run \`rustup update\`, or install it from https://rustup.rs"

case "$(uname -s)" in
    Linux) ;;
    # Metal and DX12 come with the system.
    *) exit 0 ;;
esac

command -v cc >/dev/null || fail "the linker cc is missing; install gcc (Debian and Ubuntu: apt-get install gcc libc6-dev)"

[ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || exit 0
for driver in /usr/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
    if [ -e "$driver" ]; then exit 0; fi
done

if ! command -v apt-get >/dev/null; then
    fail "no Vulkan driver found; install your GPU's, or Mesa's software driver (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast, Alpine: mesa-vulkan-swrast)"
fi
echo "No Vulkan driver found: installing Mesa's, with its software adapter (apt-get install mesa-vulkan-drivers)."
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "sudo is missing; run as root: apt-get install mesa-vulkan-drivers"
    sudo=sudo
fi
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mesa-vulkan-drivers
