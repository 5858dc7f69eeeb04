#!/bin/sh
# Sees to the libraries that a window loads at run time on Linux; with `test`, also to a display without a screen.
# Installs what is missing on Debian and its kin; elsewhere names it.
set -eu
[ "$(uname -s)" = Linux ] || exit 0

has() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1"* >/dev/null 2>&1; }

packages=
for pair in libXcursor.so.1:libxcursor1 libXi.so.6:libxi6 libxkbcommon-x11.so.0:libxkbcommon-x11-0 \
    libxkbcommon.so.0:libxkbcommon0 libfontconfig.so.1:libfontconfig1; do
    has "${pair%%:*}" || packages="$packages ${pair##*:}"
done
if [ "${1:-}" = test ]; then
    command -v Xvfb >/dev/null || packages="$packages xvfb"
    command -v openbox >/dev/null || packages="$packages openbox"
    [ -n "$(fc-list :lang=zh 2>/dev/null | head -n 1)" ] || packages="$packages fontconfig fonts-wqy-microhei"
fi
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "error: a window needs what Debian calls$packages; install it" >&2
    exit 1
fi
echo "Installing what a window needs:$packages"
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "error: sudo is missing; run as root: apt-get install$packages" >&2; exit 1; }
    sudo=sudo
fi
$sudo apt-get update -q
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
