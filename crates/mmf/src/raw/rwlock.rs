//! The reader-writer lock: one lock word for writers, and one word for the readers of each participant.
//!
//! Readers count themselves in the word of their own participant. So readers of different processes do not
//! contend, and the readers of a dead process disappear with its word. A writer acquires the lock word
//! first, as in [`mutex`], and then drains the readers: it waits until no earlier reader is counted any
//! more. It examines the words of all slots that were ever used.
//!
//! # States
//!
//! The lock word is that of [`mutex`]. A writer toggles its `PHASE` when it acquires the word; *a writer of
//! phase p* is one that has set it to *p*.
//!
//! | bits of a slot's readers' word | meaning |
//! | --- | --- |
//! | 63–32 | participant id; unless it belongs to this slot, the word counts no reader |
//! | 31–20 `ACTIVE` | readers that read, or that are about to check whether they may |
//! | 19–10, 9–0 `WAITING` | readers that wait for the end of a writer of phase 1, of phase 0 |
//!
//! The *drain word* is an event count: a writer that drains the readers blocks on it, and each reader that
//! changes its counts while a writer has the lock word increments it and wakes.
//!
//! # Transitions
//!
//! | a reader | its participant's word | then |
//! | --- | --- | --- |
//! | arrives | `ACTIVE` + 1 (one addition) | loads the lock word; if it is free, reads: the fast path |
//! | finds a writer of phase *p* | `ACTIVE` − 1, `WAITING p` + 1 | notifies the writer; waits for the end |
//! | sees the phase end | `WAITING p` − 1, `ACTIVE` + 1 | loads the lock word; reads unless phase *p* is back |
//! | finds phase *p* again | as before | as before |
//! | finds a dead writer | unchanged | frees the lock word with `DAMAGED`; wakes all; goes on as at the end |
//! | leaves | `ACTIVE` − 1 | if there is a writer, notifies it |
//!
//! A reader that has waited for phase *p* also reads if the next writer, of phase 1 − *p*, already owns the
//! lock word: that writer waits for it. It finds phase *p* again only if the writer of phase 1 − *p* in
//! between gave up, or died, while it drained the readers.
//!
//! | a writer of phase *p* | |
//! | --- | --- |
//! | acquires | the lock word, as in `mutex`; fast path: one compare-exchange from a free word |
//! | drains | until each slot has `ACTIVE` = 0 and `WAITING (1 − p)` = 0, or its participant is dead |
//! | gives up | releases the lock word; `DAMAGED` stays |
//! | releases | the lock word; wakes all, readers and writers |
//!
//! # Invariants
//!
//! 1. *No reader reads while a writer writes.* Each side announces itself before it checks for the other, the
//!    reader in `ACTIVE` and the writer in the lock word. So at least one of them sees the other; and if both
//!    do, the reader moves from `ACTIVE` to `WAITING` and lets the writer go first.
//! 2. *A reader waits for one writer.* While it is counted in `WAITING p`, the next writer has phase 1 −
//!    *p* and drains it.
//! 3. *A writer waits only for readers that arrived before it*, because later ones are counted in `WAITING
//!    p`, which it does not drain.
//! 4. *No count reaches into another one.* A count is changed only where it stays within its bits, even after
//!    a peer has written invalid values or a guard was released twice ([`can_move`]).
//! 5. *A word without the slot's participant id counts no reader.* So a leftover of a dead participant
//!    neither delays a writer nor has to be cleared by one particular participant.
//!
//! # Memory ordering
//!
//! All accesses are sequentially consistent. Invariant 1 needs it: the reader's addition comes before its
//! load of the lock word, and the writer's compare-exchange before its loads of the readers' words, in one
//! order for all of them (store before load, as in Dekker's algorithm).
//!
//! # Fairness
//!
//! Invariants 2 and 3: neither side starves the other. Writers among themselves: as in `mutex`.
//!
//! # Deaths
//!
//! | a participant dies | what it leaves | who repairs it |
//! | --- | --- | --- |
//! | as a reader, at any step | counts in its own word | a draining writer clears the word |
//! | before it notifies the writer | the same | the writer, after a recheck interval |
//! | as a writer, even while draining | its id in the lock word | the next writer takes it over; a reader frees it |
//! | as a reader, before it wakes the others | a free lock word | each waiter, after a recheck interval |
//!
//! Every participant that acquires the lock after a dead writer is notified, until a writer has declared
//! the data consistent. Dead readers have changed nothing and are not reported.
//!
//! # Words that change all the time
//!
//! As in `mutex`, each loop counts its attempts ([`Retries`]). A reader that cannot change its word by
//! compare-exchange changes it by an addition and takes that back if it should not have been made.
//!
//! # Sources
//!
//! - Björn Brandenburg and James Anderson, *Spin-Based Reader-Writer Synchronization for Multiprocessor
//!   Real-Time Systems*: phase-fair locks, in which a reader waits for one writer and a writer for one
//!   phase of readers.
//! - Linux, *big-reader locks* and `percpu_rw_semaphore`: a count of readers for each processor, which a
//!   writer sums up.

use super::mutex::{self, DAMAGED, DONE, OWNER, PHASE, WAITERS};
use super::{AcquireError, Acquired, BlockingMode, Context, Retries, WaitOutcome};

/// One active reader.
pub const ACTIVE_ONE: u64 = 1 << 20;
/// The maximum number of active readers of one participant. Concurrent additions may exceed it for a
/// moment, and there is room for them.
const ACTIVE_MAX: u64 = 4000;
/// The maximum number of waiting readers of one participant and phase, with room as above.
const WAITING_MAX: u64 = 1000;

/// Returns what one reader that waits for the end of a writer of this phase adds to the word.
pub const fn waiting_one(phase: u32) -> u64 {
    if phase == 0 { 1 } else { 1 << 10 }
}

/// Returns the participant whose readers are counted.
pub const fn participant_of(readers: u64) -> u32 {
    (readers >> 32) as u32
}

/// Returns the number of active readers.
pub const fn active(readers: u64) -> u64 {
    (readers >> 20) & 0xfff
}

/// Returns the number of readers that wait for the end of a writer of this phase.
pub const fn waiting(readers: u64, phase: u32) -> u64 {
    (if phase == 0 { readers } else { readers >> 10 }) & 0x3ff
}

/// What a reader-writer lock needs in addition to a [`Context`]: the readers' words, one for each slot.
pub trait Readers: Context {
    /// Returns the number of slots that were ever used. Never more than there are words.
    fn slots(&self) -> Result<u32, Self::Fault>;
    /// Returns whether the slot belongs to the participant with this id.
    fn owns_slot(&self, id: u32, slot: u32) -> bool;
    /// Loads the word of a slot. Sequentially consistent, as all accesses here.
    fn readers_load(&self, slot: u32) -> Result<u64, Self::Fault>;
    /// Stores `new` if the word is `current`. The inner result is the previous value, `Ok` if it was
    /// `current`.
    fn readers_compare_exchange(
        &self,
        slot: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Self::Fault>;
    /// Adds, wrapping around, and returns the previous value.
    fn readers_add(&self, slot: u32, value: u64) -> Result<u64, Self::Fault>;
}

/// The words of one lock that all participants share.
#[derive(Debug)]
pub struct Words<'w, Word: ?Sized> {
    /// The lock word.
    pub lock: &'w Word,
    /// The event count of readers that leave.
    pub drain: &'w Word,
}

impl<Word: ?Sized> Clone for Words<'_, Word> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Word: ?Sized> Copy for Words<'_, Word> {}

/// The calling participant: its id, and the slot of its readers' word.
#[derive(Clone, Copy, Debug)]
pub struct Participant {
    pub id: u32,
    pub slot: u32,
}

/// Counts one more active reader of this participant.
#[inline]
fn add_reader<C: Readers>(cx: &C, me: Participant, mode: BlockingMode) -> Result<(), AcquireError<C::Fault>> {
    let before = cx.readers_add(me.slot, ACTIVE_ONE)?;
    if participant_of(before) == me.id && active(before) < ACTIVE_MAX {
        return Ok(());
    }
    add_reader_slow(cx, me, before, mode)
}

#[cold]
fn add_reader_slow<C: Readers>(
    cx: &C,
    me: Participant,
    before: u64,
    mode: BlockingMode,
) -> Result<(), AcquireError<C::Fault>> {
    if participant_of(before) == me.id {
        cx.readers_add(me.slot, ACTIVE_ONE.wrapping_neg())?;
        return Err(AcquireError::TooManyReaders);
    }
    // The word counts no live reader, and neither does the addition to it.
    let fresh = (u64::from(me.id) << 32) | ACTIVE_ONE;
    let mut retries = Retries::default();
    loop {
        retries.count(cx, mode, 0)?;
        let now = cx.readers_load(me.slot)?;
        let new = match participant_of(now) == me.id {
            true if active(now) >= ACTIVE_MAX => return Err(AcquireError::TooManyReaders),
            true => now + ACTIVE_ONE,
            false => fresh,
        };
        if cx.readers_compare_exchange(me.slot, now, new)?.is_ok() {
            return Ok(());
        }
    }
}

/// Moves a reader of this participant from one count to another, if there is one to take and room where it
/// goes. Returns the previous word.
///
/// Otherwise a peer has written invalid values, or a guard was released twice; then the word stays as it is.
fn move_reader<C: Readers>(cx: &C, me: Participant, take: u64, add: u64) -> Result<u64, C::Fault> {
    let mut before = cx.readers_load(me.slot)?;
    for _ in 0..C::RETRY_LIMIT {
        if !can_move(before, me.id, take, add) {
            return Ok(before);
        }
        let new = before - take + add;
        match cx.readers_compare_exchange(me.slot, before, new)? {
            Ok(_) => return Ok(before),
            Err(now) => before = now,
        }
    }
    // Other threads of this participant, or a peer, were faster each time.
    let before = cx.readers_add(me.slot, add.wrapping_sub(take))?;
    if !can_move(before, me.id, take, add) {
        cx.readers_add(me.slot, take.wrapping_sub(add))?;
    }
    Ok(before)
}

/// Returns whether `take` and `add` leave each count of this participant's word within its bits.
fn can_move(readers: u64, id: u32, take: u64, add: u64) -> bool {
    let fits = |ones: u64, count: fn(u64) -> u64, most: u64| {
        count(readers) >= count(take) && (ones & add == 0 || count(readers) < most)
    };
    participant_of(readers) == id
        && fits(ACTIVE_ONE, active, 0xfff)
        && fits(waiting_one(1), |readers| waiting(readers, 1), 0x3ff)
        && fits(waiting_one(0), |readers| waiting(readers, 0), 0x3ff)
}

/// Notifies a writer that drains the readers.
fn notify_writer<C: Readers>(cx: &C, words: Words<'_, C::Word>) -> Result<(), C::Fault> {
    cx.step("reader: changed, writer not notified yet");
    cx.add(words.drain, 1)?;
    cx.wake(words.drain, true)
}

/// Acquires the lock to read. Fast path: one addition and one load.
#[inline]
pub fn read<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    add_reader(cx, me, mode)?;
    let now = cx.load(words.lock)?;
    if now & (OWNER | DAMAGED) == 0 {
        return Ok(Acquired::Clean);
    }
    read_slow(cx, words, me, mode, now)
}

#[cold]
fn read_slow<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
    seen: u32,
) -> Result<Acquired, AcquireError<C::Fault>> {
    let phase = seen & PHASE;
    let mut died = None;
    let mut now = seen;
    let mut retries = Retries::default();
    // A writer of this phase does not drain the readers that wait for its end. Most often it is gone after
    // one round. But the writer that toggled the phase may have given up or died while it drained this
    // reader, and the one after it has the phase that this reader arrived in.
    while !matches!(now & OWNER, 0 | DONE) && now & PHASE == phase {
        if let Err(error) = retries.count(cx, mode, now & OWNER) {
            read_unlock(cx, words, me)?;
            return Err(error);
        }
        let one = waiting_one(phase);
        let before = move_reader(cx, me, ACTIVE_ONE, one)?;
        if waiting(before, phase) >= WAITING_MAX {
            move_reader(cx, me, one, 0)?;
            notify_writer(cx, words)?;
            return Err(AcquireError::TooManyReaders);
        }
        notify_writer(cx, words)?;
        match wait_for_end(cx, words, (now & OWNER) | phase, mode, &mut retries) {
            Ok(dead) => died = dead.or(died),
            Err(error) => {
                if !matches!(error, AcquireError::Fault(_)) {
                    move_reader(cx, me, one, 0)?;
                    notify_writer(cx, words)?;
                }
                return Err(error);
            }
        }
        cx.step("reader: the writer is gone, not active yet");
        move_reader(cx, me, one, ACTIVE_ONE)?;
        now = cx.load(words.lock)?;
    }
    if now & OWNER == DONE {
        read_unlock(cx, words, me)?;
        return Err(AcquireError::Done);
    }
    Ok(match died {
        Some(id) => Acquired::OwnerDied(id),
        None if now & DAMAGED != 0 => Acquired::Damaged,
        None => Acquired::Clean,
    })
}

/// Waits until a writer's phase is over. Returns the writer's id if it was found dead.
fn wait_for_end<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    writer: u32,
    mode: BlockingMode,
    retries: &mut Retries,
) -> Result<Option<u32>, AcquireError<C::Fault>> {
    let mut spins = if mode == BlockingMode::Try { 0 } else { C::SPIN_LIMIT };
    loop {
        let now = cx.load(words.lock)?;
        if now & (OWNER | PHASE) != writer {
            return Ok(None);
        }
        if spins > 0 && now & WAITERS == 0 {
            spins -= 1;
            cx.pause();
            continue;
        }
        let owner = writer & OWNER;
        retries.count(cx, mode, owner)?;
        if cx.is_dead(owner) {
            cx.owner_died(words.lock, owner)?;
            let free = (now & !OWNER) | DAMAGED;
            if cx.compare_exchange(words.lock, now, free)?.is_ok() {
                cx.step("reader: freed from a dead writer, no waiter woken yet");
                cx.wake(words.lock, true)?;
                return Ok(Some(owner));
            }
            continue;
        }
        if mode == BlockingMode::Try {
            return Err(AcquireError::WouldBlock(owner));
        }
        if now & WAITERS == 0 && cx.compare_exchange(words.lock, now, now | WAITERS)?.is_err() {
            continue;
        }
        cx.step("reader: marked as waiting");
        if cx.wait(words.lock, now | WAITERS, owner)? == WaitOutcome::TimedOut {
            return Err(AcquireError::TimedOut);
        }
    }
}

/// Releases the lock after reading.
#[inline]
pub fn read_unlock<C: Readers>(cx: &C, words: Words<'_, C::Word>, me: Participant) -> Result<(), C::Fault> {
    let before = cx.readers_add(me.slot, ACTIVE_ONE.wrapping_neg())?;
    if participant_of(before) != me.id || active(before) == 0 {
        undo_unlock(cx, me)?;
    }
    let now = cx.load(words.lock)?;
    if matches!(now & OWNER, 0 | DONE) { Ok(()) } else { notify_writer(cx, words) }
}

/// Takes back what [`read_unlock`] has subtracted from a word that does not count the caller.
///
/// The intermediate value does no harm, because its id does not belong to this slot and the word counts no
/// reader.
#[cold]
fn undo_unlock<C: Readers>(cx: &C, me: Participant) -> Result<(), C::Fault> {
    cx.readers_add(me.slot, ACTIVE_ONE).map(drop)
}

/// Acquires the lock to write. Fast path: one compare-exchange, and one load for each slot.
#[inline]
pub fn write<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    let free = cx.load(words.lock)?;
    let acquired =
        if free & !PHASE == 0 && cx.compare_exchange(words.lock, free, me.id | (free ^ PHASE))?.is_ok() {
            Acquired::Clean
        } else {
            mutex::lock_slow(cx, words.lock, me.id, PHASE, mode)?
        };
    match drain(cx, words, me, mode) {
        Ok(()) => Ok(acquired),
        Err(error) => {
            if !matches!(error, AcquireError::Fault(_)) {
                // The caller may have detected a death and has not examined the data: `DAMAGED` stays.
                mutex::unlock_slow(cx, words.lock, me.id, true)?;
            }
            Err(error)
        }
    }
}

/// Waits for the readers that arrived before the caller acquired the lock word.
#[inline]
fn drain<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<(), AcquireError<C::Fault>> {
    let previous_phase = (cx.load(words.lock)? & PHASE) ^ PHASE;
    for slot in 0..cx.slots()? {
        let now = cx.readers_load(slot)?;
        if active(now) != 0 || waiting(now, previous_phase) != 0 {
            return drain_slow(cx, words, me, mode);
        }
    }
    Ok(())
}

#[cold]
fn drain_slow<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<(), AcquireError<C::Fault>> {
    let previous_phase = (cx.load(words.lock)? & PHASE) ^ PHASE;
    let mut spins = if mode == BlockingMode::Try { 0 } else { C::SPIN_LIMIT };
    let mut retries = Retries::default();
    loop {
        let notified = cx.load(words.drain)?;
        let mut reader = None;
        for slot in 0..cx.slots()? {
            let now = cx.readers_load(slot)?;
            if active(now) == 0 && waiting(now, previous_phase) == 0 {
                continue;
            }
            let id = participant_of(now);
            // Only the participant of this slot can have readers here.
            let dead = !cx.owns_slot(id, slot) || (spins == 0 && cx.is_dead(id));
            if !dead || cx.readers_compare_exchange(slot, now, 0)?.is_err() {
                reader = Some(id);
                break;
            }
        }
        let Some(reader) = reader else { return Ok(()) };
        if spins > 0 {
            spins -= 1;
            cx.pause();
            continue;
        }
        if mode == BlockingMode::Try {
            return Err(AcquireError::WouldBlock(reader));
        }
        retries.count(cx, mode, reader)?;
        cx.step("writer: waits for readers");
        // Any reader that leaves ends the wait, not only this one.
        if cx.wait(words.drain, notified, reader)? == WaitOutcome::TimedOut {
            return Err(AcquireError::TimedOut);
        }
        if cx.load(words.lock)? & OWNER != me.id {
            // A peer has overwritten the word of a live owner: the caller does not own the lock any more.
            return Err(AcquireError::WouldBlock(0));
        }
    }
}

/// Releases the lock after writing. Returns whether the caller held it.
#[inline]
pub fn write_unlock<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
) -> Result<bool, C::Fault> {
    let now = cx.load(words.lock)?;
    // No participant waits, and nothing but the phase has to be kept.
    if now & !PHASE == me.id && cx.compare_exchange(words.lock, now, now & PHASE)?.is_ok() {
        return Ok(true);
    }
    mutex::unlock_slow(cx, words.lock, me.id, true)
}
