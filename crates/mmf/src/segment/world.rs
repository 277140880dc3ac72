//! Shared memory and the kernel, as the algorithms see them: see [`Context`].

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
use crate::segment::core::{Core, Standing, index, now, place_of};
use crate::segment::layout::{END_DIED, LockHead, READER_STEP};
use crate::segment::owners::record_damage;
use crate::segment::steps::step;
use crate::sys::Woken;
use crate::sys::wait::Waker;
use crate::view::{AtomicAt, View};

/// How long a sleep lasts before the sleeper looks whether everybody is still alive. So no death goes unnoticed for longer, and no wake-up
/// that somebody took with him when he died costs more.
pub(crate) const RECHECK_INTERVAL: Duration = Duration::from_millis(50);

/// A word that can be slept on.
#[derive(Debug)]
pub(crate) struct WaitWord {
    pub(crate) word: AtomicAt<u32>,
    waiters: AtomicAt<u32>,
    pub(crate) waker: Waker,
    missed: MissedWakeups,
    /// The record of owners, if the word is that of a lock with a head.
    record: Option<HoldRecord>,
}

/// What is known of wake-ups that did not reach a waiter. A process with read access can sleep on the word as well (a futex needs no more), and
/// the kernel may wake it instead.
#[derive(Debug)]
enum MissedWakeups {
    /// A waiter that has missed one has written down how many of the next wake-ups are to go to all waiters.
    Counted(AtomicAt<u16>),
    /// There is no place for it, and few ever wait: each wake-up goes to all of them.
    Always,
    /// There is no place for it.
    Unknown,
}

/// After a missed wake-up, so many go to all waiters. While a process goes on taking wake-ups away, a waiter misses one of as many.
const WAKE_ALL_AFTER_MISS: u16 = 128;

/// Who has held a lock since when.
#[derive(Debug)]
struct HoldRecord {
    view: View<ReadWrite>,
    head: u64,
    /// How often the lock was released while others waited for it.
    releases: AtomicAt<u32>,
}

impl WaitWord {
    /// A word of an object that starts at `at`.
    pub(crate) fn new(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let missed = AtomicAt::new(&core.view, index(at) + offset_of!(LockHead, missed))?;
        Ok(WaitWord { missed: MissedWakeups::Counted(missed), ..WaitWord::bare(core, at)? })
    }

    /// The lock of an object that starts at `at` with the head of a lock.
    pub(crate) fn with_head(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let releases = AtomicAt::new(&core.view, index(at) + offset_of!(LockHead, releases))?;
        let record = HoldRecord { view: core.view.clone(), head: at, releases };
        Ok(WaitWord { record: Some(record), ..WaitWord::new(core, at)? })
    }

    /// A word and its waiters, without anything else.
    pub(crate) fn bare(core: &Arc<Core>, at: u64) -> Result<Self, Error> {
        let waker = Waker::new(&core.family, at)
            .map_err(|failure| core.memory.right().error(Operation::Object, failure))?;
        Ok(WaitWord { missed: MissedWakeups::Always, ..WaitWord::at(&core.view, index(at), waker)? })
    }

    /// The word at `at` in any view.
    pub(crate) fn at(view: &View<ReadWrite>, at: usize, waker: Waker) -> Result<Self, Error> {
        let word = AtomicAt::new(view, at)?;
        let waiters = AtomicAt::new(view, at.saturating_add(4))?;
        Ok(WaitWord { word, waiters, waker, missed: MissedWakeups::Unknown, record: None })
    }

    /// The same without [`Context::missed_wake`]: of a word whose meaning is the user's.
    pub(crate) fn without_miss_count(self) -> Self {
        WaitWord { missed: MissedWakeups::Unknown, ..self }
    }

    pub(crate) fn wake(&self, all: bool) -> Result<(), Error> {
        waiters::wake(self, |waiters| {
            // If there is one waiter, all are woken: then the wake-up cannot go to another process that reads the word.
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

    /// For those who look: since when the owner has held it, at the latest. The caller has seen that it waits for this owner: so the owner
    /// counts a release when it has released the lock, and what is written here is void from then on.
    fn record_hold_start(&self, owner: u32, expected: u32) -> Result<(), Error> {
        let Some(HoldRecord { view, head, releases }) = &self.record else { return Ok(()) };
        let releases = releases.get().load(SeqCst)?;
        if view.read::<LockHead>(index(*head))?.since_is_of(owner) {
            return Ok(());
        }
        // Not before the count was read: it may have been released meanwhile.
        if self.word.get().load(SeqCst)? != expected {
            return Ok(());
        }
        let at = index(*head);
        view.write(&now(), at + offset_of!(LockHead, since))?;
        view.write(&releases, at + offset_of!(LockHead, since_releases))?;
        view.write(&owner, at + offset_of!(LockHead, since_token))
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

    fn step(&self, name: &'static str) {
        step(name);
    }
}

/// One operation of one thread.
#[derive(Debug)]
pub(crate) struct LockContext<'a> {
    pub(crate) core: &'a Core,
    operation: Operation,
    deadline: Option<Instant>,
    /// Where the readers' words of an rwlock are.
    readers: u64,
    /// The one among them that is this participant's, and its place.
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
    pub(crate) fn with_readers(self, at: u64, place: u32, own: &'a AtomicAt<u64>) -> Self {
        LockContext { readers: at, own: Some((place, own)), ..self }
    }

    #[inline]
    fn readers(&self, place: u32) -> usize {
        index(self.readers + u64::from(place) * READER_STEP)
    }

    /// What is left of the time, up to the recheck interval; nothing if it is over.
    pub(crate) fn until_recheck(&self) -> Option<Duration> {
        until_recheck(self.deadline)
    }

    fn block_once(&self, word: &WaitWord, expected: u32, owner: u32) -> Result<WaitOutcome, Error> {
        // Also by who has no time left: so whoever was in vain for it has written it down.
        if owner != 0 {
            word.record_hold_start(owner, expected)?;
        }
        let Some(longest) = self.until_recheck() else { return Ok(WaitOutcome::TimedOut) };
        // The owner may have died since the caller looked. From here on his end ends the sleep, where it can be waited for.
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
            // If the page is gone, that is what is to be said.
            Err(failure) => {
                word.word.get().load(SeqCst)?;
                Err(self.core.memory.right().error(self.operation, failure))
            }
        }
    }
}

/// What is left until a deadline, up to the recheck interval; nothing if it is over.
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

    fn is_dead(&self, token: u32) -> bool {
        self.core.is_gone(token)
    }

    fn owner_died(&self, word: &WaitWord, token: u32) -> Result<(), Error> {
        match &word.record {
            Some(record) => record_damage(self.core, record.head, token, END_DIED),
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

    fn step(&self, name: &'static str) {
        step(name);
    }
}

impl Readers for LockContext<'_> {
    #[inline]
    fn slots(&self) -> Result<u32, Error> {
        self.core.places_used()
    }

    fn owns_slot(&self, id: u32, slot: u32) -> bool {
        id != 0 && place_of(id) == slot
    }

    #[inline]
    fn readers_load(&self, place: u32) -> Result<u64, Error> {
        if let Some((own_place, own)) = self.own {
            if own_place == place {
                return own.get().load(SeqCst);
            }
        }
        self.core.view.atomic_u64(self.readers(place))?.load(SeqCst)
    }

    fn readers_compare_exchange(
        &self,
        place: u32,
        current: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, Error> {
        self.core.view.atomic_u64(self.readers(place))?.compare_exchange(current, new, SeqCst, SeqCst)
    }

    #[inline]
    fn readers_add(&self, place: u32, value: u64) -> Result<u64, Error> {
        if let Some((own_place, own)) = self.own {
            if own_place == place {
                return own.get().fetch_add(value, SeqCst);
            }
        }
        self.core.view.atomic_u64(self.readers(place))?.fetch_add(value, SeqCst)
    }
}
