//! Events: a word that is set or not.
//!
//! # States and transitions
//!
//! 0 is not set; 1, and any other value that a peer may have stored, is set.
//!
//! | from | to | by | remarks |
//! | --- | --- | --- | --- |
//! | 0 | 1 | a participant that sets it | then wakes one waiter (auto reset) or all (manual reset) |
//! | set | set | the same | wakes, too: the participant that set it may have died before it woke a waiter |
//! | set | 0 | auto reset: the waiter that takes it; manual reset: a participant that resets it | one swap |
//! | 0 | 0 | a waiter | blocks while the word is 0 |
//!
//! # Invariants
//!
//! 1. *One setting of an auto-reset event lets one waiter pass*, because it is taken by a swap, of which
//!    only one returns the set value.
//! 2. *A waiter blocks only while the word is 0*, so that it sees every setting that comes before it
//!    blocks, and is woken by every one that comes after.
//!
//! # Memory ordering
//!
//! All accesses are sequentially consistent. What happened before the event was set is visible to the
//! waiter that takes it.
//!
//! # Deaths
//!
//! | a participant dies | what it leaves | who repairs it |
//! | --- | --- | --- |
//! | between setting and waking | a set word, blocked waiters | each waiter, after a recheck interval |
//! | woken, before it takes the event | the same | the same |
//! | after it has taken the event | a word that is not set | none: the event is lost, as any event would be |
//!
//! # Sources
//!
//! The events of Win32 (`CreateEvent`), auto reset and manual reset.

use super::{AcquireError, BlockingMode, Context, Retries, WaitOutcome};

/// Sets the event, and wakes one waiter or all.
pub fn set<C: Context>(cx: &C, word: &C::Word, all: bool) -> Result<(), C::Fault> {
    if cx.compare_exchange(word, 0, 1)?.is_ok() {
        cx.step("event: set, no waiter woken yet");
    }
    // Also if it was set already: the participant that set it may have died before it woke a waiter.
    cx.wake(word, all)
}

/// Resets the event. Returns whether it was set.
pub fn reset<C: Context>(cx: &C, word: &C::Word) -> Result<bool, C::Fault> {
    // The load comes first, so that a spinning waiter does not take the cache line from the others.
    Ok(cx.load(word)? != 0 && cx.swap(word, 0)? != 0)
}

/// Returns whether the event is set, and resets it if it is an auto-reset event.
pub fn take<C: Context>(cx: &C, word: &C::Word, auto: bool) -> Result<bool, C::Fault> {
    if auto { reset(cx, word) } else { Ok(cx.load(word)? != 0) }
}

/// Waits until the event is set, and resets it if it is an auto-reset event.
pub fn wait<C: Context>(
    cx: &C,
    word: &C::Word,
    auto: bool,
    mode: BlockingMode,
) -> Result<(), AcquireError<C::Fault>> {
    let mut retries = Retries::default();
    let mut unwoken = false;
    loop {
        if take(cx, word, auto)? {
            if unwoken {
                cx.missed_wake(word)?;
            }
            return Ok(());
        }
        retries.count(cx, mode, 0)?;
        if mode == BlockingMode::Try {
            return Err(AcquireError::WouldBlock(0));
        }
        cx.step("event: waits");
        let outcome = cx.wait(word, 0, 0)?;
        unwoken = outcome == WaitOutcome::RecheckDue;
        if outcome == WaitOutcome::TimedOut {
            // It may have been set since.
            return if take(cx, word, auto)? { Ok(()) } else { Err(AcquireError::TimedOut) };
        }
    }
}
