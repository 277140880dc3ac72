//! Orders of events that processes meet once in a million times: in a world of one thread, where the others act at a certain step.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use super::mutex::{self, PHASE, QUEUE, TOKEN};
use super::rwlock::{self, Me, Readers, Words};
use super::{Got, Patience, Refused, Slept, World, count, flag, once};

/// What the others do, and at which step: once.
type Act<'a> = (&'static str, Box<dyn FnOnce(&Table<'a>) + 'a>);

#[derive(Default)]
struct Table<'a> {
    readers: [Cell<u64>; 4],
    gone: Cell<u32>,
    acts: RefCell<Vec<Act<'a>>>,
}

impl World for Table<'_> {
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

    fn sleep(&self, word: &Cell<u32>, expected: u32, _: u32) -> Result<Slept, Infallible> {
        self.step("asleep");
        Ok(if word.get() == expected { Slept::Slice } else { Slept::Woken })
    }

    fn found_dead(&self, _: &Cell<u32>, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn wake(&self, _: &Cell<u32>, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_late(&self) -> bool {
        false
    }

    fn is_gone(&self, token: u32) -> bool {
        self.gone.get() == token
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
    fn places(&self) -> Result<u32, Infallible> {
        Ok(4)
    }

    fn is_of(&self, token: u32, place: u32) -> bool {
        token != 0 && token & 511 == place
    }

    fn readers_load(&self, place: u32) -> Result<u64, Infallible> {
        Ok(self.readers[place as usize].get())
    }

    fn readers_compare_exchange(
        &self,
        place: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Infallible> {
        let word = &self.readers[place as usize];
        let now = word.get();
        Ok(if now == current { Ok(word.replace(new)) } else { Err(now) })
    }

    fn readers_add(&self, place: u32, value: u64) -> Result<u64, Infallible> {
        let word = &self.readers[place as usize];
        Ok(word.replace(word.get().wrapping_add(value)))
    }
}

fn me(place: u32) -> Me {
    Me { token: 512 + place, place }
}

const SIMPLY: Patience = Patience::Try;

/// The reader has met writer 1. Writer 2 comes after it and cannot wait for the reader to go in (`between`); writer 3 then has the phase of
/// writer 1. Says whether the reader was in beside writer 3.
fn overtaken(between: impl FnOnce(&Table<'_>, Words<'_, Cell<u32>>)) -> bool {
    let (lock, drain, third_is_in) = (Cell::new(0), Cell::new(0), Cell::new(false));
    let words = Words { lock: &lock, drain: &drain };
    let table = Table::default();
    assert_eq!(rwlock::write(&table, words, me(1), SIMPLY), Ok(Got::Clean));
    let overtake = |table: &Table<'_>| {
        assert_eq!(rwlock::end_write(table, words, me(1)), Ok(true));
        between(table, words);
        assert!(rwlock::write(table, words, me(3), SIMPLY).is_ok(), "nobody is in");
        third_is_in.set(true);
    };
    table.acts.borrow_mut().push(("asleep", Box::new(overtake)));
    // If it does not take the chance to go in beside writer 3, that one ends.
    let end = |table: &Table<'_>| {
        third_is_in.set(false);
        assert_eq!(rwlock::end_write(table, words, me(3)), Ok(true));
    };
    table.acts.borrow_mut().push(("asleep", Box::new(end)));
    assert!(rwlock::read(&table, words, me(0), Patience::Wait).is_ok());
    third_is_in.get()
}

#[test]
fn a_reader_is_not_let_in_by_a_writer_that_gave_up() {
    assert!(!overtaken(|table, words| {
        let refused = rwlock::write(table, words, me(2), SIMPLY);
        assert_eq!(refused, Err(Refused::WouldBlock(512)), "the reader has the right to go first");
    }));
}

#[test]
fn a_reader_is_not_let_in_by_a_writer_that_died() {
    assert!(!overtaken(|table, words| {
        // It died while it waited for the reader.
        let phase = words.lock.get() & PHASE;
        words.lock.set(me(2).token | (phase ^ PHASE));
        table.gone.set(me(2).token);
    }));
}

#[test]
fn who_only_tries_gets_past_a_queue_of_the_dead() {
    let table = Table::default();
    // Somebody had waited in vain, and died asleep.
    let word = Cell::new(QUEUE);
    assert_eq!(mutex::lock(&table, &word, 512, SIMPLY), Err(Refused::WouldBlock(0)));
    assert_eq!(mutex::lock(&table, &word, 512, SIMPLY), Ok(Got::Clean));
    assert_eq!(word.get() & TOKEN, 512);
}

#[test]
fn a_reader_that_leaves_twice_counts_nobody_out() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let table = Table::default();
    assert_eq!(rwlock::read(&table, words, me(1), SIMPLY), Ok(Got::Clean));
    for _ in 0..2 {
        assert_eq!(rwlock::leave(&table, words, me(1)), Ok(()));
        assert_eq!(table.readers[1].get(), u64::from(me(1).token) << 32);
    }
    // Not even in the middle of it: the word is then that of nobody with this place.
    table.readers[1].set((u64::from(me(1).token - 1) << 32) | 0xfff0_0000);
    assert_eq!(rwlock::write(&table, words, me(2), SIMPLY), Ok(Got::Clean));
}

#[test]
fn no_count_of_readers_reaches_into_another() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let token = u64::from(me(0).token) << 32;
    for counts in [0, 1, 0x3ff, 0x3ff << 10, 0xfff << 20, 0xffff_ffff, 1 << 20, (1 << 20) | 0x3ff] {
        let table = Table::default();
        // A reader comes, and meets a writer that does not go.
        lock.set(me(1).token);
        let overwrite = |table: &Table<'_>| table.readers[0].set(token | counts);
        table
            .acts
            .borrow_mut()
            .push(("reader: changed, and the writer not notified yet", Box::new(overwrite)));
        let refused = rwlock::read(&table, words, me(0), SIMPLY);
        assert!(matches!(refused, Err(Refused::WouldBlock(_))), "{counts:#x}: {refused:?}");
        let taken_back = if counts & 0x3ff > 0 { counts - 1 } else { counts };
        assert_eq!(table.readers[0].get(), token | taken_back, "{counts:#x}");
    }
}

/// A world in which the words are others at every look: each step of the operation comes after one of a peer who never rests.
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

impl World for Restless {
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
    fn sleep(&self, word: &Cell<u32>, _: u32, _: u32) -> Result<Slept, Infallible> {
        self.peer(word);
        Ok(Slept::Changed)
    }

    fn found_dead(&self, _: &Cell<u32>, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn wake(&self, _: &Cell<u32>, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_late(&self) -> bool {
        self.late
    }

    /// Tokens above 1000 are nobody's.
    fn is_gone(&self, token: u32) -> bool {
        token > 1000
    }

    fn pause(&self) {}

    fn step(&self, _: &'static str) {}
}

impl Readers for Restless {
    fn places(&self) -> Result<u32, Infallible> {
        Ok(4)
    }

    fn is_of(&self, token: u32, place: u32) -> bool {
        token & 3 == place
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
fn no_word_that_changes_all_the_time_holds_who_tries_or_is_late() {
    for (what, change) in CHANGES {
        for patience in [Patience::Try, Patience::Wait] {
            // Who tries has no deadline; of who waits it has passed.
            let restless = || Restless::new(change, patience == Patience::Wait);
            let (lock, drain) = (Cell::new(0), Cell::new(0));
            let words = Words { lock: &lock, drain: &drain };
            let refused = |result: Result<Got, Refused<Infallible>>, by: &str| match (patience, result) {
                (_, Ok(_) | Err(Refused::Done | Refused::TooMany))
                | (_, Err(Refused::WouldBlock(_)))
                | (Patience::Wait, Err(Refused::Deadline)) => {}
                other => panic!("{what}, {by}: {other:?}"),
            };
            refused(mutex::lock(&restless(), &lock, 512, patience), "mutex");
            refused(rwlock::read(&restless(), words, me(0), patience), "read");
            refused(rwlock::write(&restless(), words, me(0), patience), "write");
            refused(flag::wait(&restless(), &lock, true, patience).map(|()| Got::Clean), "event");
            let _ = count::wait_past(&Restless::new(change, true), &lock, 0);
            let _ = once::begin(&Restless::new(change, true), &lock, 512);
        }
    }
}

#[test]
fn who_never_gets_it_is_told_that_it_is_late() {
    let word = Cell::new(0);
    let [free, taken, dead, ..] = CHANGES.map(|(_, change)| change);
    for change in [free, taken, dead] {
        let late = mutex::lock(&Restless::new(change, true), &word, 512, Patience::Wait);
        assert_eq!(late, Err(Refused::Deadline));
        let tried = mutex::lock(&Restless::new(change, false), &word, 512, Patience::Try);
        assert!(matches!(tried, Err(Refused::WouldBlock(_))), "{tried:?}");
    }
    // Set at each look, and taken by somebody else before each step.
    let by_turns = |_, step| step % 2;
    let (late, late_too) = (Restless::new(by_turns, true), Restless::new(by_turns, true));
    let missed = flag::wait(&late, &word, true, Patience::Wait);
    assert_eq!(missed, Err(Refused::Deadline));
    // 7 at each look, and something else before each sleep.
    assert_eq!(count::wait_past(&late_too, &word, 1), Err(Refused::Deadline));
}

#[test]
fn an_owner_lets_go_of_a_word_that_changes_all_the_time() {
    // The peer keeps to what is not its own: the marks of those who wait.
    let marks = |was: u32, step: u32| (was & (TOKEN | mutex::DAMAGED)) | (step & 3) << 30;
    let restless = || Restless::new(marks, false);
    let word = Cell::new(512);
    assert_eq!(mutex::damage(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (TOKEN | mutex::DAMAGED), 512 | mutex::DAMAGED);
    assert_eq!(mutex::consistent(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (TOKEN | mutex::DAMAGED), 512);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & TOKEN, 0);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(false), "it has let go already");
    word.set(512);
    assert_eq!(mutex::finish(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & TOKEN, mutex::DONE);
    // One that takes the word away at the last moment is not overwritten.
    let thief = |was: u32, step: u32| {
        if step == 2 * Restless::ROUNDS + 1 { 700 } else { was ^ if was & TOKEN == 512 { QUEUE } else { 0 } }
    };
    word.set(512);
    assert_eq!(mutex::unlock(&Restless::new(thief, false), &word, 512), Ok(false));
    assert_eq!(word.get(), 700);
}
