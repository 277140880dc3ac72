//! What is initialised once. The word is a lock word (see `mutex`) whose `DONE` means initialised.
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | free | me | who comes first, or after one who failed |
//! | X, and X is dead | me, `DAMAGED` | who comes next, and initialises anew: whatever the dead one has left is overwritten |
//! | me, … | `DONE` | who has written the value |
//! | me, … | free | who has failed; then wakes one |
//!
//! **Who dies where.** *Before `DONE`*: as the owner of a mutex. *`DONE`, and nobody woken yet*: who waits looks again when his slice is over.

use super::mutex::{self, DONE, OWNER};
use super::{AcquireError, BlockingMode, Context};

pub fn is_done<C: Context>(cx: &C, word: &C::Word) -> Result<bool, C::Fault> {
    Ok(cx.load(word)? & OWNER == DONE)
}

/// Waits while somebody else initialises. Says whether this one is to: then it goes on with [`finish`] or [`cancel`].
pub fn begin<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, AcquireError<C::Fault>> {
    match mutex::lock(cx, word, me, BlockingMode::Block) {
        Ok(_) => Ok(true),
        Err(AcquireError::Done) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The value is there. Says whether it still was for this one to say.
pub fn finish<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    mutex::finish(cx, word, me)
}

/// There is no value: the next one tries.
pub fn cancel<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<(), C::Fault> {
    mutex::mark_consistent(cx, word, me)?;
    mutex::unlock(cx, word, me).map(drop)
}
