//! The reader-writer lock: one lock word for writers, one word for the readers of each participant.
//!
//! Readers count themselves in the word of their own participant, so they do not get in each other's way, and a dead one's readers go with
//! his word. Writers take the lock word first (see `mutex`), turning its `PHASE` over, and then wait until nobody is counted any more. Each
//! side announces itself before it looks for the other, so at least one of them sees the other.
//!
//! | a reader's word: 64 bits | |
//! | --- | --- |
//! | 63–32 | token; of somebody else than the participant whose place this is: nobody is counted |
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
//! a slice, and clears the word. A writer at any step (waiting for readers, too) leaves a dead token in the lock word. A reader who dies before it
//! notifies: the writer looks again after a slice.
//!
//! **Words that change all the time.** As in `mutex`: each loop counts its rounds.

use super::mutex::{self, DAMAGED, DONE, PHASE, TOKEN, WAITERS};
use super::{Got, Patience, Refused, Rounds, Slept, World};

pub const IN_ONE: u64 = 1 << 20;
const IN_MAX: u64 = 4000;
const WAIT_MAX: u64 = 1000;

pub const fn wait_one(phase: u32) -> u64 {
    if phase == 0 { 1 } else { 1 << 10 }
}

pub const fn token_of(readers: u64) -> u32 {
    (readers >> 32) as u32
}

pub const fn is_in(readers: u64) -> u64 {
    (readers >> 20) & 0xfff
}

pub const fn waits(readers: u64, phase: u32) -> u64 {
    (if phase == 0 { readers } else { readers >> 10 }) & 0x3ff
}

/// What a reader-writer lock needs besides.
pub trait Readers: World {
    /// How many places there are; those above are not in use. Never more than there are words.
    fn places(&self) -> Result<u32, Self::Fault>;
    /// Whether a participant with this token has this place.
    fn is_of(&self, token: u32, place: u32) -> bool;
    fn readers_load(&self, place: u32) -> Result<u64, Self::Fault>;
    fn readers_compare_exchange(
        &self,
        place: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Self::Fault>;
    /// Adds, wrapping around; gives the former value.
    fn readers_add(&self, place: u32, value: u64) -> Result<u64, Self::Fault>;
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

/// Who asks: the token, and the place of its word.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    pub token: u32,
    pub place: u32,
}

/// Counts one more of this participant's readers.
#[inline]
fn count_in<W: Readers>(world: &W, me: Me, patience: Patience) -> Result<(), Refused<W::Fault>> {
    let before = world.readers_add(me.place, IN_ONE)?;
    if token_of(before) == me.token && is_in(before) < IN_MAX {
        return Ok(());
    }
    count_in_slow(world, me, before, patience)
}

#[cold]
fn count_in_slow<W: Readers>(
    world: &W,
    me: Me,
    before: u64,
    patience: Patience,
) -> Result<(), Refused<W::Fault>> {
    if token_of(before) == me.token {
        world.readers_add(me.place, IN_ONE.wrapping_neg())?;
        return Err(Refused::TooMany);
    }
    // What is there counts for nobody who lives; what was added to it neither.
    let fresh = (u64::from(me.token) << 32) | IN_ONE;
    let mut rounds = Rounds::default();
    loop {
        rounds.again(world, patience, 0)?;
        let now = world.readers_load(me.place)?;
        let new = match token_of(now) == me.token {
            true if is_in(now) >= IN_MAX => return Err(Refused::TooMany),
            true => now + IN_ONE,
            false => fresh,
        };
        if world.readers_compare_exchange(me.place, now, new)?.is_ok() {
            return Ok(());
        }
    }
}

/// Moves readers of this participant from one count to another, if there is one to take from and room where it goes; gives the former word.
/// Otherwise a peer has written nonsense, or a count was taken back twice: then the word stays as it is.
fn recount<W: Readers>(world: &W, me: Me, take: u64, add: u64) -> Result<u64, W::Fault> {
    let mut before = world.readers_load(me.place)?;
    for _ in 0..W::ROUNDS {
        if !can_change(before, me.token, take, add) {
            return Ok(before);
        }
        let new = before - take + add;
        match world.readers_compare_exchange(me.place, before, new)? {
            Ok(_) => return Ok(before),
            Err(now) => before = now,
        }
    }
    // Other threads of this participant are faster each time, or a peer is.
    let before = world.readers_add(me.place, add.wrapping_sub(take))?;
    if !can_change(before, me.token, take, add) {
        world.readers_add(me.place, take.wrapping_sub(add))?;
    }
    Ok(before)
}

/// Whether the counts of this participant's word can be changed so without reaching into each other, or into the token.
fn can_change(readers: u64, token: u32, take: u64, add: u64) -> bool {
    let fits = |ones: u64, count: fn(u64) -> u64, most: u64| {
        count(readers) >= count(take) && (ones & add == 0 || count(readers) < most)
    };
    token_of(readers) == token
        && fits(IN_ONE, is_in, 0xfff)
        && fits(wait_one(1), |readers| waits(readers, 1), 0x3ff)
        && fits(wait_one(0), |readers| waits(readers, 0), 0x3ff)
}

fn notify<W: Readers>(world: &W, words: Words<'_, W::Word>) -> Result<(), W::Fault> {
    world.step("reader: changed, and the writer not notified yet");
    world.add(words.drain, 1)?;
    world.wake(words.drain, true)
}

#[inline]
pub fn read<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    me: Me,
    patience: Patience,
) -> Result<Got, Refused<W::Fault>> {
    count_in(world, me, patience)?;
    let now = world.load(words.lock)?;
    if now & (TOKEN | DAMAGED) == 0 {
        return Ok(Got::Clean);
    }
    read_slow(world, words, me, patience, now)
}

#[cold]
fn read_slow<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    me: Me,
    patience: Patience,
    seen: u32,
) -> Result<Got, Refused<W::Fault>> {
    let phase = seen & PHASE;
    let mut died = None;
    let mut now = seen;
    let mut rounds = Rounds::default();
    // A writer of this phase does not wait for those who wait for its end. Most often it has gone after one round; but the writer that
    // turned the phase over may have given up or died waiting for us, and the one after that has the phase that we came in.
    while !matches!(now & TOKEN, 0 | DONE) && now & PHASE == phase {
        if let Err(refused) = rounds.again(world, patience, now & TOKEN) {
            leave(world, words, me)?;
            return Err(refused);
        }
        let one = wait_one(phase);
        let before = recount(world, me, IN_ONE, one)?;
        if waits(before, phase) >= WAIT_MAX {
            recount(world, me, one, 0)?;
            notify(world, words)?;
            return Err(Refused::TooMany);
        }
        notify(world, words)?;
        match wait_for_end(world, words, (now & TOKEN) | phase, patience, &mut rounds) {
            Ok(dead) => died = dead.or(died),
            Err(refused) => {
                if !matches!(refused, Refused::Fault(_)) {
                    recount(world, me, one, 0)?;
                    notify(world, words)?;
                }
                return Err(refused);
            }
        }
        world.step("reader: the writer has gone, and not in yet");
        recount(world, me, one, IN_ONE)?;
        now = world.load(words.lock)?;
    }
    if now & TOKEN == DONE {
        leave(world, words, me)?;
        return Err(Refused::Done);
    }
    Ok(match died {
        Some(token) => Got::OwnerDied(token),
        None if now & DAMAGED != 0 => Got::Damaged,
        None => Got::Clean,
    })
}

/// Waits until a writer's phase is over; tells of a dead one.
fn wait_for_end<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    writer: u32,
    patience: Patience,
    rounds: &mut Rounds,
) -> Result<Option<u32>, Refused<W::Fault>> {
    let mut spins = if patience == Patience::Try { 0 } else { W::SPINS };
    loop {
        let now = world.load(words.lock)?;
        if now & (TOKEN | PHASE) != writer {
            return Ok(None);
        }
        if spins > 0 && now & WAITERS == 0 {
            spins -= 1;
            world.pause();
            continue;
        }
        let owner = writer & TOKEN;
        rounds.again(world, patience, owner)?;
        if world.is_gone(owner) {
            world.found_dead(words.lock, owner)?;
            let free = (now & !TOKEN) | DAMAGED;
            if world.compare_exchange(words.lock, now, free)?.is_ok() {
                world.step("reader: freed from a dead writer, and nobody woken yet");
                world.wake(words.lock, true)?;
                return Ok(Some(owner));
            }
            continue;
        }
        if patience == Patience::Try {
            return Err(Refused::WouldBlock(owner));
        }
        if now & WAITERS == 0 && world.compare_exchange(words.lock, now, now | WAITERS)?.is_err() {
            continue;
        }
        world.step("reader: marked as waiting");
        if world.sleep(words.lock, now | WAITERS, owner)? == Slept::Deadline {
            return Err(Refused::Deadline);
        }
    }
}

/// Ends reading.
#[inline]
pub fn leave<W: Readers>(world: &W, words: Words<'_, W::Word>, me: Me) -> Result<(), W::Fault> {
    let before = world.readers_add(me.place, IN_ONE.wrapping_neg())?;
    if token_of(before) != me.token || is_in(before) == 0 {
        not_in(world, me)?;
    }
    let now = world.load(words.lock)?;
    if matches!(now & TOKEN, 0 | DONE) { Ok(()) } else { notify(world, words) }
}

/// Takes back what [`leave`] has subtracted from a word in which it is not counted. (Whatever the word looks like in between: its token is not that of
/// a participant with this place, so it counts for nobody.)
#[cold]
fn not_in<W: Readers>(world: &W, me: Me) -> Result<(), W::Fault> {
    world.readers_add(me.place, IN_ONE).map(drop)
}

#[inline]
pub fn write<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    me: Me,
    patience: Patience,
) -> Result<Got, Refused<W::Fault>> {
    let free = world.load(words.lock)?;
    let got = if free & !PHASE == 0
        && world.compare_exchange(words.lock, free, me.token | (free ^ PHASE))?.is_ok()
    {
        Got::Clean
    } else {
        mutex::lock_slow(world, words.lock, me.token, PHASE, patience)?
    };
    match drain(world, words, me, patience) {
        Ok(()) => Ok(got),
        Err(refused) => {
            if !matches!(refused, Refused::Fault(_)) {
                // Who was told of a death has not looked at the data: the mark stays for the next one.
                mutex::unlock_slow(world, words.lock, me.token, true)?;
            }
            Err(refused)
        }
    }
}

/// The owner of the lock word waits for the readers that came before.
#[inline]
fn drain<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    me: Me,
    patience: Patience,
) -> Result<(), Refused<W::Fault>> {
    let former = (world.load(words.lock)? & PHASE) ^ PHASE;
    for place in 0..world.places()? {
        let now = world.readers_load(place)?;
        if is_in(now) != 0 || waits(now, former) != 0 {
            return drain_slow(world, words, me, patience);
        }
    }
    Ok(())
}

#[cold]
fn drain_slow<W: Readers>(
    world: &W,
    words: Words<'_, W::Word>,
    me: Me,
    patience: Patience,
) -> Result<(), Refused<W::Fault>> {
    let former = (world.load(words.lock)? & PHASE) ^ PHASE;
    let mut spins = if patience == Patience::Try { 0 } else { W::SPINS };
    let mut rounds = Rounds::default();
    loop {
        let notified = world.load(words.drain)?;
        let mut reader = None;
        for place in 0..world.places()? {
            let now = world.readers_load(place)?;
            if is_in(now) == 0 && waits(now, former) == 0 {
                continue;
            }
            let token = token_of(now);
            // (Who else than the participant of this place can be no reader here.)
            let gone = !world.is_of(token, place) || (spins == 0 && world.is_gone(token));
            if !gone || world.readers_compare_exchange(place, now, 0)?.is_err() {
                reader = Some(token);
                break;
            }
        }
        let Some(reader) = reader else { return Ok(()) };
        if spins > 0 {
            spins -= 1;
            world.pause();
            continue;
        }
        if patience == Patience::Try {
            return Err(Refused::WouldBlock(reader));
        }
        rounds.again(world, patience, reader)?;
        world.step("writer: waits for readers");
        // Not for this reader alone: others may come to an end before it.
        if world.sleep(words.drain, notified, reader)? == Slept::Deadline {
            return Err(Refused::Deadline);
        }
        if world.load(words.lock)? & TOKEN != me.token {
            // A peer has taken it away from a living owner. Whatever that one believes, this one has not got it.
            return Err(Refused::WouldBlock(0));
        }
    }
}

/// Ends writing. Says whether the lock was ours.
#[inline]
pub fn end_write<W: Readers>(world: &W, words: Words<'_, W::Word>, me: Me) -> Result<bool, W::Fault> {
    let now = world.load(words.lock)?;
    // Nobody waits, and nothing is to be kept but the phase.
    if now & !PHASE == me.token && world.compare_exchange(words.lock, now, now & PHASE)?.is_ok() {
        return Ok(true);
    }
    mutex::unlock_slow(world, words.lock, me.token, true)
}
