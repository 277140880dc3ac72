//! Models of the locks: the files of `crates/mmf/src/raw` themselves, in a context in which
//! [loom](https://docs.rs/loom) tries the interleavings of two or three participants.
//!
//! Small models try all interleavings, the others those with a limited number of preemptions. Each
//! participant can stop for good before any of its steps.
//!
//! # What is checked
//!
//! 1. Participants that exclude each other do not hold a lock at the same time. (Loom reports concurrent
//!    accesses to the data.)
//! 2. A participant that acquires a lock after an owner died is notified of it.
//! 3. No value that is read is torn, and each one belongs to the number that is returned with it.
//! 4. Every live participant reaches its end. (A lost wake-up leaves it blocked, which loom reports as a
//!    deadlock.)
//!
//! As long as no participant dies, a wait ends only by a wake-up, so the algorithms do not rely on the
//! recheck interval. After a death every wait may also end after that interval, as it does in the library.
//!
//! # What is shared with the library, and what is not
//!
//! - The fast paths (`lock_fast`, `unlock_fast`, and those of reading and writing), the slow paths and the
//!   count of waiters are the code that ships.
//! - The latest value passes the orderings and fences of `raw::seqlock` on to loom. The copies of the values
//!   differ: they are relaxed atomic accesses here, and guarded copies in the library.
//! - All other accesses are sequentially consistent. Loom treats such accesses as acquiring and releasing
//!   ones, so each has a fence before and after it here (`context::ordered`). These fences order more than
//!   the library's accesses do.
//! - The kernel is a mutex and a condition variable.
//! - The objects in `sync` are not included: `OnceLock::get_or_init` is imitated here, and `Event::wait_any`
//!   has no model beyond that of the count of waiters.
//!
//! `ci/models.sh` runs the models. Without `--cfg loom` this crate is empty.
#![cfg(loom)]
#![cfg(test)]
#![allow(clippy::cast_possible_truncation, reason = "there are few slots")]

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
