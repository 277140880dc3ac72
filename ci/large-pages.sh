#!/usr/bin/env bash
# Puts eight large pages into the system's pool, for the tests that need them (Linux, as root). Elsewhere, or if the
# kernel has no large pages, it does nothing, and those tests report that they are skipped.
set -euo pipefail

[ "$(uname)" = Linux ] && [ "$(id -u)" = 0 ] || exit 0
pool=/proc/sys/vm/nr_hugepages
if [ -w $pool ] && [ "$(cat $pool)" -lt 8 ]; then echo 8 >$pool || echo "no large pages can be put into the pool"; fi
