#!/usr/bin/env bash
# Checks the workspace with exactly the Rust version that Cargo.toml's rust-version promises. (Clippy's
# incompatible_msrv sees library functions only; an old compiler sees everything.) The benches are excluded: they are
# never published, and may use newer features.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
cd "$ROOT"

msrv=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
[ -n "$msrv" ] || die "Cargo.toml names no rust-version"
targets=(x86_64-pc-windows-gnu)

unset RUSTC RUSTC_WRAPPER RUSTFLAGS RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET || true
# a directory of its own: in a shared one, each change of compiler would make cargo rebuild everything
export CARGO_TARGET_DIR=$ROOT/target/msrv

rustups=""
if command -v rustup >/dev/null; then rustups=$(rustup toolchain list | awk '{ print $1 }'); fi
if name=$(grep -E -m1 "^${msrv//./\\.}(\.[0-9]+)?-" <<<"$rustups"); then
    cargo=(cargo "+$name") rustc=(rustc "+$name")
else
    "$here/msrv-toolchain.sh"
    PATH=$PREFIX/msrv/bin:$PATH
    cargo=(cargo) rustc=(rustc)
fi
version=$("${rustc[@]}" --version)
case $version in "rustc $msrv."*) ;; *) die "rust-version is $msrv, but the toolchain for checking it is $version" ;; esac
echo "$version"

"${cargo[@]}" check --workspace --exclude bench
libraries=$("${rustc[@]}" --print sysroot)/lib/rustlib
for t in "${targets[@]}"; do
    if [ -d "$libraries/$t" ]; then "${cargo[@]}" check --workspace --exclude bench --target "$t"
    else echo "no std for $t in this toolchain: not checked for it"; fi
done
