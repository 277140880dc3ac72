//! Orders of events that processes meet once in a million times: in a cx of one thread, where the others act at a certain step.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use super::mutex::{self, OWNER, PHASE, QUEUE};
use super::rwlock::{self, Participant, Readers, Words};
use super::{AcquireError, Acquired, BlockingMode, Context, WaitOutcome, event, event_count, once_lock};

/// What the others do, and at which step: once.
type Act<'a> = (&'static str, Box<dyn FnOnce(&Table<'a>) + 'a>);

#[derive(Default)]
struct Table<'a> {
    readers: [Cell<u64>; 4],
    gone: Cell<u32>,
    acts: RefCell<Vec<Act<'a>>>,
}

impl Context for Table<'_> {
    type Fault = Infallible;
    type Word = Cell<u32>;

    fn load(&self, word: &Cell<u32>) -> Result<u32, Infallible> {
        Ok(word.get())
    }

    fn compare_exchange(
        &self,
        word: &Cell<u32>,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, Infallible> {
        let now = word.get();
        Ok(if now == current { Ok(word.replace(new)) } else { Err(now) })
    }

    fn add(&self, word: &Cell<u32>, value: u32) -> Result<u32, Infallible> {
        Ok(word.replace(word.get().wrapping_add(value)))
    }

    fn swap(&self, word: &Cell<u32>, value: u32) -> Result<u32, Infallible> {
        Ok(word.replace(value))
    }

    fn wait(&self, word: &Cell<u32>, expected: u32, _: u32) -> Result<WaitOutcome, Infallible> {
        self.step("asleep");
        Ok(if word.get() == expected { WaitOutcome::RecheckDue } else { WaitOutcome::Woken })
    }

    fn owner_died(&self, _: &Cell<u32>, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn wake(&self, _: &Cell<u32>, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_past_deadline(&self) -> bool {
        false
    }

    fn is_dead(&self, id: u32) -> bool {
        self.gone.get() == id
    }

    fn pause(&self) {}

    fn step(&self, name: &'static str) {
        let mut acts = self.acts.borrow_mut();
        if acts.first().is_some_and(|(at, _)| *at == name) {
            let (_, act) = acts.remove(0);
            drop(acts);
            act(self);
        }
    }
}

impl Readers for Table<'_> {
    fn slots(&self) -> Result<u32, Infallible> {
        Ok(4)
    }

    fn owns_slot(&self, id: u32, slot: u32) -> bool {
        id != 0 && id & 511 == slot
    }

    fn readers_load(&self, slot: u32) -> Result<u64, Infallible> {
        Ok(self.readers[slot as usize].get())
    }

    fn readers_compare_exchange(
        &self,
        slot: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Infallible> {
        let word = &self.readers[slot as usize];
        let now = word.get();
        Ok(if now == current { Ok(word.replace(new)) } else { Err(now) })
    }

    fn readers_add(&self, slot: u32, value: u64) -> Result<u64, Infallible> {
        let word = &self.readers[slot as usize];
        Ok(word.replace(word.get().wrapping_add(value)))
    }
}

fn me(slot: u32) -> Participant {
    Participant { id: 512 + slot, slot }
}

const SIMPLY: BlockingMode = BlockingMode::Try;

/// The reader has met writer 1. Writer 2 comes after it and cannot wait for the reader to go in (`between`); writer 3 then has the phase of
/// writer 1. Says whether the reader was in beside writer 3.
fn overtaken(between: impl FnOnce(&Table<'_>, Words<'_, Cell<u32>>)) -> bool {
    let (lock, drain, third_is_in) = (Cell::new(0), Cell::new(0), Cell::new(false));
    let words = Words { lock: &lock, drain: &drain };
    let table = Table::default();
    assert_eq!(rwlock::write(&table, words, me(1), SIMPLY), Ok(Acquired::Clean));
    let overtake = |table: &Table<'_>| {
        assert_eq!(rwlock::write_unlock(table, words, me(1)), Ok(true));
        between(table, words);
        assert!(rwlock::write(table, words, me(3), SIMPLY).is_ok(), "nobody is in");
        third_is_in.set(true);
    };
    table.acts.borrow_mut().push(("asleep", Box::new(overtake)));
    // If it does not take the chance to go in beside writer 3, that one ends.
    let end = |table: &Table<'_>| {
        third_is_in.set(false);
        assert_eq!(rwlock::write_unlock(table, words, me(3)), Ok(true));
    };
    table.acts.borrow_mut().push(("asleep", Box::new(end)));
    assert!(rwlock::read(&table, words, me(0), BlockingMode::Block).is_ok());
    third_is_in.get()
}

#[test]
fn a_reader_is_not_let_in_by_a_writer_that_gave_up() {
    assert!(!overtaken(|table, words| {
        let error = rwlock::write(table, words, me(2), SIMPLY);
        assert_eq!(error, Err(AcquireError::WouldBlock(512)), "the reader has the right to go first");
    }));
}

#[test]
fn a_reader_is_not_let_in_by_a_writer_that_died() {
    assert!(!overtaken(|table, words| {
        // It died while it waited for the reader.
        let phase = words.lock.get() & PHASE;
        words.lock.set(me(2).id | (phase ^ PHASE));
        table.gone.set(me(2).id);
    }));
}

#[test]
fn who_only_tries_gets_past_a_queue_of_the_dead() {
    let table = Table::default();
    // Somebody had waited in vain, and died asleep.
    let word = Cell::new(QUEUE);
    assert_eq!(mutex::lock(&table, &word, 512, SIMPLY), Err(AcquireError::WouldBlock(0)));
    assert_eq!(mutex::lock(&table, &word, 512, SIMPLY), Ok(Acquired::Clean));
    assert_eq!(word.get() & OWNER, 512);
}

#[test]
fn a_reader_that_leaves_twice_counts_nobody_out() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let table = Table::default();
    assert_eq!(rwlock::read(&table, words, me(1), SIMPLY), Ok(Acquired::Clean));
    for _ in 0..2 {
        assert_eq!(rwlock::read_unlock(&table, words, me(1)), Ok(()));
        assert_eq!(table.readers[1].get(), u64::from(me(1).id) << 32);
    }
    // Not even in the middle of it: the word is then that of nobody with this slot.
    table.readers[1].set((u64::from(me(1).id - 1) << 32) | 0xfff0_0000);
    assert_eq!(rwlock::write(&table, words, me(2), SIMPLY), Ok(Acquired::Clean));
}

#[test]
fn no_count_of_readers_reaches_into_another() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let id = u64::from(me(0).id) << 32;
    for counts in [0, 1, 0x3ff, 0x3ff << 10, 0xfff << 20, 0xffff_ffff, 1 << 20, (1 << 20) | 0x3ff] {
        let table = Table::default();
        // A reader comes, and meets a writer that does not go.
        lock.set(me(1).id);
        let overwrite = |table: &Table<'_>| table.readers[0].set(id | counts);
        table
            .acts
            .borrow_mut()
            .push(("reader: changed, and the writer not notified yet", Box::new(overwrite)));
        let error = rwlock::read(&table, words, me(0), SIMPLY);
        assert!(matches!(error, Err(AcquireError::WouldBlock(_))), "{counts:#x}: {error:?}");
        let taken_back = if counts & 0x3ff > 0 { counts - 1 } else { counts };
        assert_eq!(table.readers[0].get(), id | taken_back, "{counts:#x}");
    }
}

/// A cx in which the words are others at every look: each step of the operation comes after one of a peer who never rests.
struct Restless {
    change: Change,
    steps: Cell<u32>,
    readers: Cell<u64>,
    late: bool,
}

/// More than any operation takes that comes to an end by itself.
const ENDLESS: u32 = 20_000;

impl Restless {
    fn new(change: Change, late: bool) -> Self {
        Restless { change, steps: Cell::new(0), readers: Cell::new(0), late }
    }

    fn peer(&self, word: &Cell<u32>) {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() < ENDLESS, "it does not come to an end");
        word.set((self.change)(word.get(), self.steps.get()));
    }

    /// The same with a reader's word, both halves of it.
    fn peer_of_readers(&self) {
        let (word, half) = (self.readers.get(), Cell::new(0));
        self.peer(&half);
        self.readers.set(word.wrapping_add((u64::from(half.get()) << 32) | (1 << 20)));
    }
}

impl Context for Restless {
    type Fault = Infallible;
    type Word = Cell<u32>;

    fn load(&self, word: &Cell<u32>) -> Result<u32, Infallible> {
        self.peer(word);
        Ok(word.get())
    }

    fn compare_exchange(
        &self,
        word: &Cell<u32>,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, Infallible> {
        self.peer(word);
        let now = word.get();
        Ok(if now == current { Ok(word.replace(new)) } else { Err(now) })
    }

    fn add(&self, word: &Cell<u32>, value: u32) -> Result<u32, Infallible> {
        self.peer(word);
        Ok(word.replace(word.get().wrapping_add(value)))
    }

    fn swap(&self, word: &Cell<u32>, value: u32) -> Result<u32, Infallible> {
        self.peer(word);
        Ok(word.replace(value))
    }

    /// It never comes to a sleep.
    fn wait(&self, word: &Cell<u32>, _: u32, _: u32) -> Result<WaitOutcome, Infallible> {
        self.peer(word);
        Ok(WaitOutcome::Changed)
    }

    fn owner_died(&self, _: &Cell<u32>, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn wake(&self, _: &Cell<u32>, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_past_deadline(&self) -> bool {
        self.late
    }

    /// Tokens above 1000 are nobody's.
    fn is_dead(&self, id: u32) -> bool {
        id > 1000
    }

    fn pause(&self) {}

    fn step(&self, _: &'static str) {}
}

impl Readers for Restless {
    fn slots(&self) -> Result<u32, Infallible> {
        Ok(4)
    }

    fn owns_slot(&self, id: u32, slot: u32) -> bool {
        id & 3 == slot
    }

    fn readers_load(&self, _: u32) -> Result<u64, Infallible> {
        self.peer_of_readers();
        Ok(self.readers.get())
    }

    fn readers_compare_exchange(
        &self,
        _: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Infallible> {
        self.peer_of_readers();
        let now = self.readers.get();
        Ok(if now == current { Ok(self.readers.replace(new)) } else { Err(now) })
    }

    fn readers_add(&self, _: u32, value: u64) -> Result<u64, Infallible> {
        self.peer_of_readers();
        Ok(self.readers.replace(self.readers.get().wrapping_add(value)))
    }
}

/// What a peer puts into a word of 32 bits, given what was there and the number of the step.
type Change = fn(u32, u32) -> u32;

/// What the peers that never rest do to a word.
const CHANGES: [(&str, Change); 6] = [
    ("free, with other marks each time", |_, step| (step & 7) << 29),
    ("somebody's, with other marks each time", |_, step| 700 | (step & 15) << 28),
    ("a dead one's, with other marks each time", |_, step| 2000 | (step & 15) << 28),
    ("somebody else's each time, of either phase", |_, step| (600 + step % 3) | (step & 1) << 28),
    (
        "free and taken by turns",
        |_, step| if step & 2 == 0 { (step & 4) << 27 } else { 700 | (step & 4) << 27 },
    ),
    ("anything", |was, step| (was ^ step.wrapping_mul(0x9e37_79b9)).rotate_left(7).wrapping_mul(0x85eb_ca6b)),
];

#[test]
fn no_word_that_changes_all_the_time_holds_who_tries_or_is_past_deadline() {
    for (what, change) in CHANGES {
        for mode in [BlockingMode::Try, BlockingMode::Block] {
            // Who tries has no deadline; of who waits it has passed.
            let restless = || Restless::new(change, mode == BlockingMode::Block);
            let (lock, drain) = (Cell::new(0), Cell::new(0));
            let words = Words { lock: &lock, drain: &drain };
            let error = |result: Result<Acquired, AcquireError<Infallible>>, by: &str| match (mode, result) {
                (_, Ok(_) | Err(AcquireError::Done | AcquireError::TooManyReaders))
                | (_, Err(AcquireError::WouldBlock(_)))
                | (BlockingMode::Block, Err(AcquireError::TimedOut)) => {}
                other => panic!("{what}, {by}: {other:?}"),
            };
            error(mutex::lock(&restless(), &lock, 512, mode), "mutex");
            error(rwlock::read(&restless(), words, me(0), mode), "read");
            error(rwlock::write(&restless(), words, me(0), mode), "write");
            error(event::wait(&restless(), &lock, true, mode).map(|()| Acquired::Clean), "event");
            let _ = event_count::wait_past(&Restless::new(change, true), &lock, 0);
            let _ = once_lock::begin(&Restless::new(change, true), &lock, 512);
        }
    }
}

#[test]
fn who_never_gets_it_is_told_that_it_is_past_deadline() {
    let word = Cell::new(0);
    let [free, taken, dead, ..] = CHANGES.map(|(_, change)| change);
    for change in [free, taken, dead] {
        let late = mutex::lock(&Restless::new(change, true), &word, 512, BlockingMode::Block);
        assert_eq!(late, Err(AcquireError::TimedOut));
        let tried = mutex::lock(&Restless::new(change, false), &word, 512, BlockingMode::Try);
        assert!(matches!(tried, Err(AcquireError::WouldBlock(_))), "{tried:?}");
    }
    // Set at each look, and taken by somebody else before each step.
    let by_turns = |_, step| step % 2;
    let (late, late_too) = (Restless::new(by_turns, true), Restless::new(by_turns, true));
    let missed = event::wait(&late, &word, true, BlockingMode::Block);
    assert_eq!(missed, Err(AcquireError::TimedOut));
    // 7 at each look, and something else before each sleep.
    assert_eq!(event_count::wait_past(&late_too, &word, 1), Err(AcquireError::TimedOut));
}

#[test]
fn an_owner_lets_go_of_a_word_that_changes_all_the_time() {
    // The peer keeps to what is not its own: the marks of those who wait.
    let marks = |was: u32, step: u32| (was & (OWNER | mutex::DAMAGED)) | (step & 3) << 30;
    let restless = || Restless::new(marks, false);
    let word = Cell::new(512);
    assert_eq!(mutex::mark_damaged(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (OWNER | mutex::DAMAGED), 512 | mutex::DAMAGED);
    assert_eq!(mutex::mark_consistent(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (OWNER | mutex::DAMAGED), 512);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & OWNER, 0);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(false), "it has let go already");
    word.set(512);
    assert_eq!(mutex::finish(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & OWNER, mutex::DONE);
    // One that takes the word away at the last moment is not overwritten.
    let thief = |was: u32, step: u32| {
        if step == 2 * Restless::RETRY_LIMIT + 1 {
            700
        } else {
            was ^ if was & OWNER == 512 { QUEUE } else { 0 }
        }
    };
    word.set(512);
    assert_eq!(mutex::unlock(&Restless::new(thief, false), &word, 512), Ok(false));
    assert_eq!(word.get(), 700);
}
