#!/usr/bin/env bash
# Runs the models of the locks' algorithms (crates/models): all interleavings of the small models, and those with a few
# preemptions of the others. The time limit keeps a model that has grown from blocking the rest.
#
#   ci/models.sh [FILTER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# A directory of its own: in the usual one, each change of the flag would make cargo rebuild everything.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/models
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}" LOOM_MAX_BRANCHES=${LOOM_MAX_BRANCHES:-20000}
models() { timeout --foreground "${LIMIT:-900}" cargo test --release -p models --lib -- --test-threads=1 "$@"; }
[ $# = 0 ] || { models "$@"; exit; }
# The longest model takes about as long as all others together, and runs beside them in a process of its own: loom
# creates a stack for each thread of each interleaving, and the threads of one process would contend for that.
timeout --foreground "${LIMIT:-900}" cargo test --release -p models --lib --no-run
models --skip rwlock::a_reader_and_a_writer &
longest=0
models --exact rwlock::a_reader_and_a_writer || longest=$?
wait $!
exit $longest
