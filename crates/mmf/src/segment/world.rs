//! The [`Context`] in which the algorithms of `raw` run: shared memory and the kernel.

use core::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::access::ReadWrite;
use crate::error::{Error, Operation};
use crate::raw::mutex::LockWord;
use crate::raw::rwlock::Readers;
use crate::raw::waiters::{self, WaiterCount};
use crate::raw::{Context, WaitOutcome};
use crate::segment::core::{Core, Standing, index, now, slot_of};
use crate::segment::layout::{END_DIED, LockHead, READER_STEP};
use crate::segment::owners::record_damage;
use crate::segment::steps::step;
use crate::sys::Woken;
use crate::sys::wait::Waker;
use crate::view::{AtomicAt, View};

/// How long a waiter blocks before it checks whether the participants that it waits for are alive. It bounds
/// the delay after a death, and after a wake-up that went to a process that died.
pub(crate) const RECHECK_INTERVAL: Duration = Duration::from_millis(50);

/// A word that participants can wait on, with the count of its waiters.
#[derive(Debug)]
pub(crate) struct WaitWord {
    pub(crate) word: AtomicAt<u32>,
    waiters: AtomicAt<u32>,
    pub(crate) waker: Waker,
    missed: MissedWakeups,
    /// Present if the word is the lock word of an object with a lock head.
    record: Option<HoldRecord>,
}

/// How a word deals with wake-ups that do not reach a waiter. A process with read access can wait on the word
/// as well (a futex needs no more), and the kernel may wake it instead.
#[derive(Debug)]
enum MissedWakeups {
    /// A waiter that missed a wake-up stores here how many of the next wake-ups go to all waiters.
    Counted(AtomicAt<u16>),
    /// The format has no field for the count, and there are few waiters: each wake-up goes to all of them.
    Always,
    /// The format has no field for the count, and the user chooses how many waiters to wake.
    Unknown,
}

/// After a missed wake-up, this many go to all waiters. While a process keeps taking wake-ups away, a waiter
/// misses one in this many.
const WAKE_ALL_AFTER_MISS: u16 = 128;

/// The record in a lock head of the owner and the time since when it has held the lock.
#[derive(Debug)]
struct HoldRecord {
    view: View<ReadWrite>,
    head: u64,
    /// The number of releases while other participants waited.
    releases: AtomicAt<u32>,
}

impl WaitWord {
    /// Returns the word of an object at `at`.
    pub(crate) fn new(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let missed = AtomicAt::new(&core.view, index(at) + offset_of!(LockHead, missed))?;
        Ok(WaitWord { missed: MissedWakeups::Counted(missed), ..WaitWord::bare(core, at)? })
    }

    /// Returns the lock word of an object at `at` that starts with a lock head.
    pub(crate) fn with_head(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let releases = AtomicAt::new(&core.view, index(at) + offset_of!(LockHead, releases))?;
        let record = HoldRecord { view: core.view.clone(), head: at, releases };
        Ok(WaitWord { record: Some(record), ..WaitWord::new(core, at)? })
    }

    /// Returns the word at `at` in the segment, which is followed by nothing but the count of its waiters.
    pub(crate) fn bare(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let waker = Waker::new(&core.objects, at)
            .map_err(|failure| core.memory.right().error(Operation::Object, failure))?;
        Ok(WaitWord { missed: MissedWakeups::Always, ..WaitWord::at(&core.view, index(at), waker)? })
    }

    /// Returns the word at `at` in any view.
    pub(crate) fn at(view: &View<ReadWrite>, at: usize, waker: Waker) -> Result<Self, Error> {
        let word = AtomicAt::new(view, at)?;
        let waiters = AtomicAt::new(view, at.saturating_add(4))?;
        Ok(WaitWord { word, waiters, waker, missed: MissedWakeups::Unknown, record: None })
    }

    /// Returns the word without a count of missed wake-ups, for a word whose meaning is the user's.
    pub(crate) fn without_miss_count(self) -> Self {
        WaitWord { missed: MissedWakeups::Unknown, ..self }
    }

    pub(crate) fn wake(&self, all: bool) -> Result<(), Error> {
        waiters::wake(self, |waiters| {
            // If there is a single waiter, all are woken, so that the wake-up cannot go to another process
            // that waits on the word without being counted.
            let all = all || waiters == 1 || self.must_wake_all()?;
            // If it fails because the page is gone, the next access reports it.
            let _ = self.waker.wake(self.word.address(), all, waiters);
            Ok(())
        })
    }

    fn must_wake_all(&self) -> Result<bool, Error> {
        match &self.missed {
            MissedWakeups::Always => Ok(true),
            MissedWakeups::Unknown => Ok(false),
            MissedWakeups::Counted(left) => {
                let left = left.get();
                let now = left.load(SeqCst)?;
                if now > 0 {
                    left.store(now - 1, SeqCst)?;
                }
                Ok(now > 0)
            }
        }
    }

    /// Records the time since when `owner` has held the lock, at the latest, for inspection and for errors.
    ///
    /// The lock word that the caller has seen has `WAITERS` set. The owner therefore counts a release when it
    /// releases the lock, which invalidates the record.
    fn record_hold_start(&self, owner: u32, expected: u32) -> Result<(), Error> {
        let Some(HoldRecord { view, head, releases }) = &self.record else { return Ok(()) };
        let releases = releases.get().load(SeqCst)?;
        if view.read::<LockHead>(index(*head))?.since_is_of(owner) {
            return Ok(());
        }
        // The lock may have been released before `releases` was loaded.
        if self.word.get().load(SeqCst)? != expected {
            return Ok(());
        }
        let at = index(*head);
        view.write(&now(), at + offset_of!(LockHead, since))?;
        view.write(&releases, at + offset_of!(LockHead, since_releases))?;
        view.write(&owner, at + offset_of!(LockHead, since_owner))
    }
}

impl LockWord for WaitWord {
    #[allow(
        clippy::inline_always,
        reason = "the caller's registers are not to be written to the stack before a locked instruction"
    )]
    #[inline(always)]
    fn exchanged(&self, current: u32, new: u32) -> bool {
        self.word.exchanged(current, new)
    }
}

impl WaiterCount for WaitWord {
    type Fault = Error;

    fn load(&self) -> Result<u32, Error> {
        self.word.get().load(SeqCst)
    }

    fn waiters(&self) -> Result<u32, Error> {
        self.waiters.get().load(SeqCst)
    }

    fn add_waiters(&self, change: u32) -> Result<(), Error> {
        self.waiters.get().fetch_add(change, SeqCst).map(drop)
    }

    #[inline]
    fn step(&self, name: &'static str) {
        step(name);
    }
}

/// The context of one operation of one thread.
#[derive(Debug)]
pub(crate) struct LockContext<'a> {
    pub(crate) core: &'a Core,
    operation: Operation,
    deadline: Option<Instant>,
    /// The offset of the words that count the readers of an rwlock.
    readers: u64,
    /// The slot of this participant, and its word among them.
    own: Option<(u32, &'a AtomicAt<u64>)>,
}

impl<'a> LockContext<'a> {
    #[inline]
    pub(crate) fn new(core: &'a Core) -> Self {
        LockContext { core, operation: Operation::Acquire, deadline: None, readers: 0, own: None }
    }

    #[inline]
    pub(crate) fn until(core: &'a Core, operation: Operation, deadline: Option<Instant>) -> Self {
        LockContext { core, operation, deadline, readers: 0, own: None }
    }

    #[inline]
    pub(crate) fn with_readers(self, at: u64, slot: u32, own: &'a AtomicAt<u64>) -> Self {
        LockContext { readers: at, own: Some((slot, own)), ..self }
    }

    #[inline]
    fn readers(&self, slot: u32) -> usize {
        index(self.readers + u64::from(slot) * READER_STEP)
    }

    /// Returns how long to block before the next check, or `None` if the deadline has passed.
    fn until_recheck(&self) -> Option<Duration> {
        until_recheck(self.deadline)
    }

    fn block_once(&self, word: &WaitWord, expected: u32, owner: u32) -> Result<WaitOutcome, Error> {
        // Before the deadline is checked: a waiter that gives up has recorded it as well.
        if owner != 0 {
            word.record_hold_start(owner, expected)?;
        }
        let Some(longest) = self.until_recheck() else { return Ok(WaitOutcome::TimedOut) };
        // The owner may have died since the caller checked. From here on its death ends the wait, if it can
        // be waited for.
        let watch = match if owner == 0 { Ok(Standing::Present(None)) } else { self.core.standing(owner) } {
            Ok(Standing::Present(watch)) => watch,
            Ok(Standing::Gone) => return Ok(WaitOutcome::Woken),
            Err(error) => return Err(error),
        };
        match word.waker.wait(word.word.address(), expected, longest, watch.as_ref()) {
            Ok(Woken::Early) => Ok(WaitOutcome::Woken),
            Ok(Woken::Changed) => Ok(WaitOutcome::Changed),
            Ok(Woken::TimedOut) if self.until_recheck().is_none() => Ok(WaitOutcome::TimedOut),
            Ok(Woken::TimedOut) => Ok(WaitOutcome::RecheckDue),
            Err(failure) => {
                // If the page is gone, the load returns the better error.
                word.word.get().load(SeqCst)?;
                Err(self.core.memory.right().error(self.operation, failure))
            }
        }
    }
}

/// Returns how long to block before the next check, or `None` if `deadline` has passed.
pub(crate) fn until_recheck(deadline: Option<Instant>) -> Option<Duration> {
    match deadline {
        None => Some(RECHECK_INTERVAL),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() { None } else { Some(left.min(RECHECK_INTERVAL)) }
        }
    }
}

impl Context for LockContext<'_> {
    type Fault = Error;
    type Word = WaitWord;

    #[inline]
    fn load(&self, word: &WaitWord) -> Result<u32, Error> {
        word.word.get().load(SeqCst)
    }

    #[inline]
    fn compare_exchange(&self, word: &WaitWord, current: u32, new: u32) -> Result<Result<u32, u32>, Error> {
        word.word.get().compare_exchange(current, new, SeqCst, SeqCst)
    }

    #[inline]
    fn add(&self, word: &WaitWord, value: u32) -> Result<u32, Error> {
        word.word.get().fetch_add(value, SeqCst)
    }

    #[inline]
    fn swap(&self, word: &WaitWord, value: u32) -> Result<u32, Error> {
        word.word.get().swap(value, SeqCst)
    }

    fn wait(&self, word: &WaitWord, expected: u32, owner: u32) -> Result<WaitOutcome, Error> {
        let outcome = waiters::wait(word, expected, || self.block_once(word, expected, owner))?;
        Ok(outcome.unwrap_or(WaitOutcome::Changed))
    }

    fn wake(&self, word: &WaitWord, all: bool) -> Result<(), Error> {
        word.wake(all)
    }

    fn is_past_deadline(&self) -> bool {
        self.until_recheck().is_none()
    }

    fn is_dead(&self, id: u32) -> bool {
        self.core.is_gone(id)
    }

    fn owner_died(&self, word: &WaitWord, id: u32) -> Result<(), Error> {
        match &word.record {
            Some(record) => record_damage(self.core, record.head, id, END_DIED),
            None => Ok(()),
        }
    }

    fn released(&self, word: &WaitWord) -> Result<(), Error> {
        match &word.record {
            Some(record) => record.releases.get().fetch_add(1, SeqCst).map(drop),
            None => Ok(()),
        }
    }

    fn missed_wake(&self, word: &WaitWord) -> Result<(), Error> {
        step("wait: missed a wake-up");
        match &word.missed {
            MissedWakeups::Counted(left) => left.get().store(WAKE_ALL_AFTER_MISS, SeqCst),
            MissedWakeups::Always | MissedWakeups::Unknown => Ok(()),
        }
    }

    fn pause(&self) {
        std::hint::spin_loop();
    }

    #[inline]
    fn step(&self, name: &'static str) {
        step(name);
    }
}

impl Readers for LockContext<'_> {
    #[inline]
    fn slots(&self) -> Result<u32, Error> {
        self.core.slots_used()
    }

    fn owns_slot(&self, id: u32, slot: u32) -> bool {
        id != 0 && slot_of(id) == slot
    }

    #[inline]
    fn readers_load(&self, slot: u32) -> Result<u64, Error> {
        if let Some((own_slot, own)) = self.own {
            if own_slot == slot {
                return own.get().load(SeqCst);
            }
        }
        self.core.view.atomic_u64(self.readers(slot))?.load(SeqCst)
    }

    fn readers_compare_exchange(&self, slot: u32, current: u64, new: u64) -> Result<Result<u64, u64>, Error> {
        self.core.view.atomic_u64(self.readers(slot))?.compare_exchange(current, new, SeqCst, SeqCst)
    }

    #[inline]
    fn readers_add(&self, slot: u32, value: u64) -> Result<u64, Error> {
        if let Some((own_slot, own)) = self.own {
            if own_slot == slot {
                return own.get().fetch_add(value, SeqCst);
            }
        }
        self.core.view.atomic_u64(self.readers(slot))?.fetch_add(value, SeqCst)
    }
}
