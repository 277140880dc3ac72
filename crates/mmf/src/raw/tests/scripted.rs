//! Rare orders of events: the other participants act at a certain step of an operation.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use crate::raw::mutex::{self, OWNER, PHASE, QUEUE};
use crate::raw::rwlock::{self, Participant, Readers, Words};
use crate::raw::{AcquireError, Acquired, BlockingMode, Context, WaitOutcome};

/// An action of the other participants, and the step at which it happens once.
type Act<'a> = (&'static str, Box<dyn FnOnce(&Scripted<'a>) + 'a>);

/// A context of one thread, in which the others act at certain steps.
#[derive(Default)]
struct Scripted<'a> {
    readers: [Cell<u64>; 4],
    /// The participant that has died.
    dead: Cell<u32>,
    acts: RefCell<Vec<Act<'a>>>,
}

impl Context for Scripted<'_> {
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
        self.step("blocked");
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
        self.dead.get() == id
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

impl Readers for Scripted<'_> {
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

/// A reader has met writer 1. Writer 2 comes next and cannot drain the reader (`between`); writer 3 then
/// has the phase of writer 1. Returns whether the reader was active beside writer 3.
fn overtaken(between: impl FnOnce(&Scripted<'_>, Words<'_, Cell<u32>>)) -> bool {
    let (lock, drain, third_is_active) = (Cell::new(0), Cell::new(0), Cell::new(false));
    let words = Words { lock: &lock, drain: &drain };
    let cx = Scripted::default();
    assert_eq!(rwlock::write(&cx, words, me(1), BlockingMode::Try), Ok(Acquired::Clean));
    let overtake = |cx: &Scripted<'_>| {
        assert_eq!(rwlock::write_unlock(cx, words, me(1)), Ok(true));
        between(cx, words);
        assert!(rwlock::write(cx, words, me(3), BlockingMode::Try).is_ok(), "no reader is active");
        third_is_active.set(true);
    };
    cx.acts.borrow_mut().push(("blocked", Box::new(overtake)));
    // If the reader does not become active beside writer 3, that writer releases the lock.
    let end = |cx: &Scripted<'_>| {
        third_is_active.set(false);
        assert_eq!(rwlock::write_unlock(cx, words, me(3)), Ok(true));
    };
    cx.acts.borrow_mut().push(("blocked", Box::new(end)));
    assert!(rwlock::read(&cx, words, me(0), BlockingMode::Block).is_ok());
    third_is_active.get()
}

#[test]
fn a_reader_does_not_pass_after_a_writer_that_gave_up() {
    assert!(!overtaken(|cx, words| {
        let result = rwlock::write(cx, words, me(2), BlockingMode::Try);
        assert_eq!(result, Err(AcquireError::WouldBlock(512)), "the reader goes first");
    }));
}

#[test]
fn a_reader_does_not_pass_after_a_writer_that_died() {
    assert!(!overtaken(|cx, words| {
        // It died while it drained the reader.
        let phase = words.lock.get() & PHASE;
        words.lock.set(me(2).id | (phase ^ PHASE));
        cx.dead.set(me(2).id);
    }));
}

#[test]
fn a_single_attempt_clears_the_claim_of_a_dead_waiter() {
    let cx = Scripted::default();
    // A waiter has claimed the next turn, and died while it was blocked.
    let word = Cell::new(QUEUE);
    assert_eq!(mutex::lock(&cx, &word, 512, BlockingMode::Try), Err(AcquireError::WouldBlock(0)));
    assert_eq!(mutex::lock(&cx, &word, 512, BlockingMode::Try), Ok(Acquired::Clean));
    assert_eq!(word.get() & OWNER, 512);
}

#[test]
fn a_second_release_by_a_reader_changes_no_count() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let cx = Scripted::default();
    assert_eq!(rwlock::read(&cx, words, me(1), BlockingMode::Try), Ok(Acquired::Clean));
    for _ in 0..2 {
        assert_eq!(rwlock::read_unlock(&cx, words, me(1)), Ok(()));
        assert_eq!(cx.readers[1].get(), u64::from(me(1).id) << 32);
    }
    // The intermediate word does not count a reader either: its id does not belong to this slot.
    cx.readers[1].set((u64::from(me(1).id - 1) << 32) | 0xfff0_0000);
    assert_eq!(rwlock::write(&cx, words, me(2), BlockingMode::Try), Ok(Acquired::Clean));
}

#[test]
fn no_count_of_readers_overflows_into_another() {
    let (lock, drain) = (Cell::new(0), Cell::new(0));
    let words = Words { lock: &lock, drain: &drain };
    let id = u64::from(me(0).id) << 32;
    for counts in [0, 1, 0x3ff, 0x3ff << 10, 0xfff << 20, 0xffff_ffff, 1 << 20, (1 << 20) | 0x3ff] {
        let cx = Scripted::default();
        // A reader arrives and meets a writer that does not release the lock.
        lock.set(me(1).id);
        let overwrite = |cx: &Scripted<'_>| cx.readers[0].set(id | counts);
        cx.acts.borrow_mut().push(("reader: changed, writer not notified yet", Box::new(overwrite)));
        let result = rwlock::read(&cx, words, me(0), BlockingMode::Try);
        assert!(matches!(result, Err(AcquireError::WouldBlock(_))), "{counts:#x}: {result:?}");
        let taken_back = if counts & 0x3ff > 0 { counts - 1 } else { counts };
        assert_eq!(cx.readers[0].get(), id | taken_back, "{counts:#x}");
    }
}
