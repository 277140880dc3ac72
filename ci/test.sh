#!/usr/bin/env bash
# Runs the tests as the README describes, and those of the `serde` feature. With a target
# (ci/test.sh i686-pc-windows-msvc), runs only the former, for that target.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# -eq 0 ]; then
    cargo test -p mmf --features serde --lib handoff
    exec cargo test
fi
exec cargo test --target "$1"
