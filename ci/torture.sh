#!/usr/bin/env bash
# The torture in full: 10,000 processes killed while they use a segment, a million words of it overwritten,
# and 100 rounds of processes that fork, are stopped, live in namespaces of their own and meet their limits.
#
#   ci/torture.sh [ARGUMENT...]      arguments go to the test program: a name, for example
#
# MMF_TORTURE_SEED, MMF_TORTURE_KILLS, MMF_TORTURE_WORDS and MMF_TORTURE_UNREST may say otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MMF_TORTURE_KILLS=${MMF_TORTURE_KILLS:-10000} MMF_TORTURE_WORDS=${MMF_TORTURE_WORDS:-1000000}
export MMF_TORTURE_UNREST=${MMF_TORTURE_UNREST:-100}
exec cargo test --release -p mmf --test torture -- --test-threads=1 "$@"
