//! Torture tests: many processes share one segment and are killed at random instants, and a peer corrupts
//! words at scale.
//!
//! `MMF_TORTURE_SEED` repeats the random choices of a run (not the interleaving, which depends on the
//! machine). `MMF_TORTURE_KILLS` is the number of processes to kill, `MMF_TORTURE_WORDS` the number of words
//! to overwrite, and `MMF_TORTURE_UNREST` the number of rounds in which processes fork, are stopped, live in
//! namespaces and run into their limits. `ci/torture.sh` is the full run.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

#[path = "torture/hostile.rs"]
mod hostile;
#[path = "torture/kills.rs"]
mod kills;
#[path = "torture/random.rs"]
mod random;
#[path = "conformance/spaces.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses only a part of it")]
mod spaces;
#[cfg(target_os = "linux")]
#[path = "torture/unrest.rs"]
mod unrest;

#[cfg(not(target_os = "linux"))]
mod unrest {
    pub(crate) fn owners_under_unrest() {
        testkit::skip("this test of forks, namespaces and limits is for Linux");
    }

    pub(crate) fn role_rounds(_: &mut testkit::Role) {}

    pub(crate) fn role_work(_: &mut testkit::Role) {}

    pub(crate) fn role_probe(_: &mut testkit::Role) {}
}

fn main() {
    testkit::run(
        &[
            ("kills::invariants_survive_kills", kills::invariants_survive_kills),
            ("hostile::overwritten_words", hostile::overwritten_words),
            ("unrest::owners_under_unrest", unrest::owners_under_unrest),
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
