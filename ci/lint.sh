#!/usr/bin/env bash
# Checks formatting, circles of imports, language and lints for the system that it runs on. ci/test-windows.sh runs
# clippy for the other systems.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo fmt --all --check
python3 ci/circles.py
python3 ci/prose.py
cargo clippy --workspace --all-targets -- -D warnings
