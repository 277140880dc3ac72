#!/usr/bin/env bash
# The interleavings of the locks' algorithms (crates/models): all of them for the small models, those with a
# few changes of thread for the others. With a time limit: a model that grows must not stop everything.
#
#   ci/models.sh [FILTER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# apart from the usual one: the flag would make cargo build everything again, here and there
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/models
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}" LOOM_MAX_BRANCHES=${LOOM_MAX_BRANCHES:-20000}
models() { timeout --foreground "${LIMIT:-900}" cargo test --release -p models --lib -- --test-threads=1 "$@"; }
[ $# = 0 ] || { models "$@"; exit; }
# The one that takes about as long as all others, beside them: in a process of its own, since loom makes a
# stack for each thread of each interleaving, and threads of one process wait for each other with that.
timeout --foreground "${LIMIT:-900}" cargo test --release -p models --lib --no-run
models --skip rwlock::a_reader_and_a_writer &
longest=0
models --exact rwlock::a_reader_and_a_writer || longest=$?
wait $!
exit $longest
