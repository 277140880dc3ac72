//! Events: a word that is set or not.
//!
//! | from | to | by | then |
//! | --- | --- | --- | --- |
//! | 0 | 1 | who sets it | wakes one (auto reset) or all (manual reset) |
//! | 1 | 0 | auto reset: the one who got it; manual reset: who resets it | (in one step: by a swap) |
//! | 0 | 0 | who waits sleeps | |
//!
//! Any other value a peer may have put there counts as set.
//!
//! **Who dies where.** *Set, and nobody woken yet*, or *woken and not yet taken*: the word is set and others sleep; they look again when their
//! slice is over. *Taken*: it is gone with whoever took it, as it would be with any event.

use super::{Patience, Refused, Rounds, Slept, World};

pub fn set<W: World>(world: &W, word: &W::Word, all: bool) -> Result<(), W::Fault> {
    // Even where it is set already: whoever set it may have died before it woke anybody.
    if world.compare_exchange(word, 0, 1)?.is_ok() {
        world.step("event: set, and nobody woken yet");
    }
    world.wake(word, all)
}

pub fn reset<W: World>(world: &W, word: &W::Word) -> Result<bool, W::Fault> {
    // (Looking first: who waits for long is not to take the word away from those who set it.)
    Ok(world.load(word)? != 0 && world.swap(word, 0)? != 0)
}

/// Whether it is set; of an auto-reset event, takes it.
pub fn take<W: World>(world: &W, word: &W::Word, auto: bool) -> Result<bool, W::Fault> {
    if auto { reset(world, word) } else { Ok(world.load(word)? != 0) }
}

pub fn wait<W: World>(
    world: &W,
    word: &W::Word,
    auto: bool,
    patience: Patience,
) -> Result<(), Refused<W::Fault>> {
    let mut rounds = Rounds::default();
    let mut unwoken = false;
    loop {
        if take(world, word, auto)? {
            if unwoken {
                world.missed(word)?;
            }
            return Ok(());
        }
        rounds.again(world, patience, 0)?;
        if patience == Patience::Try {
            return Err(Refused::WouldBlock(0));
        }
        world.step("event: waits");
        let slept = world.sleep(word, 0, 0)?;
        unwoken = slept == Slept::Slice;
        if slept == Slept::Deadline {
            // It may have been set in the last moment.
            return if take(world, word, auto)? { Ok(()) } else { Err(Refused::Deadline) };
        }
    }
}
