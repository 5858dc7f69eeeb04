#!/bin/sh
# Formatting, lints, tests; ends with one line of totals over all test programs. Exits with the first failure's status.
# With CASES set, only the rows of the case table that have it in their names.
set -eu

programs=
if [ -n "${CASES:-}" ]; then
    programs='--test kernels cases::'
else
    # By file: cargo fmt does not see modules that a macro declares.
    find build.rs src tests examples -name '*.rs' -exec rustfmt --check --edition 2024 {} +
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --lib --no-deps --locked
    # The library in a browser: nothing of the command line, no threads, no files.
    if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib" ]; then
        cargo check --lib --no-default-features --target wasm32-unknown-unknown --locked
    else
        echo "SKIPPED: the check for WebAssembly; \`rustup target add wasm32-unknown-unknown\` installs its target"
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A pipe would hide cargo's status from sh: it is carried over in a file.
# shellcheck disable=SC2086
{ cargo test --locked --no-fail-fast $programs 2>&1 && echo 0 >"$log.status" || echo $? >"$log.status"; } | tee "$log"
status=$(cat "$log.status")
rm -f "$log.status"
awk '/^test result: / { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
