#!/bin/sh
# Whether this tree computes the same bits as another version of Pumice: sh .ci/same-bits.sh OLD, where OLD is a folder with the other version's
# source. Trains five networks for 200 steps with both and compares the weights; then compares all values of every row of the case table,
# with the kernels for software adapters and for GPUs, where the other version has `PUMICE_BITS` too. Exit code 1 where anything differs.
set -eu

new=$(pwd)
old=$(cd "$1" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
status=0

for tree in "$old" "$new"; do
    (cd "$tree" && cargo build --release --locked)
done

# weights NAME SPEC ARGUMENTS…
weights() {
    name=$1
    spec=$2
    shift 2
    for version in old new; do
        eval "tree=\$$version"
        program="${CARGO_TARGET_DIR:-$tree/target}/release/pumice"
        "$program" train "$tree/assets/models/$spec.json" --out "$out/$version-$name" --steps 200 --batch 16 "$@" >"$out/log" 2>&1 || {
            cat "$out/log" >&2
            exit 1
        }
    done
    if cmp -s "$out/old-$name/weights.safetensors" "$out/new-$name/weights.safetensors"; then
        echo "$name: same bits ($(sha256sum "$out/new-$name/weights.safetensors" | cut -c1-16))"
    else
        echo "$name: OTHER BITS"
        status=1
    fi
}

# Pictures of CIFAR-10's side, from the digits that the program has.
grey='--set data={"kind":"bundled","classes":10} --set input.channels=1 --set input.normalize=null'
weights lenet5 lenet5_mnist
weights cnn7 cnn7_mnist
weights mlp mlp_mnist
# shellcheck disable=SC2086
weights resnet20 resnet20_cifar10 $grey --set input.height=28 --set input.width=28
# shellcheck disable=SC2086
weights mobilenet_v1 mobilenet_v1 $grey --set input.height=28 --set input.width=28

for version in old new; do
    eval "tree=\$$version"
    (cd "$tree" && PUMICE_BITS="$out/$version.rows" cargo test --locked --test kernels cases:: -- --test-threads=1 >"$out/log" 2>&1) || {
        cat "$out/log" >&2
        exit 1
    }
done
if [ ! -e "$out/old.rows" ]; then
    echo "rows: the other version does not write PUMICE_BITS"
elif cmp -s "$out/old.rows" "$out/new.rows"; then
    echo "rows: same bits in all $(wc -l <"$out/new.rows") values"
else
    echo "rows: OTHER BITS"
    diff "$out/old.rows" "$out/new.rows" | head -n 20
    status=1
fi
exit $status
