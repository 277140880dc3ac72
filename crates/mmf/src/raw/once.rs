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

use super::mutex::{self, DONE, TOKEN};
use super::{Patience, Refused, World};

pub fn is_done<W: World>(world: &W, word: &W::Word) -> Result<bool, W::Fault> {
    Ok(world.load(word)? & TOKEN == DONE)
}

/// Waits while somebody else initialises. Says whether this one is to: then it goes on with [`finish`] or [`give_back`].
pub fn begin<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, Refused<W::Fault>> {
    match mutex::lock(world, word, me, Patience::Wait) {
        Ok(_) => Ok(true),
        Err(Refused::Done) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The value is there. Says whether it still was for this one to say.
pub fn finish<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, W::Fault> {
    mutex::finish(world, word, me)
}

/// There is no value: the next one tries.
pub fn give_back<W: World>(world: &W, word: &W::Word, me: u32) -> Result<(), W::Fault> {
    mutex::consistent(world, word, me)?;
    mutex::unlock(world, word, me).map(drop)
}
