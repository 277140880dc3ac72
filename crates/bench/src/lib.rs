//! What the benchmarks share: paired measurement, and the bare system calls to compare with.
//!
//! `cargo bench -p bench` measures with criterion. Each group contains the library and its competitors in the
//! same run. `cargo run --release -p bench` prints the ratios: it alternates the sides in short rounds and
//! compares the best rounds. The machine is shared and noisy: run-to-run variation exceeds most differences.
//! We report the best of 40 rounds.

#![allow(clippy::cast_precision_loss, reason = "figures for display")]

pub mod bare;
#[cfg(unix)]
pub mod disk;
pub mod growth;
#[cfg(any(target_os = "linux", windows))]
pub mod locks;
pub mod pairs;
pub mod plot;
pub mod spawns;
