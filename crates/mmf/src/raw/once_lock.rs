//! The once lock: a value that one participant initialises.
//!
//! The word is a lock word (see [`mutex`]) whose final state `DONE` means *initialised*. The participant
//! that initialises owns the lock meanwhile.
//!
//! # Transitions
//!
//! | from | to | by | remarks |
//! | --- | --- | --- | --- |
//! | free | me | the first participant, or the next one after a failure | [`begin`] |
//! | X, dead | me, `DAMAGED` | a waiter | it initialises the value again, from the start |
//! | me, … | `DONE` | the owner, which has written the value | [`finish`]; then wakes all |
//! | me, … | free | the owner, whose initialisation failed | [`cancel`]; then wakes one |
//!
//! # Invariants
//!
//! 1. *The value is written only by the owner of the lock*, and never after `DONE`.
//! 2. *A participant that sees `DONE` sees the value*, because the value was written before.
//! 3. *A value that a dead owner has written in part is never read*: it is overwritten before `DONE`.
//!
//! # Memory ordering
//!
//! As in `mutex`; invariant 2 needs the releasing store of `DONE` and the acquiring load of it.
//!
//! # Deaths
//!
//! Before `DONE`, as the owner of a mutex. Between `DONE` and waking: the waiters see it after a recheck
//! interval.
//!
//! # Sources
//!
//! The methods are those of std's `OnceLock`, the states those of its `Once` on futexes, with an owner that
//! can die.

use super::mutex::{self, DONE, OWNER};
use super::{AcquireError, BlockingMode, Context};

/// Returns whether the value is initialised.
pub fn is_done<C: Context>(cx: &C, word: &C::Word) -> Result<bool, C::Fault> {
    Ok(cx.load(word)? & OWNER == DONE)
}

/// Waits while another participant initialises. Returns whether the caller is to initialise the value; it
/// then continues with [`finish`] or [`cancel`].
pub fn begin<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, AcquireError<C::Fault>> {
    match mutex::lock(cx, word, me, BlockingMode::Block) {
        Ok(_) => Ok(true),
        Err(AcquireError::Done) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Declares the value initialised. Returns whether the caller still owned the lock.
pub fn finish<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    mutex::finish(cx, word, me)
}

/// Releases the lock without a value: the next participant initialises.
pub fn cancel<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<(), C::Fault> {
    mutex::mark_consistent(cx, word, me)?;
    mutex::unlock(cx, word, me).map(drop)
}
