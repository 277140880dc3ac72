//! The algorithms of the synchronization objects, independent of the memory and the system: each one works on
//! a [`Context`].
//!
//! # Two contexts
//!
//! The library's context is shared memory and the kernel (`segment/world.rs`). The models (`crates/models`)
//! include these files by path and give them a context of [loom](https://docs.rs/loom)'s atomics, which
//! tries the interleavings one after the other and in which a participant can stop for good before any
//! step. An algorithm therefore uses nothing but what its context offers, and the code that the models
//! check is the code that ships, fast paths included.
//!
//! # Memory ordering
//!
//! All accesses through [`Context`] are sequentially consistent. The reader-writer lock needs it: each side
//! announces itself in one word and then loads another one. The latest value ([`seqlock`]) names the ordering
//! of each access and of each fence itself.
//!
//! # Deaths and faults
//!
//! A process can be killed between any two steps. Each module lists what a death leaves behind at each
//! step, and which participant repairs it. A waiter does not rely on a wake-up from a process that may have
//! died: [`Context::wait`] returns after a recheck interval at the latest.
//!
//! A fault (the region's pages are gone, for example) ends an operation where it is. It leaves the words as
//! a death at that step would, and the other participants recover in the same way.

// The library does not use all that the models use.
#![allow(dead_code, unreachable_pub)]

pub mod event;
pub mod event_count;
pub mod mutex;
pub mod once_lock;
pub mod rwlock;
pub mod seqlock;
pub mod waiters;

#[cfg(all(test, not(loom)))]
mod tests {
    mod restless;
    mod scripted;
}

/// What an algorithm works on: words, blocking and waking, and the liveness of participants.
pub trait Context {
    /// How many times a waiter polls a word, with one [`pause`](Context::pause) each, before it blocks. It
    /// is chosen to take about a microsecond or a few.
    const SPIN_LIMIT: u32 = 100;
    /// After this many unsuccessful waits, a waiter makes later arrivals queue.
    const WAITS_BEFORE_QUEUE: u32 = 4;
    /// After this many failed attempts, an operation no longer assumes that the next one succeeds: see
    /// [`Retries`].
    const RETRY_LIMIT: u32 = 64;

    /// Why a step failed: the pages are gone, for example.
    type Fault;
    /// A word of 32 bits that participants can wait on.
    type Word: ?Sized;

    /// Loads the word. Sequentially consistent, as all accesses here.
    fn load(&self, word: &Self::Word) -> Result<u32, Self::Fault>;

    /// Stores `new` if the word is `current`. The inner result is the previous value, `Ok` if it was
    /// `current`.
    fn compare_exchange(
        &self,
        word: &Self::Word,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, Self::Fault>;

    /// Adds, wrapping around, and returns the previous value.
    fn add(&self, word: &Self::Word, value: u32) -> Result<u32, Self::Fault>;

    /// Stores a value and returns the previous one.
    fn swap(&self, word: &Self::Word, value: u32) -> Result<u32, Self::Fault>;

    /// Blocks if the word is `expected`, until it is woken, the deadline passes, or the recheck interval is
    /// over.
    ///
    /// `owner` is the participant whose death ends the wait as well, or 0 for none.
    fn wait(&self, word: &Self::Word, expected: u32, owner: u32) -> Result<WaitOutcome, Self::Fault>;

    /// Wakes one waiter of the word, or all of them.
    fn wake(&self, word: &Self::Word, all: bool) -> Result<(), Self::Fault>;

    /// Returns whether the deadline of this operation has passed.
    fn is_past_deadline(&self) -> bool;

    /// Returns whether the participant with this id has died. Never true of a live one.
    fn is_dead(&self, id: u32) -> bool;

    /// Records that the word's owner was found dead, for every later participant that meets the damaged
    /// data.
    ///
    /// The record is needed because the participant that detects the death may run out of time before it
    /// examines the data. The caller owns the lock; or it is a reader that has not freed the word yet.
    fn owner_died(&self, word: &Self::Word, id: u32) -> Result<(), Self::Fault>;

    /// Records that the word was released while others may have waited for it: what they recorded about its
    /// owner is out of date.
    fn released(&self, _word: &Self::Word) -> Result<(), Self::Fault> {
        Ok(())
    }

    /// Records that the caller, after a wait that no wake-up ended, found what it had waited for: a wake-up
    /// was lost.
    fn missed_wake(&self, _word: &Self::Word) -> Result<(), Self::Fault> {
        Ok(())
    }

    /// Hints to the processor that the caller spins.
    fn pause(&self);

    /// Marks a point at which tests stop a process permanently.
    fn step(&self, name: &'static str);
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// A wake-up ended it, or nothing did (a spurious wake-up).
    Woken,
    /// The recheck interval is over: the waiter checks whether the participants it depends on are alive.
    RecheckDue,
    /// The word was not the expected one, so the caller did not block.
    Changed,
    /// The deadline has passed.
    TimedOut,
}

/// Whether an operation may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockingMode {
    /// It blocks until it succeeds or the context's deadline passes.
    Block,
    /// It returns at once.
    Try,
}

/// The failed attempts of one operation, counted.
///
/// An attempt ends with a wait, which honours the deadline, or fails because another participant changed
/// the word meanwhile. A peer that changes the word all the time could keep an operation from ever reaching
/// its deadline; therefore each loop counts its attempts.
#[derive(Debug, Default)]
pub struct Retries(u32);

impl Retries {
    /// Counts one more attempt.
    ///
    /// # Errors
    ///
    /// After [`Context::RETRY_LIMIT`] attempts: [`AcquireError::WouldBlock`] of an operation that must not
    /// block, and [`AcquireError::TimedOut`] of one that may, if its deadline has passed. Otherwise the
    /// count starts again.
    pub fn count<C: Context>(
        &mut self,
        cx: &C,
        mode: BlockingMode,
        owner: u32,
    ) -> Result<(), AcquireError<C::Fault>> {
        self.0 += 1;
        if self.0 < C::RETRY_LIMIT {
            return Ok(());
        }
        self.0 = 0;
        match mode {
            BlockingMode::Try => Err(AcquireError::WouldBlock(owner)),
            BlockingMode::Block if cx.is_past_deadline() => Err(AcquireError::TimedOut),
            BlockingMode::Block => Ok(()),
        }
    }
}

/// The state of the data of a lock that was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    Clean,
    /// An owner has died since the data was last declared consistent.
    Damaged,
    /// The owner with this participant id died, and the caller is the first to detect it.
    OwnerDied(u32),
}

/// Why a lock was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError<F> {
    /// The participant with this id holds it; 0: others were faster at each attempt.
    WouldBlock(u32),
    TimedOut,
    /// The lock is in its final state: given up, or, for a once lock, initialised.
    Done,
    /// This participant has more readers than its word can count.
    TooManyReaders,
    Fault(F),
}

impl<F> From<F> for AcquireError<F> {
    fn from(fault: F) -> Self {
        AcquireError::Fault(fault)
    }
}
