//! The lock word: a mutex that outlives its owners.
//!
//! | bits | meaning |
//! | --- | --- |
//! | 31 `WAITERS` | somebody sleeps, or is about to: who unlocks must wake |
//! | 30 `QUEUE` | somebody has asked for its turn (who spins, and who has slept in vain several times): newcomers must not overtake |
//! | 29 `DAMAGED` | an owner has died, and nobody has declared the data consistent since |
//! | 28 `PHASE` | turned over by each writer of an rwlock; 0 in other locks |
//! | 27–0 id | the owner; 0: free; all ones `DONE`: given up for good (mutex, rwlock), or initialised (once) |
//!
//! | from | to | by | when |
//! | --- | --- | --- | --- |
//! | 0 | me | anybody | fast path: one compare-exchange |
//! | me | 0 | the owner | fast path of unlocking: one compare-exchange |
//! | free, without `QUEUE` | me, keeps `DAMAGED` and `WAITERS` | anybody | and sets `WAITERS` if it has slept, since others may sleep still |
//! | X | X, `QUEUE` | who spins, when half of its spins were in vain | asks for its turn: newcomers let it pass for as long as they spin |
//! | free, `QUEUE` | me, without `QUEUE` | who has slept or asked; without `WAITERS` also who has span in vain | who still waits in vain sets `QUEUE` again |
//! | X | X, `WAITERS` | who goes to sleep | then sleeps while the word stays so |
//! | X, `WAITERS` | X, `WAITERS`, `QUEUE` | who has been asleep [`Context::WAITS_BEFORE_QUEUE`] times | |
//! | X, and X is dead | me, `DAMAGED`, `WAITERS` | anybody who waits or tries | the new owner is told |
//! | me, … | free, keeps `DAMAGED`, `QUEUE`, `PHASE` | the owner | then wakes one (rwlock: all), if there was `WAITERS` |
//! | me, `DAMAGED` | me | the owner | the data are declared consistent |
//! | me, … | `DONE` | the owner | then wakes all; for good |
//! | X, `QUEUE` | X | who leaves at the deadline; who tries, if X is 0 | then wakes one, which may have slept for `QUEUE` alone |
//! | me, … | the same without me, or with `DONE` for me | the owner, by one addition | if its compare-exchanges have failed [`Context::RETRY_LIMIT`] times |
//!
//! **Who dies where.** *Owning*: the next one sees a dead id. *Between freeing and waking*, or *woken and not yet owner*: the word is
//! free and others sleep; they look again when their slice is over. *Asleep*: `WAITERS` stays, and costs one needless wake-up; `QUEUE` stays
//! until somebody who has slept takes the lock, which is anybody after one slice, or until somebody who only tries has been error once. So no state of the word can only be left by somebody who
//! may be dead, and no wait is longer than a slice after a death.
//!
//! **A word that changes all the time.** No loop goes on for as long as a peer likes. Who tries gives up after [`Context::RETRY_LIMIT`] retries, who
//! waits looks at the deadline after as many (see [`Retries`]). Who leaves then lets `QUEUE` be, as one who died asleep does. The owner's part of
//! the word is the owner's alone, so it can change it by an addition, which cannot fail.

use super::{AcquireError, Acquired, BlockingMode, Context, Retries, WaitOutcome};

pub const WAITERS: u32 = 1 << 31;
pub const QUEUE: u32 = 1 << 30;
pub const DAMAGED: u32 = 1 << 29;
pub const PHASE: u32 = 1 << 28;
pub const OWNER: u32 = PHASE - 1;
pub const DONE: u32 = OWNER;

/// The lock word as the fast paths see it.
pub trait LockWord {
    /// Stores `new` if the word is `current`, and returns whether it did. Sequentially consistent.
    ///
    /// A fault counts as `false`: the slow path runs into it again and reports it.
    fn exchanged(&self, current: u32, new: u32) -> bool;
}

/// A lock word in a context.
#[derive(Debug)]
struct InContext<'c, C: Context>(&'c C, &'c C::Word);

impl<C: Context> LockWord for InContext<'_, C> {
    #[inline]
    fn exchanged(&self, current: u32, new: u32) -> bool {
        matches!(self.0.compare_exchange(self.1, current, new), Ok(Ok(_)))
    }
}

/// Acquires the lock if it is free, undamaged and without waiters: one atomic instruction. Returns whether it did.
///
/// It takes the word alone, so that nothing has to be set up for [`lock_slow`] before it is needed.
#[allow(
    clippy::inline_always,
    reason = "a locked instruction waits for all stores before it, so the caller's values are to stay in registers"
)]
#[inline(always)]
pub fn lock_fast(word: &impl LockWord, me: u32) -> bool {
    word.exchanged(0, me)
}

/// Releases the lock if its data is undamaged and it has no waiters: one atomic instruction. Returns whether it did.
#[allow(clippy::inline_always, reason = "as for `lock_fast`")]
#[inline(always)]
pub fn unlock_fast(word: &impl LockWord, me: u32) -> bool {
    word.exchanged(me, 0)
}

/// Acquires the lock.
#[inline]
pub fn lock<C: Context>(
    cx: &C,
    word: &C::Word,
    me: u32,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    if lock_fast(&InContext(cx, word), me) {
        return Ok(Acquired::Clean);
    }
    lock_slow(cx, word, me, 0, mode)
}

/// `turned` is [`PHASE`] for who turns it over, else 0.
#[cold]
pub fn lock_slow<C: Context>(
    cx: &C,
    word: &C::Word,
    me: u32,
    turned: u32,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    let mut spins = if mode == BlockingMode::Try { 0 } else { C::SPIN_LIMIT };
    let (mut slept, mut asked, mut unwoken) = (0, false, false);
    let mut retries = Retries::default();
    loop {
        let now = cx.load(word)?;
        let owner = now & OWNER;
        if owner == DONE {
            return Err(AcquireError::Done);
        }
        unwoken &= owner == 0;
        // Who has asked and is awake takes it within fewer looks than these; if nobody did, it has lost its processor, or died.
        let passed_over = spins == 0 && mode == BlockingMode::Block && now & WAITERS == 0;
        let free = owner == 0 && (now & QUEUE == 0 || asked || slept > 0 || passed_over);
        if spins > 0 && !free && now & WAITERS == 0 {
            spins -= 1;
            if spins == C::SPIN_LIMIT / 2 && now & QUEUE == 0 {
                // Who has it again and again is nearer to the word than who spins, and would win for as long as it likes.
                asked |= cx.compare_exchange(word, now, now | QUEUE)?.is_ok();
                cx.step("lock: asked for its turn");
            }
            cx.pause();
            continue;
        }
        if let Err(error) = retries.count(cx, mode, owner) {
            leave_queue(cx, word)?;
            return Err(error);
        }
        if free {
            let waiters = if slept > 0 { WAITERS } else { now & WAITERS };
            let new = me | waiters | (now & DAMAGED) | ((now & PHASE) ^ turned);
            if cx.compare_exchange(word, now, new)?.is_ok() {
                if unwoken {
                    cx.missed_wake(word)?;
                }
                return Ok(if now & DAMAGED == 0 { Acquired::Clean } else { Acquired::Damaged });
            }
            continue;
        }
        if owner != 0 && cx.is_dead(owner) {
            cx.step("lock: the owner is dead");
            let new = me | WAITERS | DAMAGED | ((now & PHASE) ^ turned);
            if cx.compare_exchange(word, now, new)?.is_ok() {
                cx.owner_died(word, owner)?;
                return Ok(Acquired::OwnerDied(owner));
            }
            continue;
        }
        if mode == BlockingMode::Try {
            if owner == 0 {
                // Who asked for the queue may have died: whoever only tries would be error for ever.
                leave_queue(cx, word)?;
            }
            return Err(AcquireError::WouldBlock(owner));
        }
        let asleep = now | WAITERS | if slept >= C::WAITS_BEFORE_QUEUE { QUEUE } else { 0 };
        if asleep != now && cx.compare_exchange(word, now, asleep)?.is_err() {
            continue;
        }
        cx.step("lock: marked as waiting");
        let ended = cx.wait(word, asleep, owner)?;
        unwoken = ended == WaitOutcome::RecheckDue;
        match ended {
            WaitOutcome::Woken | WaitOutcome::RecheckDue => {
                slept += 1;
                spins = C::SPIN_LIMIT;
            }
            WaitOutcome::Changed => {}
            WaitOutcome::TimedOut => {
                leave_queue(cx, word)?;
                return Err(AcquireError::TimedOut);
            }
        }
        cx.step("lock: woken");
    }
}

/// Who leaves does not let newcomers queue up behind nobody. Who still waits in vain will ask for it again.
fn leave_queue<C: Context>(cx: &C, word: &C::Word) -> Result<(), C::Fault> {
    for _ in 0..C::RETRY_LIMIT {
        let now = cx.load(word)?;
        if now & QUEUE == 0 || now & OWNER == DONE {
            return Ok(());
        }
        if cx.compare_exchange(word, now, now & !QUEUE)?.is_ok() {
            return cx.wake(word, false);
        }
    }
    Ok(())
}

/// Releases the lock. Returns whether the caller held it.
#[inline]
pub fn unlock<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    if unlock_fast(&InContext(cx, word), me) {
        return Ok(true);
    }
    unlock_slow(cx, word, me, false)
}

#[cold]
pub fn unlock_slow<C: Context>(cx: &C, word: &C::Word, me: u32, all: bool) -> Result<bool, C::Fault> {
    let free = |now| now & (QUEUE | DAMAGED | PHASE);
    let Some(former) = change(cx, word, me, free, me.wrapping_neg())? else { return Ok(false) };
    cx.released(word)?;
    cx.step("unlock: free, and nobody woken yet");
    if former & (WAITERS | QUEUE) != 0 {
        cx.wake(word, all)?;
    }
    Ok(true)
}

/// Declares the data consistent. Says whether the lock is ours.
pub fn mark_consistent<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    let now = cx.load(word)?;
    if now & OWNER != me || now & DAMAGED == 0 {
        return Ok(now & OWNER == me);
    }
    Ok(change(cx, word, me, |now| now & !DAMAGED, DAMAGED.wrapping_neg())?.is_some())
}

/// Ends the lock for good, whoever waits. Says whether it was ours.
pub fn finish<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    if change(cx, word, me, |_| DONE, DONE - me)?.is_none() {
        return Ok(false);
    }
    cx.step("finish: done, and nobody woken yet");
    cx.wake(word, true)?;
    Ok(true)
}

/// Marks the data as damaged. Says whether the lock is ours.
pub fn mark_damaged<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    let now = cx.load(word)?;
    if now & OWNER != me || now & DAMAGED != 0 {
        return Ok(now & OWNER == me);
    }
    Ok(change(cx, word, me, |now| now | DAMAGED, DAMAGED)?.is_some())
}

/// The owner changes what only the owner changes (the id and `DAMAGED`); gives the former word, if it was ours. `new` may put other bits in
/// order, too; `sum` is the change of the owner's part alone, as a number to be added.
fn change<C: Context>(
    cx: &C,
    word: &C::Word,
    me: u32,
    new: impl Fn(u32) -> u32,
    sum: u32,
) -> Result<Option<u32>, C::Fault> {
    for _ in 0..C::RETRY_LIMIT {
        let now = cx.load(word)?;
        if now & OWNER != me {
            return Ok(None);
        }
        if cx.compare_exchange(word, now, new(now))?.is_ok() {
            return Ok(Some(now));
        }
    }
    let former = cx.add(word, sum)?;
    if former & OWNER == me {
        return Ok(Some(former));
    }
    // A peer has taken it away in the last moment.
    cx.add(word, sum.wrapping_neg())?;
    Ok(None)
}
