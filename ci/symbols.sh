#!/usr/bin/env bash
# Checks that a release build contains no test hooks: neither their functions nor the names of the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}/symbols
# Without LTO, which would leave only bitcode in the library.
CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_LTO=off cargo build --release -p mmf
library=$target/release/libmmf.rlib

symbols=$(nm "$library" 2>/dev/null)
# If nm shows no symbols of the library, the checks below prove nothing.
grep -q 'mmf7segment' <<<"$symbols" || { echo "nm shows no symbols of $library" >&2; exit 1; }
steps=$(grep -rhoE --exclude=tests.rs '\bstep\("[^"]+"\)' crates/mmf/src | sed 's/^step("\(.*\)")$/\1/' | sort -u)
[ "$(wc -l <<<"$steps")" -gt 20 ] || { echo "the source has no names of steps" >&2; exit 1; }

status=0
if grep -E 'test_hooks|stop_at|report_at|segment.{0,4}steps' <<<"$symbols" >&2; then
    echo "$library has test hooks" >&2
    status=1
fi
# (lib.rmeta is left out: it is for the compiler and never linked.)
mapfile -t objects < <(ar t "$library" | grep '\.o$')
if found=$(ar p "$library" "${objects[@]}" | grep -aoF "$steps" | sort -u) && [ -n "$found" ]; then
    printf '%s has the names of steps:\n%s\n' "$library" "$found" >&2
    status=1
fi
# The command uses the same library. None of its dependencies may enable the hooks.
if cargo tree -q -p mmf-cli -e normal,build,features | grep 'test-hooks' >&2; then
    echo "mmf-cli enables the test hooks" >&2
    status=1
fi
exit $status
