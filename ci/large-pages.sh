#!/usr/bin/env bash
# Provides large pages for the tests that need some (Linux, as root; elsewhere, or where the kernel has none, it does nothing and those
# tests are skipped and say so): eight in the pool, and transparent ones for named memory that asks for them.
set -euo pipefail

[ "$(uname)" = Linux ] && [ "$(id -u)" = 0 ] || exit 0
pool=/proc/sys/vm/nr_hugepages
if [ -w $pool ] && [ "$(cat $pool)" -lt 8 ]; then echo 8 >$pool || echo "no large pages can be put into the pool"; fi
if [ -d /sys/kernel/mm/transparent_hugepage ] && ! grep -q ' /dev/shm .*huge=' /proc/self/mountinfo; then
    mount -o remount,huge=advise /dev/shm || echo "named memory gets no transparent large pages"
fi
