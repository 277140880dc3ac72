#!/usr/bin/env bash
# The documentation, with broken links as errors: once as we read it, then as users do (which is what stays in target/doc).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings"
cargo doc --no-deps --document-private-items
cargo doc --no-deps
