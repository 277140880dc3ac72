//! Torture: many processes at work on one segment, killed at random instants; and hostile bytes at scale.
//!
//! `MMF_TORTURE_SEED` repeats the random choices of a run (not the interleaving, which is the machine's), `MMF_TORTURE_KILLS` says how many
//! processes are killed, `MMF_TORTURE_WORDS` how many words are overwritten, and `MMF_TORTURE_UNREST` how many rounds there are of processes
//! that fork, are stopped, live in namespaces and meet their limits. `ci/torture.sh` is the full run.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

#[path = "torture/hostile.rs"]
mod hostile;
#[path = "torture/kills.rs"]
mod kills;
#[path = "torture/random.rs"]
mod random;
#[path = "conformance/spaces.rs"]
#[allow(dead_code, unused_imports, reason = "it is not all needed here")]
mod spaces;
#[cfg(target_os = "linux")]
#[path = "torture/unrest.rs"]
mod unrest;

#[cfg(not(target_os = "linux"))]
mod unrest {
    pub(crate) fn owners_in_unrest() {
        testkit::skip("forks, namespaces and limits are tried on Linux");
    }

    pub(crate) fn role_rounds(_: &mut testkit::Role) {}

    pub(crate) fn role_work(_: &mut testkit::Role) {}

    pub(crate) fn role_probe(_: &mut testkit::Role) {}
}

fn main() {
    testkit::run(
        &[
            ("kills::invariants_outlive_killed_processes", kills::invariants_outlive_killed_processes),
            ("hostile::words_overwritten_by_a_peer", hostile::words_overwritten_by_a_peer),
            ("unrest::owners_in_unrest", unrest::owners_in_unrest),
        ],
        &[
            ("kills::role_work", kills::role_work),
            ("hostile::role_use", hostile::role_use),
            ("unrest::role_rounds", unrest::role_rounds),
            ("unrest::role_work", unrest::role_work),
            ("unrest::role_probe", unrest::role_probe),
            ("spaces::role_in", spaces::role_in),
        ],
    );
}
