//! What the benches have in common: runs in pairs, and the bare system calls to compare with.
//!
//! `cargo bench -p bench` measures with criterion; each group holds the library and what it is compared with, in the same
//! run. `cargo run --release -p bench` prints the ratios: it alternates the sides in short rounds, so that a machine's moods
//! hit both, and compares the best rounds.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

pub mod bare;
#[cfg(unix)]
pub mod disk;
pub mod growth;
#[cfg(any(target_os = "linux", windows))]
pub mod locks;
pub mod pairs;
pub mod plot;
pub mod spawns;
