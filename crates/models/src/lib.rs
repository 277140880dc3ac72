//! Models of the locks: the very files of `crates/mmf/src/raw`, in a context where [loom](https://docs.rs/loom) tries the
//! interleavings of two or three participants (all of them in small models, up to a few forced changes of thread in the others), and where each of them can stop for good before any of its steps.
//!
//! What is shown: nobody is in with somebody who excludes him; whoever follows a death is told; no value is torn; and everybody who lives gets
//! to the end (a wake-up that is lost would leave him asleep, which loom reports as a deadlock). As long as nobody dies, sleeps only end when
//! somebody wakes: so the algorithms do not lean on their slices. When somebody has died, they do, as the library's sleeps do.
//!
//! `ci/models.sh` runs them; without `--cfg loom` this crate is empty.
#![cfg(loom)]
#![cfg(test)]
#![allow(clippy::cast_possible_truncation, reason = "places are few")]

#[path = "../../mmf/src/raw/mod.rs"]
mod raw;

mod context;
mod event;
mod event_count;
mod mutex;
mod once_lock;
mod rwlock;
mod seqlock;
mod waiters;
