#!/usr/bin/env bash
# Builds the documentation, with broken links as errors: first with private items, then as users see it. The latter
# stays in target/doc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings"
cargo doc --no-deps --document-private-items
cargo doc --no-deps

# The documents cite tests as evidence. A cited `module::test` must be a test of the conformance suite, or a function
# of the crate's module of that name.
missing=$(grep -ohE '`[a-z_]+::[a-z_0-9]+`' docs/*.md | tr -d '`' | sort -u | while IFS=: read -r module _ test; do
    file=crates/mmf/tests/conformance/$module.rs
    [ ! -e "$file" ] || grep -qs "fn $test\b" "$file" "crates/mmf/src/$module.rs" || echo "$module::$test"
done)
[ -z "$missing" ] || { printf 'docs/*.md name tests that are not there:\n%s\n' "$missing" >&2; exit 1; }
