# Shorthands for the scripts in ci/, which also run without just.

# list the recipes
default:
    @just --list --unsorted

# run the tests on this machine
test *target:
    ci/test.sh {{target}}

# check formatting, imports, language and lints
lint:
    ci/lint.sh

# build the documentation, with broken links as errors
doc:
    ci/doc.sh

# check with the oldest supported Rust
msrv:
    ci/check-msrv.sh

# run the Windows tests under Wine and the ARM64 tests under qemu, on Debian 12: all targets, or those named
windows *targets:
    ci/test-windows.sh {{targets}}

# run the models of the locks with loom
models *filter:
    ci/models.sh {{filter}}

# kill ten thousand processes that share one segment
torture:
    ci/torture.sh

# run every check that must pass before a change lands
all:
    .ci/run

# run the demo
demo:
    cargo run --release -p mmf-cli -- demo
