#!/usr/bin/env bash
# Kills ten thousand processes, or KILLS, that share one segment, at random instants. Some minutes; not part of what must pass each time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
MMF_TORTURE_KILLS=${KILLS:-10000} exec cargo test --release -p mmf --test torture -- --nocapture
