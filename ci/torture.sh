#!/usr/bin/env bash
# Runs the torture test in full: 10,000 processes are killed while they use a segment, a million of its words are
# overwritten, and in 100 rounds processes fork, are stopped, live in namespaces of their own and reach their limits.
#
#   ci/torture.sh [ARGUMENT...]      arguments are passed to the test program, for example the name of a test
#
# MMF_TORTURE_KILLS, MMF_TORTURE_WORDS and MMF_TORTURE_UNREST change these numbers; MMF_TORTURE_SEED sets the seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MMF_TORTURE_KILLS=${MMF_TORTURE_KILLS:-10000} MMF_TORTURE_WORDS=${MMF_TORTURE_WORDS:-1000000}
export MMF_TORTURE_UNREST=${MMF_TORTURE_UNREST:-100}
exec cargo test --release -p mmf --test torture -- --test-threads=1 "$@"
