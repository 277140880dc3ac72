//! The reader-writer lock: one lock word for writers, one word for the readers of each participant.
//!
//! Readers count themselves in the word of their own participant, so they do not get in each other's way, and a dead one's readers go with
//! his word. Writers take the lock word first (see `mutex`), turning its `PHASE` over, and then wait until nobody is counted any more. Each
//! side announces itself before it looks for the other, so at least one of them sees the other.
//!
//! | a reader's word: 64 bits | |
//! | --- | --- |
//! | 63–32 | id; of somebody else than the participant whose slot this is: nobody is counted |
//! | 31–20 `IN` | readers that read, or are about to look whether they may |
//! | 19–10, 9–0 `WAIT` | readers that wait for the end of a writer's phase 1, or 0 |
//!
//! | a reader | step | then |
//! | --- | --- | --- |
//! | comes | `IN` + 1 (fast path: one addition), looks at the lock word | free: it reads |
//! | meets a writer of phase *p* | `IN` − 1, `WAIT p` + 1; notifies the writer | sleeps on the lock word until owner and phase are others |
//! | after that phase | `WAIT p` − 1, `IN` + 1, looks at the lock word | it reads, even if the next writer (phase 1 − *p*) has the word already |
//! | meets another writer of phase *p* then | as before | the one of phase 1 − *p* between them gave up or died while it waited for readers |
//! | meets a dead writer | lock word: free, `DAMAGED` | wakes all, goes on as after that phase |
//! | goes | `IN` − 1 | if a writer has the word: notifies it |
//!
//! | a writer of phase *p* | waits for |
//! | --- | --- |
//! | before it may write | `IN` = 0 and `WAIT (1 − p)` = 0 in the words of all participants that live |
//!
//! **Fairness.** A reader that comes while there is a writer waits for that one only: the next writer waits for it. A writer only waits for
//! readers that came before it. Among writers: as in `mutex`.
//!
//! **Who dies where.** A reader at any step leaves numbers in his own word, and the writer who waits for them finds its participant gone after
//! a slice, and clears the word. A writer at any step (waiting for readers, too) leaves a dead id in the lock word. A reader who dies before it
//! notifies: the writer looks again after a slice.
//!
//! **Words that change all the time.** As in `mutex`: each loop counts its retries.

use super::mutex::{self, DAMAGED, DONE, OWNER, PHASE, WAITERS};
use super::{AcquireError, Acquired, BlockingMode, Context, Retries, WaitOutcome};

pub const ACTIVE_ONE: u64 = 1 << 20;
const ACTIVE_MAX: u64 = 4000;
const WAITING_MAX: u64 = 1000;

pub const fn waiting_one(phase: u32) -> u64 {
    if phase == 0 { 1 } else { 1 << 10 }
}

pub const fn participant_of(readers: u64) -> u32 {
    (readers >> 32) as u32
}

pub const fn active(readers: u64) -> u64 {
    (readers >> 20) & 0xfff
}

pub const fn waiting(readers: u64, phase: u32) -> u64 {
    (if phase == 0 { readers } else { readers >> 10 }) & 0x3ff
}

/// What a reader-writer lock needs besides.
pub trait Readers: Context {
    /// How many places there are; those above are not in use. Never more than there are words.
    fn slots(&self) -> Result<u32, Self::Fault>;
    /// Whether a participant with this id has this slot.
    fn owns_slot(&self, id: u32, slot: u32) -> bool;
    fn readers_load(&self, slot: u32) -> Result<u64, Self::Fault>;
    fn readers_compare_exchange(
        &self,
        slot: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Self::Fault>;
    /// Adds, wrapping around; gives the former value.
    fn readers_add(&self, slot: u32, value: u64) -> Result<u64, Self::Fault>;
}

/// The words of one lock.
#[derive(Debug)]
pub struct Words<'w, Word: ?Sized> {
    pub lock: &'w Word,
    pub drain: &'w Word,
}

impl<Word: ?Sized> Clone for Words<'_, Word> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Word: ?Sized> Copy for Words<'_, Word> {}

/// Who asks: the id, and the slot of its word.
#[derive(Clone, Copy, Debug)]
pub struct Participant {
    pub id: u32,
    pub slot: u32,
}

/// Counts one more of this participant's readers.
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
    // What is there counts for nobody who lives; what was added to it neither.
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

/// Moves readers of this participant from one count to another, if there is one to take from and room where it goes; gives the former word.
/// Otherwise a peer has written nonsense, or a count was taken back twice: then the word stays as it is.
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
    // Other threads of this participant are faster each time, or a peer is.
    let before = cx.readers_add(me.slot, add.wrapping_sub(take))?;
    if !can_move(before, me.id, take, add) {
        cx.readers_add(me.slot, take.wrapping_sub(add))?;
    }
    Ok(before)
}

/// Whether the counts of this participant's word can be changed so without reaching into each other, or into the id.
fn can_move(readers: u64, id: u32, take: u64, add: u64) -> bool {
    let fits = |ones: u64, count: fn(u64) -> u64, most: u64| {
        count(readers) >= count(take) && (ones & add == 0 || count(readers) < most)
    };
    participant_of(readers) == id
        && fits(ACTIVE_ONE, active, 0xfff)
        && fits(waiting_one(1), |readers| waiting(readers, 1), 0x3ff)
        && fits(waiting_one(0), |readers| waiting(readers, 0), 0x3ff)
}

fn notify_writer<C: Readers>(cx: &C, words: Words<'_, C::Word>) -> Result<(), C::Fault> {
    cx.step("reader: changed, and the writer not notified yet");
    cx.add(words.drain, 1)?;
    cx.wake(words.drain, true)
}

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
    // A writer of this phase does not wait for those who wait for its end. Most often it has gone after one round; but the writer that
    // turned the phase over may have given up or died waiting for us, and the one after that has the phase that we came in.
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
        cx.step("reader: the writer has gone, and not in yet");
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

/// Waits until a writer's phase is over; tells of a dead one.
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
                cx.step("reader: freed from a dead writer, and nobody woken yet");
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

/// Ends reading.
#[inline]
pub fn read_unlock<C: Readers>(cx: &C, words: Words<'_, C::Word>, me: Participant) -> Result<(), C::Fault> {
    let before = cx.readers_add(me.slot, ACTIVE_ONE.wrapping_neg())?;
    if participant_of(before) != me.id || active(before) == 0 {
        undo_unlock(cx, me)?;
    }
    let now = cx.load(words.lock)?;
    if matches!(now & OWNER, 0 | DONE) { Ok(()) } else { notify_writer(cx, words) }
}

/// Takes back what [`leave`] has subtracted from a word in which it is not counted. (Whatever the word looks like in between: its id is not that of
/// a participant with this slot, so it counts for nobody.)
#[cold]
fn undo_unlock<C: Readers>(cx: &C, me: Participant) -> Result<(), C::Fault> {
    cx.readers_add(me.slot, ACTIVE_ONE).map(drop)
}

#[inline]
pub fn write<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<Acquired, AcquireError<C::Fault>> {
    let free = cx.load(words.lock)?;
    let got = if free & !PHASE == 0 && cx.compare_exchange(words.lock, free, me.id | (free ^ PHASE))?.is_ok()
    {
        Acquired::Clean
    } else {
        mutex::lock_slow(cx, words.lock, me.id, PHASE, mode)?
    };
    match drain(cx, words, me, mode) {
        Ok(()) => Ok(got),
        Err(error) => {
            if !matches!(error, AcquireError::Fault(_)) {
                // Who was told of a death has not looked at the data: the mark stays for the next one.
                mutex::unlock_slow(cx, words.lock, me.id, true)?;
            }
            Err(error)
        }
    }
}

/// The owner of the lock word waits for the readers that came before.
#[inline]
fn drain<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
    mode: BlockingMode,
) -> Result<(), AcquireError<C::Fault>> {
    let former = (cx.load(words.lock)? & PHASE) ^ PHASE;
    for slot in 0..cx.slots()? {
        let now = cx.readers_load(slot)?;
        if active(now) != 0 || waiting(now, former) != 0 {
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
    let former = (cx.load(words.lock)? & PHASE) ^ PHASE;
    let mut spins = if mode == BlockingMode::Try { 0 } else { C::SPIN_LIMIT };
    let mut retries = Retries::default();
    loop {
        let notified = cx.load(words.drain)?;
        let mut reader = None;
        for slot in 0..cx.slots()? {
            let now = cx.readers_load(slot)?;
            if active(now) == 0 && waiting(now, former) == 0 {
                continue;
            }
            let id = participant_of(now);
            // (Who else than the participant of this slot can be no reader here.)
            let gone = !cx.owns_slot(id, slot) || (spins == 0 && cx.is_dead(id));
            if !gone || cx.readers_compare_exchange(slot, now, 0)?.is_err() {
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
        // Not for this reader alone: others may come to an end before it.
        if cx.wait(words.drain, notified, reader)? == WaitOutcome::TimedOut {
            return Err(AcquireError::TimedOut);
        }
        if cx.load(words.lock)? & OWNER != me.id {
            // A peer has taken it away from a living owner. Whatever that one believes, this one has not got it.
            return Err(AcquireError::WouldBlock(0));
        }
    }
}

/// Ends writing. Says whether the lock was ours.
#[inline]
pub fn write_unlock<C: Readers>(
    cx: &C,
    words: Words<'_, C::Word>,
    me: Participant,
) -> Result<bool, C::Fault> {
    let now = cx.load(words.lock)?;
    // Nobody waits, and nothing is to be kept but the phase.
    if now & !PHASE == me.id && cx.compare_exchange(words.lock, now, now & PHASE)?.is_ok() {
        return Ok(true);
    }
    mutex::unlock_slow(cx, words.lock, me.id, true)
}
