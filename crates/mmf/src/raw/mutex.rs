//! The lock word: a mutex that outlives its owners.
//!
//! | bits | meaning |
//! | --- | --- |
//! | 31 `WAITERS` | somebody sleeps, or is about to: who unlocks must wake |
//! | 30 `QUEUE` | somebody has asked for its turn (who spins, and who has slept in vain several times): newcomers must not overtake |
//! | 29 `DAMAGED` | an owner has died, and nobody has declared the data consistent since |
//! | 28 `PHASE` | turned over by each writer of an rwlock; 0 in other locks |
//! | 27–0 token | the owner; 0: free; all ones `DONE`: given up for good (mutex, rwlock), or initialised (once) |
//!
//! | from | to | by | when |
//! | --- | --- | --- | --- |
//! | 0 | me | anybody | fast path: one compare-exchange |
//! | me | 0 | the owner | fast path of unlocking: one compare-exchange |
//! | free, without `QUEUE` | me, keeps `DAMAGED` and `WAITERS` | anybody | and sets `WAITERS` if it has slept, since others may sleep still |
//! | X | X, `QUEUE` | who spins, when half of its spins were in vain | asks for its turn: newcomers let it pass for as long as they spin |
//! | free, `QUEUE` | me, without `QUEUE` | who has slept or asked; without `WAITERS` also who has span in vain | who still waits in vain sets `QUEUE` again |
//! | X | X, `WAITERS` | who goes to sleep | then sleeps while the word stays so |
//! | X, `WAITERS` | X, `WAITERS`, `QUEUE` | who has been asleep [`World::LOST`] times | |
//! | X, and X is dead | me, `DAMAGED`, `WAITERS` | anybody who waits or tries | the new owner is told |
//! | me, … | free, keeps `DAMAGED`, `QUEUE`, `PHASE` | the owner | then wakes one (rwlock: all), if there was `WAITERS` |
//! | me, `DAMAGED` | me | the owner | the data are declared consistent |
//! | me, … | `DONE` | the owner | then wakes all; for good |
//! | X, `QUEUE` | X | who leaves at the deadline; who tries, if X is 0 | then wakes one, which may have slept for `QUEUE` alone |
//! | me, … | the same without me, or with `DONE` for me | the owner, by one addition | if its compare-exchanges have failed [`World::ROUNDS`] times |
//!
//! **Who dies where.** *Owning*: the next one sees a dead token. *Between freeing and waking*, or *woken and not yet owner*: the word is
//! free and others sleep; they look again when their slice is over. *Asleep*: `WAITERS` stays, and costs one needless wake-up; `QUEUE` stays
//! until somebody who has slept takes the lock, which is anybody after one slice, or until somebody who only tries has been refused once. So no state of the word can only be left by somebody who
//! may be dead, and no wait is longer than a slice after a death.
//!
//! **A word that changes all the time.** No loop goes on for as long as a peer likes. Who tries gives up after [`World::ROUNDS`] rounds, who
//! waits looks at the deadline after as many (see [`Rounds`]). Who leaves then lets `QUEUE` be, as one who died asleep does. The owner's part of
//! the word is the owner's alone, so it can change it by an addition, which cannot fail.

use super::{Got, Patience, Refused, Rounds, Slept, World};

pub const WAITERS: u32 = 1 << 31;
pub const QUEUE: u32 = 1 << 30;
pub const DAMAGED: u32 = 1 << 29;
pub const PHASE: u32 = 1 << 28;
pub const TOKEN: u32 = PHASE - 1;
pub const DONE: u32 = TOKEN;

/// Gets the lock in the simplest case. One atomic instruction.
#[inline]
pub fn lock<W: World>(
    world: &W,
    word: &W::Word,
    me: u32,
    patience: Patience,
) -> Result<Got, Refused<W::Fault>> {
    if world.compare_exchange(word, 0, me)?.is_ok() {
        return Ok(Got::Clean);
    }
    lock_slow(world, word, me, 0, patience)
}

/// `turned` is [`PHASE`] for who turns it over, else 0.
#[cold]
pub fn lock_slow<W: World>(
    world: &W,
    word: &W::Word,
    me: u32,
    turned: u32,
    patience: Patience,
) -> Result<Got, Refused<W::Fault>> {
    let mut spins = if patience == Patience::Try { 0 } else { W::SPINS };
    let (mut slept, mut asked, mut unwoken) = (0, false, false);
    let mut rounds = Rounds::default();
    loop {
        let now = world.load(word)?;
        let owner = now & TOKEN;
        if owner == DONE {
            return Err(Refused::Done);
        }
        unwoken &= owner == 0;
        // Who has asked and is awake takes it within fewer looks than these; if nobody did, it has lost its processor, or died.
        let passed_over = spins == 0 && patience == Patience::Wait && now & WAITERS == 0;
        let free = owner == 0 && (now & QUEUE == 0 || asked || slept > 0 || passed_over);
        if spins > 0 && !free && now & WAITERS == 0 {
            spins -= 1;
            if spins == W::SPINS / 2 && now & QUEUE == 0 {
                // Who has it again and again is nearer to the word than who spins, and would win for as long as it likes.
                asked |= world.compare_exchange(word, now, now | QUEUE)?.is_ok();
                world.step("lock: asked for its turn");
            }
            world.pause();
            continue;
        }
        if let Err(refused) = rounds.again(world, patience, owner) {
            leave_queue(world, word)?;
            return Err(refused);
        }
        if free {
            let waiters = if slept > 0 { WAITERS } else { now & WAITERS };
            let new = me | waiters | (now & DAMAGED) | ((now & PHASE) ^ turned);
            if world.compare_exchange(word, now, new)?.is_ok() {
                if unwoken {
                    world.missed(word)?;
                }
                return Ok(if now & DAMAGED == 0 { Got::Clean } else { Got::Damaged });
            }
            continue;
        }
        if owner != 0 && world.is_gone(owner) {
            world.step("lock: the owner is dead");
            let new = me | WAITERS | DAMAGED | ((now & PHASE) ^ turned);
            if world.compare_exchange(word, now, new)?.is_ok() {
                world.found_dead(word, owner)?;
                return Ok(Got::OwnerDied(owner));
            }
            continue;
        }
        if patience == Patience::Try {
            if owner == 0 {
                // Who asked for the queue may have died: whoever only tries would be refused for ever.
                leave_queue(world, word)?;
            }
            return Err(Refused::WouldBlock(owner));
        }
        let asleep = now | WAITERS | if slept >= W::LOST { QUEUE } else { 0 };
        if asleep != now && world.compare_exchange(word, now, asleep)?.is_err() {
            continue;
        }
        world.step("lock: marked as waiting");
        let ended = world.sleep(word, asleep, owner)?;
        unwoken = ended == Slept::Slice;
        match ended {
            Slept::Woken | Slept::Slice => {
                slept += 1;
                spins = W::SPINS;
            }
            Slept::Changed => {}
            Slept::Deadline => {
                leave_queue(world, word)?;
                return Err(Refused::Deadline);
            }
        }
        world.step("lock: woken");
    }
}

/// Who leaves does not let newcomers queue up behind nobody. Who still waits in vain will ask for it again.
fn leave_queue<W: World>(world: &W, word: &W::Word) -> Result<(), W::Fault> {
    for _ in 0..W::ROUNDS {
        let now = world.load(word)?;
        if now & QUEUE == 0 || now & TOKEN == DONE {
            return Ok(());
        }
        if world.compare_exchange(word, now, now & !QUEUE)?.is_ok() {
            return world.wake(word, false);
        }
    }
    Ok(())
}

/// Lets go. Says whether it was ours.
#[inline]
pub fn unlock<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, W::Fault> {
    if world.compare_exchange(word, me, 0)?.is_ok() {
        return Ok(true);
    }
    unlock_slow(world, word, me, false)
}

#[cold]
pub fn unlock_slow<W: World>(world: &W, word: &W::Word, me: u32, all: bool) -> Result<bool, W::Fault> {
    let free = |now| now & (QUEUE | DAMAGED | PHASE);
    let Some(former) = change(world, word, me, free, me.wrapping_neg())? else { return Ok(false) };
    world.released(word)?;
    world.step("unlock: free, and nobody woken yet");
    if former & (WAITERS | QUEUE) != 0 {
        world.wake(word, all)?;
    }
    Ok(true)
}

/// Declares the data consistent. Says whether the lock is ours.
pub fn consistent<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, W::Fault> {
    let now = world.load(word)?;
    if now & TOKEN != me || now & DAMAGED == 0 {
        return Ok(now & TOKEN == me);
    }
    Ok(change(world, word, me, |now| now & !DAMAGED, DAMAGED.wrapping_neg())?.is_some())
}

/// Ends the lock for good, whoever waits. Says whether it was ours.
pub fn finish<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, W::Fault> {
    if change(world, word, me, |_| DONE, DONE - me)?.is_none() {
        return Ok(false);
    }
    world.step("finish: done, and nobody woken yet");
    world.wake(word, true)?;
    Ok(true)
}

/// Marks the data as damaged. Says whether the lock is ours.
pub fn damage<W: World>(world: &W, word: &W::Word, me: u32) -> Result<bool, W::Fault> {
    let now = world.load(word)?;
    if now & TOKEN != me || now & DAMAGED != 0 {
        return Ok(now & TOKEN == me);
    }
    Ok(change(world, word, me, |now| now | DAMAGED, DAMAGED)?.is_some())
}

/// The owner changes what only the owner changes (the token and `DAMAGED`); gives the former word, if it was ours. `new` may put other bits in
/// order, too; `sum` is the change of the owner's part alone, as a number to be added.
fn change<W: World>(
    world: &W,
    word: &W::Word,
    me: u32,
    new: impl Fn(u32) -> u32,
    sum: u32,
) -> Result<Option<u32>, W::Fault> {
    for _ in 0..W::ROUNDS {
        let now = world.load(word)?;
        if now & TOKEN != me {
            return Ok(None);
        }
        if world.compare_exchange(word, now, new(now))?.is_ok() {
            return Ok(Some(now));
        }
    }
    let former = world.add(word, sum)?;
    if former & TOKEN == me {
        return Ok(Some(former));
    }
    // A peer has taken it away in the last moment.
    world.add(word, sum.wrapping_neg())?;
    Ok(None)
}
