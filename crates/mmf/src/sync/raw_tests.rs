//! Orders of events that processes meet once in a million times: in a world of one thread, where the others act at a certain step.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use super::raw::mutex::{self, PHASE, QUEUE, TOKEN};
use super::raw::rwlock::{self, Me, Readers, Words};
use super::raw::{Got, Patience, Refused, Slept, World};

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

    fn sleep(&self, word: &Cell<u32>, expected: u32, _: u32) -> Result<Slept, Infallible> {
        self.step("asleep");
        Ok(if word.get() == expected { Slept::Slice } else { Slept::Woken })
    }

    fn wake(&self, _: &Cell<u32>, _: bool) -> Result<(), Infallible> {
        Ok(())
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
