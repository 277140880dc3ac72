//! The event count: a counter that participants wait on.
//!
//! A waiter reads the count, examines the shared state, and then waits until the count differs from what it
//! has read. So it misses no notification that comes between its examination and its wait.
//!
//! # States and transitions
//!
//! | from | to | by | remarks |
//! | --- | --- | --- | --- |
//! | *n* | *n* + 1, wrapping around | a participant that notifies | then wakes all waiters |
//! | *n* | *n* | a waiter that has seen *n* | blocks while the word is *n* |
//!
//! # Invariants
//!
//! 1. *A waiter blocks only while the count is the one that it has seen.* So each later notification either
//!    changes the word before the waiter blocks, or wakes it.
//! 2. *A waiter misses no notification*, unless exactly 2³² of them come between two of its loads.
//!
//! # Memory ordering
//!
//! All accesses are sequentially consistent. What happened before a notification is visible to a waiter
//! that sees the new count.
//!
//! # Deaths
//!
//! A participant that dies between counting and waking leaves a new count and blocked waiters. They see the
//! new count after a recheck interval.
//!
//! # Sources
//!
//! David Reed and Rajendra Kanodia, *Synchronization with Eventcounts and Sequencers*.

use super::{AcquireError, BlockingMode, Context, Retries, WaitOutcome};

/// Increments the count and wakes all waiters.
pub fn notify<C: Context>(cx: &C, word: &C::Word) -> Result<(), C::Fault> {
    cx.add(word, 1)?;
    cx.step("notify: counted, no waiter woken yet");
    cx.wake(word, true)
}

/// Waits until the count differs from `seen`, and returns it.
pub fn wait_past<C: Context>(cx: &C, word: &C::Word, seen: u32) -> Result<u32, AcquireError<C::Fault>> {
    let mut retries = Retries::default();
    loop {
        let now = cx.load(word)?;
        if now != seen {
            return Ok(now);
        }
        retries.count(cx, BlockingMode::Block, 0)?;
        if cx.wait(word, seen, 0)? == WaitOutcome::TimedOut {
            // It may have changed since.
            let now = cx.load(word)?;
            return if now == seen { Err(AcquireError::TimedOut) } else { Ok(now) };
        }
    }
}
