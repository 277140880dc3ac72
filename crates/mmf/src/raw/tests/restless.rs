//! Words that a peer changes all the time: every operation ends.

use std::cell::Cell;
use std::convert::Infallible;

use crate::raw::mutex::{self, OWNER, QUEUE};
use crate::raw::rwlock::{self, Participant, Readers, Words};
use crate::raw::{AcquireError, Acquired, BlockingMode, Context, WaitOutcome, event, event_count, once_lock};

/// The participant in this slot.
fn me(slot: u32) -> Participant {
    Participant { id: 512 + slot, slot }
}

/// A context in which a peer changes the word before each step of the operation.
struct Restless {
    change: Change,
    steps: Cell<u32>,
    readers: Cell<u64>,
    past_deadline: bool,
}

/// More steps than any operation takes that ends by itself.
const ENDLESS: u32 = 20_000;

impl Restless {
    fn new(change: Change, past_deadline: bool) -> Self {
        Restless { change, steps: Cell::new(0), readers: Cell::new(0), past_deadline }
    }

    fn peer(&self, word: &Cell<u32>) {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() < ENDLESS, "the operation does not end");
        word.set((self.change)(word.get(), self.steps.get()));
    }

    /// Changes both halves of a readers' word.
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

    /// The word is never the expected one.
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
        self.past_deadline
    }

    /// Participants with ids above 1000 are dead.
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

/// The value that a peer stores in a word of 32 bits, given the previous value and the number of the step.
type Change = fn(u32, u32) -> u32;

/// The changes that peers make to a word.
const CHANGES: [(&str, Change); 6] = [
    ("free, with changing bits", |_, step| (step & 7) << 29),
    ("owned, with changing bits", |_, step| 700 | (step & 15) << 28),
    ("owned by a dead participant, with changing bits", |_, step| 2000 | (step & 15) << 28),
    ("of another owner each time, in either phase", |_, step| (600 + step % 3) | (step & 1) << 28),
    (
        "alternately free and owned",
        |_, step| if step & 2 == 0 { (step & 4) << 27 } else { 700 | (step & 4) << 27 },
    ),
    ("arbitrary", |was, step| {
        (was ^ step.wrapping_mul(0x9e37_79b9)).rotate_left(7).wrapping_mul(0x85eb_ca6b)
    }),
];

#[test]
fn a_changing_word_delays_no_single_attempt_and_no_waiter_past_its_deadline() {
    for (what, change) in CHANGES {
        for mode in [BlockingMode::Try, BlockingMode::Block] {
            // A single attempt has no deadline; that of the waiter has passed.
            let restless = || Restless::new(change, mode == BlockingMode::Block);
            let (lock, drain) = (Cell::new(0), Cell::new(0));
            let words = Words { lock: &lock, drain: &drain };
            let check = |result: Result<Acquired, AcquireError<Infallible>>, by: &str| match (mode, result) {
                (_, Ok(_) | Err(AcquireError::Done | AcquireError::TooManyReaders))
                | (_, Err(AcquireError::WouldBlock(_)))
                | (BlockingMode::Block, Err(AcquireError::TimedOut)) => {}
                other => panic!("{what}, {by}: {other:?}"),
            };
            check(mutex::lock(&restless(), &lock, 512, mode), "mutex");
            check(rwlock::read(&restless(), words, me(0), mode), "read");
            check(rwlock::write(&restless(), words, me(0), mode), "write");
            check(event::wait(&restless(), &lock, true, mode).map(|()| Acquired::Clean), "event");
            let _ = event_count::wait_past(&Restless::new(change, true), &lock, 0);
            let _ = once_lock::begin(&Restless::new(change, true), &lock, 512);
        }
    }
}

#[test]
fn a_waiter_that_never_acquires_a_changing_word_times_out() {
    let word = Cell::new(0);
    let [free, taken, dead, ..] = CHANGES.map(|(_, change)| change);
    for change in [free, taken, dead] {
        let waited = mutex::lock(&Restless::new(change, true), &word, 512, BlockingMode::Block);
        assert_eq!(waited, Err(AcquireError::TimedOut));
        let tried = mutex::lock(&Restless::new(change, false), &word, 512, BlockingMode::Try);
        assert!(matches!(tried, Err(AcquireError::WouldBlock(_))), "{tried:?}");
    }
    // Set at each load, and taken by another participant before each step.
    let by_turns = |_, step| step % 2;
    let (late, late_too) = (Restless::new(by_turns, true), Restless::new(by_turns, true));
    let waited = event::wait(&late, &word, true, BlockingMode::Block);
    assert_eq!(waited, Err(AcquireError::TimedOut));
    // The count is the one that was seen at each load, and another one before each wait.
    assert_eq!(event_count::wait_past(&late_too, &word, 1), Err(AcquireError::TimedOut));
}

#[test]
fn an_owner_releases_a_changing_word() {
    // The peer changes only the bits that do not belong to the owner.
    let marks = |was: u32, step: u32| (was & (OWNER | mutex::DAMAGED)) | (step & 3) << 30;
    let restless = || Restless::new(marks, false);
    let word = Cell::new(512);
    assert_eq!(mutex::mark_damaged(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (OWNER | mutex::DAMAGED), 512 | mutex::DAMAGED);
    assert_eq!(mutex::mark_consistent(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & (OWNER | mutex::DAMAGED), 512);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & OWNER, 0);
    assert_eq!(mutex::unlock(&restless(), &word, 512), Ok(false), "it was released already");
    word.set(512);
    assert_eq!(mutex::finish(&restless(), &word, 512), Ok(true));
    assert_eq!(word.get() & OWNER, mutex::DONE);
    // A peer that takes the lock away at the last moment is not overwritten.
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
