//! Torture: many processes at work on one segment, killed at random instants; and hostile bytes at scale.
//!
//! `MMF_TORTURE_SEED` repeats the random choices of a run (not the interleaving, which is the machine's), `MMF_TORTURE_KILLS` says how many
//! processes are killed and `MMF_TORTURE_WORDS` how many words are overwritten. `ci/torture.sh` is the full run.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

#[path = "torture/hostile.rs"]
mod hostile;
#[path = "torture/kills.rs"]
mod kills;
#[path = "torture/random.rs"]
mod random;

fn main() {
    testkit::run(
        &[
            ("kills::invariants_outlive_killed_processes", kills::invariants_outlive_killed_processes),
            ("hostile::words_overwritten_by_a_peer", hostile::words_overwritten_by_a_peer),
        ],
        &[("kills::role_work", kills::role_work), ("hostile::role_use", hostile::role_use)],
    );
}
