#!/usr/bin/env bash
# The interleavings of the locks' algorithms (crates/models): all of them for the small models, those with a few changes of thread for the
# others. With a time limit: a model that grows must not stop everything.
#
#   ci/models.sh [FILTER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# apart from the usual one: the flag would make cargo build everything again, here and there
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/models
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}" LOOM_MAX_BRANCHES=${LOOM_MAX_BRANCHES:-20000}
exec timeout --foreground "${LIMIT:-900}" cargo test --release -p models --lib -- "$@"
