//! A context of loom's atomics, in which participants can die.

use std::cell::Cell;

use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
use loom::sync::{Arc, Condvar, Mutex};

use crate::raw::rwlock::{Participant, Readers, Words};
use crate::raw::{Context, WaitOutcome};

/// The maximum number of participants.
pub(crate) const MAX_PARTICIPANTS: usize = 3;

/// A word that participants wait on. Comparing it and blocking are one step, as for a futex in the kernel.
#[derive(Debug)]
pub(crate) struct Futex {
    word: AtomicU32,
    kernel: Mutex<()>,
    blocked: Condvar,
}

impl Futex {
    fn new() -> Self {
        Futex { word: AtomicU32::new(0), kernel: Mutex::new(()), blocked: Condvar::new() }
    }
}

/// The memory that all participants share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lock: Futex,
    pub(crate) drain: Futex,
    readers: [AtomicU64; MAX_PARTICIPANTS],
    dead: [AtomicBool; MAX_PARTICIPANTS],
    any_died: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Shared {
            lock: Futex::new(),
            drain: Futex::new(),
            readers: [(); MAX_PARTICIPANTS].map(|()| AtomicU64::new(0)),
            dead: [(); MAX_PARTICIPANTS].map(|()| AtomicBool::new(false)),
            any_died: AtomicBool::new(false),
        })
    }

    pub(crate) fn words(&self) -> Words<'_, Futex> {
        Words { lock: &self.lock, drain: &self.drain }
    }
}

/// The fault of a participant that has stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died;

/// A participant.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: u32,
    /// The number of steps before it dies; `None` if it does not.
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

    /// Counts a step: returns an error if the participant dies before it.
    pub(crate) fn live(&self) -> Result<(), Died> {
        match self.steps.get() {
            None => Ok(()),
            Some(0) => {
                let shared = &self.shared;
                if !shared.dead[self.slot as usize].swap(true, SeqCst) {
                    shared.any_died.store(true, SeqCst);
                    // From here on, waits end after the recheck interval.
                    for futex in [&shared.lock, &shared.drain] {
                        let _kernel = futex.kernel.lock().expect("loom's locks are not poisoned");
                        futex.blocked.notify_all();
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

/// Makes an access sequentially consistent: loom treats such accesses as acquiring and releasing, but knows
/// the fences.
pub(crate) fn ordered<T>(access: impl FnOnce() -> T) -> T {
    fence(SeqCst);
    let result = access();
    fence(SeqCst);
    result
}

impl Context for Actor {
    const SPIN_LIMIT: u32 = 1;
    const WAITS_BEFORE_QUEUE: u32 = 1;
    /// Small, so that the models also reach the steps for words that change all the time.
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
        let kernel = word.kernel.lock().expect("loom's locks are not poisoned");
        if ordered(|| word.word.load(SeqCst)) != expected {
            return Ok(WaitOutcome::Changed);
        }
        if self.shared.any_died.load(SeqCst) {
            drop(kernel);
            loom::thread::yield_now();
            return Ok(WaitOutcome::RecheckDue);
        }
        drop(word.blocked.wait(kernel).expect("loom's locks are not poisoned"));
        self.live()?;
        Ok(WaitOutcome::Woken)
    }

    fn wake(&self, word: &Futex, all: bool) -> Result<(), Died> {
        self.live()?;
        let _kernel = word.kernel.lock().expect("loom's locks are not poisoned");
        if all {
            word.blocked.notify_all();
        } else {
            word.blocked.notify_one();
        }
        Ok(())
    }

    fn is_past_deadline(&self) -> bool {
        false
    }

    fn is_dead(&self, id: u32) -> bool {
        self.shared.dead[id as usize - 1].load(SeqCst)
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
        Ok(MAX_PARTICIPANTS as u32)
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

/// Runs every interleaving with at most this many preemptions, or all interleavings.
pub(crate) fn model(preemptions: Option<usize>, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(run);
}

/// The data that a lock protects. Loom reports concurrent accesses to it.
#[derive(Debug)]
pub(crate) struct Data {
    half_changed: loom::cell::UnsafeCell<bool>,
    /// Incremented after each access, without any ordering: a point at which loom switches threads while the
    /// access is not yet ordered before those of the others. (The fences of [`ordered`] order more than they
    /// should.)
    moment: AtomicU32,
}

// SAFETY: loom checks each access to the cell, and ends the model if two of them are concurrent.
unsafe impl Sync for Data {}
// SAFETY: as above.
unsafe impl Send for Data {}

impl Data {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Data { half_changed: loom::cell::UnsafeCell::new(false), moment: AtomicU32::new(0) })
    }

    /// Returns whether a change was begun and not completed.
    pub(crate) fn is_half_changed(&self) -> bool {
        // SAFETY: the pointer is valid; loom ends the model on a concurrent write.
        let half = self.half_changed.with(|half| unsafe { half.read() });
        self.moment.fetch_add(1, Relaxed);
        half
    }

    /// Begins or completes a change.
    pub(crate) fn set_half_changed(&self, value: bool) {
        // SAFETY: the pointer is valid; loom ends the model on a concurrent access.
        self.half_changed.with_mut(|half| unsafe { half.write(value) });
        self.moment.fetch_add(1, Relaxed);
    }
}
