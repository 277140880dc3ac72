//! The lock word: a mutex that survives the death of its owners.
//!
//! The word names its owner by a participant id, which is never reused, so that a waiter can ask whether
//! exactly this owner is alive and can take the lock over from a dead one with one compare-exchange. An
//! uncontended acquisition and an uncontended release are one atomic instruction each ([`lock_fast`],
//! [`unlock_fast`]).
//!
//! The writers of [`rwlock`](super::rwlock) use the same word, and so does the participant that initialises
//! in [`once_lock`](super::once_lock).
//!
//! # States
//!
//! | bits | meaning |
//! | --- | --- |
//! | 31 `WAITERS` | a participant is blocked, or is about to block: a release has to wake |
//! | 30 `QUEUE` | a waiter has claimed the next turn: later arrivals must not overtake it |
//! | 29 `DAMAGED` | an owner died or panicked, and the data has not been declared consistent since |
//! | 28 `PHASE` | toggled by each writer of a reader-writer lock; 0 in other locks |
//! | 27–0 `OWNER` | the owner's participant id; 0: the lock is free; all ones, `DONE`: see below |
//!
//! `DONE` is final. A mutex or reader-writer lock in this state was given up permanently; a once lock is
//! initialised.
//!
//! # Transitions
//!
//! *Me* is the participant that makes the transition, *X* any other owner, *free* an owner of 0.
//!
//! | from | to | by | remarks |
//! | --- | --- | --- | --- |
//! | 0 | me | any participant | the fast path |
//! | me | 0 | the owner | the fast path of a release |
//! | free, no `QUEUE` | me | any participant | keeps `DAMAGED`, `WAITERS`; see invariant 3 |
//! | free, `QUEUE` | me, no `QUEUE` | a waiter with a claim | see *Fairness*; the others claim again |
//! | X | X, `QUEUE` | a spinning waiter | after half of its polls |
//! | X | X, `WAITERS` | a waiter that blocks next | it blocks only while the word stays so |
//! | X | X, `WAITERS`, `QUEUE` | the same, after [`Context::WAITS_BEFORE_QUEUE`] waits | |
//! | X, dead | me, `DAMAGED`, `WAITERS` | a waiter, a single attempt | the new owner is notified |
//! | me, … | free | the owner | keeps `DAMAGED`, `QUEUE`, `PHASE`; wakes if `WAITERS` or `QUEUE` was set |
//! | me | me, `DAMAGED` | the owner | it has panicked: [`mark_damaged`] |
//! | me, `DAMAGED` | me | the owner | it has repaired the data: [`mark_consistent`] |
//! | me, … | `DONE` | the owner | then wakes all: [`finish`] |
//! | X, `QUEUE` | X | a waiter that times out | then wakes one: it may have blocked because of `QUEUE` |
//! | free, `QUEUE` | free | a single attempt without a claim | the same; it fails this time |
//!
//! A release of a mutex wakes one waiter, that of a writer all of them.
//!
//! # Invariants
//!
//! 1. *A participant owns the lock from the compare-exchange that puts its id into the word to the one that
//!    removes it.* In between only the owner changes `OWNER` and `DAMAGED`; another participant changes
//!    them only if the owner is dead.
//! 2. *A waiter blocks only on a word that contains `WAITERS`*, because it blocks only while the word
//!    equals the value that it has just seen or stored. So each release that a blocked waiter depends on
//!    finds `WAITERS` and wakes.
//! 3. *A waiter that has blocked sets `WAITERS` when it acquires the lock.* The release before it has
//!    cleared the bit and has woken one waiter, while others may still be blocked.
//! 4. *`DAMAGED` is set before the first acquisition after a death succeeds*, in the same compare-exchange,
//!    and only [`mark_consistent`] clears it. So no owner sees data that a dead owner may have left half
//!    changed without being notified of it.
//! 5. *No state can be left only by a participant that may be dead*: see *Deaths*.
//! 6. *No peer can keep a loop running*: see *A word that changes all the time*.
//!
//! # Memory ordering
//!
//! All accesses are sequentially consistent. The exclusion itself would need no more than an acquiring
//! compare-exchange to lock and a releasing one to unlock. That no wake-up is lost also needs an order
//! between a release and the load of the count of waiters that follows it ([`waiters`](super::waiters)), and
//! the reader-writer lock needs an order between the words of its two sides.
//!
//! # Fairness
//!
//! A running owner that releases and acquires the lock again and again is nearer to the word than any
//! waiter and would win each time. Therefore a waiter that has spun for half of [`Context::SPIN_LIMIT`], or
//! has waited [`Context::WAITS_BEFORE_QUEUE`] times, sets `QUEUE`. From then on only a participant with a
//! claim acquires the lock: one that has set the bit or has blocked before. Later arrivals spin without
//! taking it.
//!
//! A spinning waiter that has set the bit takes the lock within the polls that a later arrival has left. If
//! it has not and no participant is blocked, it was preempted or has died, and the later arrival takes the
//! lock after all. There is no queue in memory that survivors would have to repair.
//!
//! # Deaths
//!
//! | a participant dies | what it leaves | who repairs it |
//! | --- | --- | --- |
//! | as the owner | its id | the next waiter or single attempt takes the lock over |
//! | between release and wake-up | a free word, blocked waiters | each waiter, after a recheck interval |
//! | woken, not yet the owner | the same | the same |
//! | blocked | `WAITERS` | the next release, by one needless wake-up |
//! | with a claim | `QUEUE` | a waiter that has blocked, a recheck interval later; a single attempt |
//!
//! So no wait lasts longer than a recheck interval after a death. A single attempt that meets a claim fails
//! and clears it, and the next one succeeds.
//!
//! # A word that changes all the time
//!
//! A peer may change the word before each compare-exchange, by malice or merely under load. A single attempt
//! gives up after [`Context::RETRY_LIMIT`] rounds; a waiter checks its deadline after as many ([`Retries`]).
//! A waiter that times out tries as often to clear `QUEUE` and then leaves it as a dead waiter would. The
//! owner's part of the word belongs to the owner alone, so after as many failures the owner changes it by an
//! addition, which cannot fail.
//!
//! # Sources
//!
//! - Linux, [robust futexes](https://docs.kernel.org/locking/robust-futexes.html), and POSIX robust
//!   mutexes: the owner's id in the word, the notification of its death, the declaration of consistency,
//!   and a final state.
//! - Ulrich Drepper, *Futexes Are Tricky*: the bit for waiters, and why a woken waiter sets it again.
//! - Filip Pizlo, *Locking in WebKit*, and `parking_lot`: locks that let later arrivals overtake, and their
//!   eventual fairness.

use super::{AcquireError, Acquired, BlockingMode, Context, Retries, WaitOutcome};

/// A participant is blocked, or is about to block.
pub const WAITERS: u32 = 1 << 31;
/// A waiter has claimed the next turn.
pub const QUEUE: u32 = 1 << 30;
/// The data may be half changed.
pub const DAMAGED: u32 = 1 << 29;
/// Toggled by each writer of a reader-writer lock.
pub const PHASE: u32 = 1 << 28;
/// The owner's participant id.
pub const OWNER: u32 = PHASE - 1;
/// The owner of a lock in its final state.
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

/// Acquires the lock if it is free, undamaged and without waiters: one atomic instruction. Returns whether
/// it did.
///
/// It takes the word alone, so that nothing has to be set up for [`lock_slow`] before it is needed.
#[allow(
    clippy::inline_always,
    reason = "a locked instruction waits for all stores before it: the caller's values stay in registers"
)]
#[inline(always)]
pub fn lock_fast(word: &impl LockWord, me: u32) -> bool {
    word.exchanged(0, me)
}

/// Releases the lock if its data is undamaged and it has no waiters: one atomic instruction. Returns
/// whether it did.
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

/// Acquires the lock after the fast path has failed: spins, then blocks.
///
/// `toggle` is [`PHASE`] if the new owner toggles it, and otherwise 0.
#[cold]
pub fn lock_slow<C: Context>(
    cx: &C,
    word: &C::Word,
    me: u32,
    toggle: u32,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    let mut spins = if mode == BlockingMode::Try { 0 } else { C::SPIN_LIMIT };
    let (mut waits, mut has_claim, mut unwoken) = (0, false, false);
    let mut retries = Retries::default();
    loop {
        let now = cx.load(word)?;
        let owner = now & OWNER;
        if owner == DONE {
            return Err(AcquireError::Done);
        }
        unwoken &= owner == 0;
        // A running waiter that has set `QUEUE` takes the lock within this many polls. If none did, it was
        // preempted or has died.
        let passed_over = spins == 0 && mode == BlockingMode::Block && now & WAITERS == 0;
        let free = owner == 0 && (now & QUEUE == 0 || has_claim || waits > 0 || passed_over);
        if spins > 0 && !free && now & WAITERS == 0 {
            spins -= 1;
            if spins == C::SPIN_LIMIT / 2 && now & QUEUE == 0 {
                // Without a claim, an owner that acquires the lock again and again would win each time.
                has_claim |= cx.compare_exchange(word, now, now | QUEUE)?.is_ok();
                cx.step("lock: claimed the next turn");
            }
            cx.pause();
            continue;
        }
        if let Err(error) = retries.count(cx, mode, owner) {
            leave_queue(cx, word)?;
            return Err(error);
        }
        if free {
            let waiters = if waits > 0 { WAITERS } else { now & WAITERS };
            let new = me | waiters | (now & DAMAGED) | ((now & PHASE) ^ toggle);
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
            let new = me | WAITERS | DAMAGED | ((now & PHASE) ^ toggle);
            if cx.compare_exchange(word, now, new)?.is_ok() {
                cx.owner_died(word, owner)?;
                return Ok(Acquired::OwnerDied(owner));
            }
            continue;
        }
        if mode == BlockingMode::Try {
            if owner == 0 {
                // The waiter that set `QUEUE` may have died: single attempts would fail for ever.
                leave_queue(cx, word)?;
            }
            return Err(AcquireError::WouldBlock(owner));
        }
        let blocked = now | WAITERS | if waits >= C::WAITS_BEFORE_QUEUE { QUEUE } else { 0 };
        if blocked != now && cx.compare_exchange(word, now, blocked)?.is_err() {
            continue;
        }
        cx.step("lock: marked as waiting");
        let outcome = cx.wait(word, blocked, owner)?;
        unwoken = outcome == WaitOutcome::RecheckDue;
        match outcome {
            WaitOutcome::Woken | WaitOutcome::RecheckDue => {
                waits += 1;
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

/// Clears `QUEUE`, so that later arrivals do not queue behind a waiter that has left. Any other waiter
/// claims again.
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

/// Releases the lock after the fast path has failed, and wakes one waiter or all. Returns whether the
/// caller held it.
#[cold]
pub fn unlock_slow<C: Context>(cx: &C, word: &C::Word, me: u32, all: bool) -> Result<bool, C::Fault> {
    let free = |now| now & (QUEUE | DAMAGED | PHASE);
    let Some(previous) = change(cx, word, me, free, me.wrapping_neg())? else { return Ok(false) };
    cx.released(word)?;
    cx.step("unlock: free, no waiter woken yet");
    if previous & (WAITERS | QUEUE) != 0 {
        cx.wake(word, all)?;
    }
    Ok(true)
}

/// Clears `DAMAGED`. Returns whether the caller holds the lock.
pub fn mark_consistent<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    let now = cx.load(word)?;
    if now & OWNER != me || now & DAMAGED == 0 {
        return Ok(now & OWNER == me);
    }
    Ok(change(cx, word, me, |now| now & !DAMAGED, DAMAGED.wrapping_neg())?.is_some())
}

/// Puts the lock into its final state and wakes all waiters. Returns whether the caller held it.
pub fn finish<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    if change(cx, word, me, |_| DONE, DONE - me)?.is_none() {
        return Ok(false);
    }
    cx.step("finish: done, no waiter woken yet");
    cx.wake(word, true)?;
    Ok(true)
}

/// Sets `DAMAGED`. Returns whether the caller holds the lock.
pub fn mark_damaged<C: Context>(cx: &C, word: &C::Word, me: u32) -> Result<bool, C::Fault> {
    let now = cx.load(word)?;
    if now & OWNER != me || now & DAMAGED != 0 {
        return Ok(now & OWNER == me);
    }
    Ok(change(cx, word, me, |now| now | DAMAGED, DAMAGED)?.is_some())
}

/// Changes the owner's part of the word (`OWNER` and `DAMAGED`), and returns the previous word if the
/// caller held the lock.
///
/// `new` computes the whole word and may clear bits of others, too. `sum` is the change of the owner's part
/// alone, as a number to add.
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
    let previous = cx.add(word, sum)?;
    if previous & OWNER == me {
        return Ok(Some(previous));
    }
    // A peer has taken the lock away from a live owner: take the addition back.
    cx.add(word, sum.wrapping_neg())?;
    Ok(None)
}
