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

use super::{AcquireError, BlockingMode, Context, Retries, WaitOutcome};

pub fn set<C: Context>(cx: &C, word: &C::Word, all: bool) -> Result<(), C::Fault> {
    // Even where it is set already: whoever set it may have died before it woke anybody.
    if cx.compare_exchange(word, 0, 1)?.is_ok() {
        cx.step("event: set, and nobody woken yet");
    }
    cx.wake(word, all)
}

pub fn reset<C: Context>(cx: &C, word: &C::Word) -> Result<bool, C::Fault> {
    // (Looking first: who waits for long is not to take the word away from those who set it.)
    Ok(cx.load(word)? != 0 && cx.swap(word, 0)? != 0)
}

/// Whether it is set; of an auto-reset event, takes it.
pub fn take<C: Context>(cx: &C, word: &C::Word, auto: bool) -> Result<bool, C::Fault> {
    if auto { reset(cx, word) } else { Ok(cx.load(word)? != 0) }
}

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
        let slept = cx.wait(word, 0, 0)?;
        unwoken = slept == WaitOutcome::RecheckDue;
        if slept == WaitOutcome::TimedOut {
            // It may have been set in the last moment.
            return if take(cx, word, auto)? { Ok(()) } else { Err(AcquireError::TimedOut) };
        }
    }
}
