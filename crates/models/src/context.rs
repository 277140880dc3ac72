//! A context of loom's atomics, in which participants can die.

use std::cell::Cell;

use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
use loom::sync::{Arc, Condvar, Mutex};

use crate::raw::rwlock::{Participant, Readers, Words};
use crate::raw::{Context, WaitOutcome};

/// How many participants there are at most.
pub(crate) const MOST: usize = 3;

/// A word that can be slept on: sleeping looks at it and falls asleep in one step, as a futex does.
#[derive(Debug)]
pub(crate) struct Futex {
    word: AtomicU32,
    sleepers: Mutex<()>,
    bell: Condvar,
}

impl Futex {
    fn new() -> Self {
        Futex { word: AtomicU32::new(0), sleepers: Mutex::new(()), bell: Condvar::new() }
    }
}

/// What all participants share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lock: Futex,
    pub(crate) drain: Futex,
    readers: [AtomicU64; MOST],
    gone: [AtomicBool; MOST],
    anybody_died: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Shared {
            lock: Futex::new(),
            drain: Futex::new(),
            readers: [(); MOST].map(|()| AtomicU64::new(0)),
            gone: [(); MOST].map(|()| AtomicBool::new(false)),
            anybody_died: AtomicBool::new(false),
        })
    }

    pub(crate) fn words(&self) -> Words<'_, Futex> {
        Words { lock: &self.lock, drain: &self.drain }
    }
}

/// It has stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died;

/// A participant.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: u32,
    /// How many steps it has left before it dies; none: it lives.
    steps: Cell<Option<u32>>,
}

impl Actor {
    pub(crate) fn new(shared: &Arc<Shared>, slot: u32, steps: Option<u32>) -> Self {
        Actor { shared: Arc::clone(shared), slot, steps: Cell::new(steps) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.slot + 1
    }

    pub(crate) fn me(&self) -> Participant {
        Participant { id: self.id(), slot: self.slot }
    }

    /// Before each step: goes on, or dies.
    pub(crate) fn live(&self) -> Result<(), Died> {
        match self.steps.get() {
            None => Ok(()),
            Some(0) => {
                let shared = &self.shared;
                if !shared.gone[self.slot as usize].swap(true, SeqCst) {
                    shared.anybody_died.store(true, SeqCst);
                    // From here on everybody looks again at the end of his slice.
                    for futex in [&shared.lock, &shared.drain] {
                        let _sleepers = futex.sleepers.lock().expect("loom's locks are not poisoned");
                        futex.bell.notify_all();
                    }
                }
                Err(Died)
            }
            Some(left) => {
                self.steps.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

/// Loom takes sequentially consistent accesses for acquiring and releasing ones, but knows such fences.
pub(crate) fn ordered<T>(access: impl FnOnce() -> T) -> T {
    fence(SeqCst);
    let result = access();
    fence(SeqCst);
    result
}

impl Context for Actor {
    const SPIN_LIMIT: u32 = 1;
    const WAITS_BEFORE_QUEUE: u32 = 1;
    /// So that what is for words that change all the time is come to, too.
    const RETRY_LIMIT: u32 = 1;

    type Fault = Died;
    type Word = Futex;

    fn load(&self, word: &Futex) -> Result<u32, Died> {
        self.live()?;
        Ok(ordered(|| word.word.load(SeqCst)))
    }

    fn compare_exchange(&self, word: &Futex, current: u32, new: u32) -> Result<Result<u32, u32>, Died> {
        self.live()?;
        Ok(ordered(|| word.word.compare_exchange(current, new, SeqCst, SeqCst)))
    }

    fn add(&self, word: &Futex, value: u32) -> Result<u32, Died> {
        self.live()?;
        Ok(ordered(|| word.word.fetch_add(value, SeqCst)))
    }

    fn swap(&self, word: &Futex, value: u32) -> Result<u32, Died> {
        self.live()?;
        Ok(ordered(|| word.word.swap(value, SeqCst)))
    }

    fn wait(&self, word: &Futex, expected: u32, _: u32) -> Result<WaitOutcome, Died> {
        self.live()?;
        let sleepers = word.sleepers.lock().expect("loom's locks are not poisoned");
        if ordered(|| word.word.load(SeqCst)) != expected {
            return Ok(WaitOutcome::Changed);
        }
        if self.shared.anybody_died.load(SeqCst) {
            drop(sleepers);
            loom::thread::yield_now();
            return Ok(WaitOutcome::RecheckDue);
        }
        drop(word.bell.wait(sleepers).expect("loom's locks are not poisoned"));
        self.live()?;
        Ok(WaitOutcome::Woken)
    }

    fn wake(&self, word: &Futex, all: bool) -> Result<(), Died> {
        self.live()?;
        let _sleepers = word.sleepers.lock().expect("loom's locks are not poisoned");
        if all {
            word.bell.notify_all();
        } else {
            word.bell.notify_one();
        }
        Ok(())
    }

    fn is_past_deadline(&self) -> bool {
        false
    }

    fn is_dead(&self, id: u32) -> bool {
        self.shared.gone[id as usize - 1].load(SeqCst)
    }

    fn owner_died(&self, _: &Futex, _: u32) -> Result<(), Died> {
        Ok(())
    }

    fn pause(&self) {
        loom::thread::yield_now();
    }

    fn step(&self, _: &'static str) {}
}

impl Readers for Actor {
    fn slots(&self) -> Result<u32, Died> {
        Ok(MOST as u32)
    }

    fn owns_slot(&self, id: u32, slot: u32) -> bool {
        id == slot + 1
    }

    fn readers_load(&self, slot: u32) -> Result<u64, Died> {
        self.live()?;
        Ok(ordered(|| self.shared.readers[slot as usize].load(SeqCst)))
    }

    fn readers_compare_exchange(&self, slot: u32, current: u64, new: u64) -> Result<Result<u64, u64>, Died> {
        self.live()?;
        let word = &self.shared.readers[slot as usize];
        Ok(ordered(|| word.compare_exchange(current, new, SeqCst, SeqCst)))
    }

    fn readers_add(&self, slot: u32, value: u64) -> Result<u64, Died> {
        self.live()?;
        Ok(ordered(|| self.shared.readers[slot as usize].fetch_add(value, SeqCst)))
    }
}

/// Every interleaving with so many forced switches of threads at most; none: all of them.
pub(crate) fn model(preemptions: Option<usize>, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(run);
}

/// The data that a lock protects: loom reports two who touch them at the same time.
#[derive(Debug)]
pub(crate) struct Data {
    half: loom::cell::UnsafeCell<bool>,
    /// Changed after each access, without any order: there loom lets others go on, while what was done is not yet ordered before
    /// what they do. (The fences of [`ordered`] order more than they should.)
    moment: AtomicU32,
}

// SAFETY: loom checks each access, which is the point of it.
unsafe impl Sync for Data {}
// SAFETY: as above.
unsafe impl Send for Data {}

impl Data {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Data { half: loom::cell::UnsafeCell::new(false), moment: AtomicU32::new(0) })
    }

    /// Whether a change was begun and not ended.
    pub(crate) fn is_half(&self) -> bool {
        // SAFETY: the pointer is valid; loom ends the model if somebody writes at the same time.
        let half = self.half.with(|half| unsafe { half.read() });
        self.moment.fetch_add(1, Relaxed);
        half
    }

    pub(crate) fn set_half(&self, value: bool) {
        // SAFETY: the pointer is valid; loom ends the model if somebody else touches it at the same time.
        self.half.with_mut(|half| unsafe { half.write(value) });
        self.moment.fetch_add(1, Relaxed);
    }
}
