#!/usr/bin/env bash
# The tests, as the README tells a newcomer to run them. With a target (ci/test.sh i686-pc-windows-msvc) for
# that one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# -eq 0 ]; then
    cargo test -p mmf --features serde --lib handoff
    exec cargo test
fi
exec cargo test --target "$1"
