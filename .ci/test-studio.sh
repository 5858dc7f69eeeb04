#!/bin/sh
# The desktop trainer: formatting, lints, tests, and a scripted run of the real window under Xvfb. Its pictures and run
# are left in target-studio/window. Exits with the first failure's status.
set -eu
export NODEVICE_SELECT=1
studio="--manifest-path studio/Cargo.toml --target-dir target-studio --locked"
find studio/build.rs studio/src studio/tests -name '*.rs' -exec rustfmt --check --edition 2024 --config-path . {} +
# shellcheck disable=SC2086
cargo clippy $studio --all-targets -- -D warnings
# shellcheck disable=SC2086
cargo test $studio
# shellcheck disable=SC2086
cargo build $studio

rm -rf target-studio/window
mkdir -p target-studio/window
cd target-studio/window
number=$(mktemp)
Xvfb -displayfd 3 -screen 0 1280x860x24 3>"$number" 2>/dev/null &
screen=$!
trap 'kill $screen; rm -f "$number"' EXIT
# A slow machine takes its time; a display that never comes ends this by the window's own message.
waited=0
while [ ! -s "$number" ] && [ $waited -lt 120 ]; do
    sleep 1
    waited=$((waited + 1))
done
DISPLAY=":$(head -n 1 "$number")"
export DISPLAY PUMICE_STUDIO_SETTINGS="$PWD/settings.json"
openbox >/dev/null 2>&1 &
timeout 900 ../debug/pumice-studio --script ../../studio/tests/window.script
# Closing has written what the command line goes on from.
test -s runs/lenet5_mnist-1/weights.safetensors
# The menu has written the network for other programs.
test -s runs/lenet5_mnist-1/lenet5_mnist.onnx
