#!/usr/bin/env bash
# A release build has no hook of the tests: neither the functions nor the names of the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}/symbols
# Without LTO, which would leave nothing but bitcode in the library.
CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_LTO=off cargo build --release -p mmf
library=$target/release/libmmf.rlib

symbols=$(nm "$library" 2>/dev/null)
# A library of which nm shows nothing would prove nothing.
grep -q 'mmf7segment' <<<"$symbols" || { echo "nm shows no symbols of $library" >&2; exit 1; }
steps=$(grep -rhoE --exclude=tests.rs '\bstep\("[^"]+"\)' crates/mmf/src | sed 's/^step("\(.*\)")$/\1/' | sort -u)
[ "$(wc -l <<<"$steps")" -gt 20 ] || { echo "the source has no names of steps" >&2; exit 1; }

status=0
if grep -E 'test_hooks|stop_at|report_at|segment.{0,4}steps' <<<"$symbols" >&2; then
    echo "$library has test hooks" >&2
    status=1
fi
# (Not in lib.rmeta, which is for the compiler and never linked.)
mapfile -t objects < <(ar t "$library" | grep '\.o$')
if found=$(ar p "$library" "${objects[@]}" | grep -aoF "$steps" | sort -u) && [ -n "$found" ]; then
    printf '%s has the names of steps:\n%s\n' "$library" "$found" >&2
    status=1
fi
# The command is built with the same library: nothing that it depends on enables the hooks.
if cargo tree -q -p mmf-cli -e normal,build,features | grep 'test-hooks' >&2; then
    echo "mmf-cli enables the test hooks" >&2
    status=1
fi
exit $status
