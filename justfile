# Shorthands. What they do is written in ci/, so that just is not required.

# list the recipes
default:
    @just --list --unsorted

# the tests, on this machine
test *target:
    ci/test.sh {{target}}

# formatting and clippy
lint:
    ci/lint.sh

# the documentation, broken links being errors
doc:
    ci/doc.sh

# check with the oldest Rust that is promised
msrv:
    ci/check-msrv.sh

# Windows tests under Wine and ARM64 tests under qemu, from Debian 12: all targets, or those named
windows *targets:
    ci/test-windows.sh {{targets}}

# the models of the locks, with loom
models *filter:
    ci/models.sh {{filter}}

# ten thousand processes killed over one segment
torture:
    ci/torture.sh

# everything that has to pass before a change lands
all:
    .ci/run

# watch it work
demo:
    cargo run --release -p mmf-cli -- demo
