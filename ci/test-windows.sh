#!/usr/bin/env bash
# Runs every check of the other systems that a Debian 12 machine can run: clippy for Windows and macOS, then the tests
# as real Windows programs under Wine (x86-64, x86, ARM64; GNU, LLVM and MSVC) and as an ARM64 Linux program under qemu.
#
#   ci/test-windows.sh [TARGET...]      all targets, or only these
#
# The first run builds the toolchain (ci/windows-toolchain.sh), which takes some minutes. Logs stay in
# target/windows/logs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
cd "$ROOT"

LINT=(x86_64-pc-windows-msvc aarch64-pc-windows-msvc aarch64-apple-darwin)
TEST=(x86_64-pc-windows-gnu i686-pc-windows-gnu x86_64-pc-windows-msvc i686-pc-windows-msvc
    aarch64-pc-windows-gnullvm aarch64-unknown-linux-musl)
PACKAGES=(-p mmf -p mmf-cli -p testkit)
SHORT=(-p mmf --lib --test conformance) # emulation is slow: only the unit tests and those that touch the system
LIMIT=${LIMIT:-1200}                    # seconds for one run, building included: a hanging test must not hang the rest

wanted=("$@")
for t in "${wanted[@]}"; do
    [[ " ${LINT[*]} ${TEST[*]} " == *" $t "* ]] || die "unknown target $t; known: ${LINT[*]} ${TEST[*]}"
done
want() { [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]; }

"$here/windows-toolchain.sh"
# shellcheck disable=SC1091 # created by the line above
. "$PREFIX/env.sh"
unset RUSTC RUSTC_WRAPPER RUSTFLAGS RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET || true
PATH=$PREFIX/toolchain/bin:$PATH # the same as cargo +windows-cross, but works without rustup
# a directory of its own: in a shared one, each change of rustc would make cargo rebuild everything
export CARGO_TARGET_DIR=$ROOT/target/windows
export RUST_BACKTRACE=0 # in 32-bit MSVC programs, walking the stack never ends under Wine
zig_cache=$PREFIX/zig-cache
if [ ! -w "$zig_cache" ]; then zig_cache=$CARGO_TARGET_DIR/zig-cache; fi
export ZIG_GLOBAL_CACHE_DIR=$zig_cache ZIG_LOCAL_CACHE_DIR=$zig_cache
logs=$CARGO_TARGET_DIR/logs
mkdir -p "$logs" "$CARGO_TARGET_DIR/peers"

# One run per clone. No child process may inherit the lock (9>&-): a Wine server outlives a script that was killed.
exec 9>"$CARGO_TARGET_DIR/lock"
flock -n 9 || die "another run of $0 is under way in this clone"

# ---------------------------------------------------------------- Wine
# Each run has Wine prefixes of its own. The names of objects are local to a prefix, so concurrent runs (and other users
# of the toolchain's prefix) do not interfere, and at the end all processes in them can be ended, since they belong to
# this run. A persistent server (-p) saves the second that each program after a pause would wait for a new one.
started=()
wine() { # wine KIND: sets WINEPREFIX for wine or wine-arm64
    local kind=$1 from=$PREFIX/wineprefix${1#wine} to=$CARGO_TARGET_DIR/prefix-$1
    export WINEPREFIX=$to
    [[ " ${started[*]} " != *" $kind "* ]] || return 0
    end_wine "$kind" # left over by a killed run
    mkdir -p "$to"
    cp -a "$from"/{drive_c,dosdevices,.update-timestamp,*.reg} "$to/"
    # another user may have created the prefix, so this user needs a home in it
    mkdir -p "$to/drive_c/users/$(id -un)/AppData/Local/Temp"
    started+=("$kind")
    "$PREFIX/$kind/usr/lib/wine/wineserver" -f -p >/dev/null 2>&1 </dev/null 9>&- &
}
end_wine() {
    local to=$CARGO_TARGET_DIR/prefix-$1
    [ -d "$to" ] || return 0
    WINEPREFIX=$to timeout 60 "$PREFIX/$1/usr/lib/wine/wineserver" -k 9>&- || true
    rm -rf "$to"
}
running=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local k
    [ -z "$running" ] || kill "$running" 2>/dev/null || true
    for k in "${started[@]}"; do end_wine "$k"; done
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# ---------------------------------------------------------------- runs
rows=() failed=0
row() { rows+=("$(printf '%-28s %-7s %7s %7s %7s %6s  %s' "$@")"); }
# run LOG COMMAND...: runs the command in the background, since only wait is interrupted by a signal at once. (timeout
# is in a process group of its own and receives no Ctrl-C: clean_up kills it.)
run() {
    local log=$1 status=0 shown; shift
    : >"$log" # exists before tail opens it
    timeout -k 30 "$LIMIT" "$@" >"$log" 2>&1 </dev/null 9>&- &
    running=$!
    tail -n +1 -f -s 0.3 --pid="$running" "$log" 9>&- &
    shown=$!
    wait "$running" || status=$?
    running=
    wait "$shown" || true
    [ $status -ne 124 ] || echo "stopped after $LIMIT s" | tee -a "$log"
    return $status
}
lint() { # lint TARGET
    local t=$SECONDS result=ok
    echo "== clippy for $1"
    run "$logs/clippy-$1.log" cargo clippy "${PACKAGES[@]}" --all-targets --target "$1" -- -D warnings || { result=FAILED failed=1; }
    row "$1" clippy - - - "$((SECONDS - t)) s" "$result"
}
# wine_died LOG: whether a signal ended Wine after all tests had passed. A Windows program cannot cause this: its own
# faults are exceptions, which end it with an exit code.
wine_died() {
    grep -q 'process didn.t exit successfully.*(signal: ' "$1" && ! grep -q -e '^test result: FAILED' -e '(exit code: ' "$1" &&
        awk '/^test result: ok/ { passed = 1 } /^ +Running |^running / { passed = 0 } /\(signal: / && !passed { died = 1 } END { exit died }' "$1"
}
run_tests() { # run_tests TARGET ARG...
    local t=$SECONDS target=$1 result=ok status=0 counts; shift
    echo "== tests for $target"
    run "$logs/test-$target.log" cargo test --no-fail-fast --target "$target" "$@" || status=$?
    if [ $status -ne 0 ] && wine_died "$logs/test-$target.log"; then
        echo "== Wine itself has died at the end of a test program that had passed: once more"
        status=0
        run "$logs/test-$target.log" cargo test --no-fail-fast --target "$target" "$@" || status=$?
    fi
    counts=$(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$logs/test-$target.log")
    if [ $status -ne 0 ]; then result="FAILED ($status)"; elif [ "${counts%% *}" = 0 ]; then result="FAILED: no test ran"; fi
    [ "$result" = ok ] || failed=1
    # shellcheck disable=SC2086 # three numbers
    row "$target" tests $counts "$((SECONDS - t)) s" "$result"
}

# ---------------------------------------------------------------- peers: other programs on the same memory
windows_path() { echo "Z:${1//\//\\}"; } # Wine shows / as Z:
# conformance TARGET: builds the conformance test of this target, which a run of the other bitness starts as its second
# process, and records its path
declare -A built=()
conformance() {
    [ -z "${built[$1]:-}" ] || return 0
    echo "== the $1 conformance test, as a peer"
    local json=$logs/peer-$1.json exe
    timeout --foreground -k 30 "$LIMIT" cargo test -q --no-run --message-format=json -p mmf --test conformance --target "$1" >"$json" </dev/null 9>&- || return 1
    exe=$(python3 -c '
import json, sys
found = [m["executable"] for m in map(json.loads, sys.stdin) if m["reason"] == "compiler-artifact" and m["executable"] and m["target"]["name"] == "conformance"]
print(found[-1])' <"$json") || return 1
    built[$1]=$(windows_path "$exe")
}
# c_peer SOURCE ARCH COMPILER...: builds a peer in C that calls the Win32 functions directly, as a foreign program does
c_peer() {
    local source=$1 arch=$2; shift 2
    local name; name=$(basename "$source" .c)
    local exe=$CARGO_TARGET_DIR/peers/$name-$arch.exe
    [ -z "${built[$name-$arch]:-}" ] || return 0
    echo "== $name.c for $arch"
    timeout --foreground 300 "$@" -std=c11 -O1 -Wall -Wextra -Werror -o "$exe" "crates/mmf/$source" </dev/null 9>&- || return 1
    built[$name-$arch]=$(windows_path "$exe")
}
peer_failed() { row "$1" peer - - - - FAILED; failed=1; }

for t in "${LINT[@]}"; do ! want "$t" || lint "$t"; done

for t in "${TEST[@]}"; do
    want "$t" || continue
    unset MMF_TEST_PEER MMF_TEST_C_PEER MMF_TEST_C_WORKER MMF_TEST_RUNNER
    case $t in
        x86_64-*) arch=x86_64 other=i686-pc-windows-gnu c=(x86_64-w64-mingw32-gcc -static) ;;
        i686-*) arch=i686 other=x86_64-pc-windows-gnu c=(i686-w64-mingw32-gcc -static) ;;
        aarch64-pc-windows-*) arch=aarch64 other="" c=("$PREFIX/py/ziglang/zig" cc -target aarch64-windows-gnu) ;;
        *)  # Not Windows. Linux cannot start an ARM64 program here, so testkit starts each second process through the runner.
            MMF_TEST_RUNNER=$PREFIX/qemu/qemu-aarch64 run_tests "$t" "${SHORT[@]}"
            continue ;;
    esac
    if [ -n "$other" ]; then
        if conformance "$other"; then export MMF_TEST_PEER=${built[$other]}; else peer_failed "$other"; fi
    fi
    if c_peer tests/peers/win32_peer.c "$arch" "${c[@]}"; then
        export MMF_TEST_C_PEER=${built[win32_peer-$arch]}
    else
        peer_failed "win32_peer.c $arch"
    fi
    if c_peer examples/frames_worker.c "$arch" "${c[@]}"; then
        export MMF_TEST_C_WORKER=${built[frames_worker-$arch]}
    else
        peer_failed "frames_worker.c $arch"
    fi
    if [ "$arch" = aarch64 ]; then
        wine wine-arm64; run_tests "$t" "${SHORT[@]}"
    else
        wine wine; run_tests "$t" "${PACKAGES[@]}"
    fi
done

echo
printf '%-28s %-7s %7s %7s %7s %6s  %s\n' target what passed failed ignored time result
printf '%s\n' "${rows[@]}"
exit $failed
