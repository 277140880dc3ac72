//! The algorithms of the locks, apart from memory and system: each works on a [`World`].
//!
//! The library's own world is shared memory and the kernel. The models (`crates/models`) include these very files and put them
//! into a world where interleavings are tried one after the other, and where a participant can stop for good before any step. So nothing here may
//! use anything but what a world offers.
//!
//! A fault ends an operation where it is: whoever is then left in the middle is left as a killed one would be, and for the same
//! reason others get over it.

// The models use all of it, the library most.
#![allow(dead_code, unreachable_pub)]

pub mod count;
pub mod flag;
pub mod mutex;
pub mod once;
pub mod rwlock;
pub mod seqlock;
#[cfg(all(test, not(loom)))]
mod tests;

/// What an algorithm works on.
pub trait World {
    /// How often to look before going to sleep, with one [`World::pause`] each: a microsecond or a few.
    const SPINS: u32 = 100;
    /// After so many sleeps in vain newcomers have to queue up.
    const LOST: u32 = 4;
    /// After so many rounds that led to nothing, an operation does not go on as if the next one would: see [`Rounds`].
    const ROUNDS: u32 = 64;

    /// Why a step could not be done: the memory is gone, for example.
    type Fault;
    /// A word of 32 bits that can be slept on.
    type Word: ?Sized;

    /// Sequentially consistent, as all accesses here.
    fn load(&self, word: &Self::Word) -> Result<u32, Self::Fault>;

    /// The inner result is the former value: `Ok` if it was `current` and is `new` now.
    fn compare_exchange(
        &self,
        word: &Self::Word,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, Self::Fault>;

    /// Adds, wrapping around; gives the former value.
    fn add(&self, word: &Self::Word, value: u32) -> Result<u32, Self::Fault>;

    /// Stores a value; gives the former one.
    fn swap(&self, word: &Self::Word, value: u32) -> Result<u32, Self::Fault>;

    /// Sleeps if the word is `expected`, until somebody wakes it; but not for ever: `owner` may die (0: nobody in particular),
    /// whoever should wake may die, and the deadline may come.
    fn sleep(&self, word: &Self::Word, expected: u32, owner: u32) -> Result<Slept, Self::Fault>;

    /// Wakes one who sleeps on the word, or all.
    fn wake(&self, word: &Self::Word, all: bool) -> Result<(), Self::Fault>;

    /// Whether the deadline has passed.
    fn is_late(&self) -> bool;

    /// Whether the participant with this token is no more. Never true of one that lives.
    fn is_gone(&self, token: u32) -> bool;

    /// The owner of the word was found dead: writes down who it was, for all who come to the damaged data, also where the one who found out has
    /// no time left to look at them. By who has the lock now; or, of a reader, before it frees the word.
    fn found_dead(&self, word: &Self::Word, token: u32) -> Result<(), Self::Fault>;

    /// The word was released, and others may have been waiting for it: what they wrote down about its owner is out of date.
    fn released(&self, _word: &Self::Word) -> Result<(), Self::Fault> {
        Ok(())
    }

    /// After a sleep that nobody ended, the caller has found what it was waiting for: a wake-up has gone astray.
    fn missed(&self, _word: &Self::Word) -> Result<(), Self::Fault> {
        Ok(())
    }

    /// A moment without the processor's full force.
    fn pause(&self);

    /// A place where tests stop a process for good.
    fn step(&self, name: &'static str);
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Somebody has woken it; or for no reason.
    Woken,
    /// It is time to look whether everybody is still alive.
    Slice,
    /// The word was another one, so there was no sleep.
    Changed,
    /// The deadline has passed.
    Deadline,
}

/// Whether to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as [`World::sleep`] lets it.
    Wait,
    /// Not at all.
    Try,
}

/// The rounds of an operation, counted.
///
/// A round ends in vain if the word was changed meanwhile; it is otherwise a sleep that looks at the deadline. A peer that changes the word all
/// the time would let nobody come to his deadline: that is why each loop counts.
#[derive(Debug, Default)]
pub struct Rounds(u32);

impl Rounds {
    /// One more round. [`World::ROUNDS`] of them are enough for who only tries; who waits looks at the deadline after as many, and goes on
    /// if there is time.
    pub fn again<W: World>(
        &mut self,
        world: &W,
        patience: Patience,
        owner: u32,
    ) -> Result<(), Refused<W::Fault>> {
        self.0 += 1;
        if self.0 < W::ROUNDS {
            return Ok(());
        }
        self.0 = 0;
        match patience {
            Patience::Try => Err(Refused::WouldBlock(owner)),
            Patience::Wait if world.is_late() => Err(Refused::Deadline),
            Patience::Wait => Ok(()),
        }
    }
}

/// How a lock was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    Clean,
    /// Some owner has died since the data were last declared consistent.
    Damaged,
    /// The owner with this token died, and this is the first to find out.
    OwnerDied(u32),
}

/// Why a lock was not got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<F> {
    /// This one has it. (0: somebody has been faster each time.)
    WouldBlock(u32),
    Deadline,
    /// Given up for good.
    Done,
    /// More threads of this participant than can be counted.
    TooMany,
    Fault(F),
}

impl<F> From<F> for Refused<F> {
    fn from(fault: F) -> Self {
        Refused::Fault(fault)
    }
}
