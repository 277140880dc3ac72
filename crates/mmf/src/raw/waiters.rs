//! The count of a word's waiters, by which waking costs no system call while no participant waits.
//!
//! # Protocol
//!
//! | a waiter | a participant that changes the word and wakes |
//! | --- | --- |
//! | 1. waiters + 1 | 1. changes the word |
//! | 2. loads the word; goes to 4 if it has changed | 2. loads the count of waiters; 0: done |
//! | 3. blocks in the kernel | 3. wakes in the kernel |
//! | 4. waiters − 1 | |
//!
//! # Invariants
//!
//! 1. *No wake-up is lost.* Each side writes its own word before it loads the other's, and all four
//!    accesses are sequentially consistent. So the waiter sees the change, or the waker sees the waiter, or
//!    both.
//! 2. *A wake-up that comes between steps 2 and 3 is not lost either.* This is the kernel's part: a futex
//!    compares the word once more before it blocks, and a semaphore keeps the wake-up for the waiter.
//! 3. The count is never lower than the number of live waiters. It may be higher: see below.
//!
//! # Deaths
//!
//! A waiter that dies between steps 1 and 4 stays counted permanently. From then on each change of the word
//! costs a needless system call, and nothing else.

/// A word with a count of its waiters.
pub trait WaiterCount {
    /// Why an access failed.
    type Fault;
    /// Loads the word. Sequentially consistent, as all accesses here.
    fn load(&self) -> Result<u32, Self::Fault>;
    /// Loads the count of waiters.
    fn waiters(&self) -> Result<u32, Self::Fault>;
    /// Adds to the count of waiters, wrapping around.
    fn add_waiters(&self, change: u32) -> Result<(), Self::Fault>;
    /// Marks a point at which tests stop a process permanently.
    fn step(&self, name: &'static str);
}

/// Counts a waiter of each of these words while `wait` runs. It has to load the words once more before it
/// blocks.
pub fn counted<'w, W: WaiterCount + 'w, R>(
    words: impl Iterator<Item = &'w W> + Clone,
    wait: impl FnOnce() -> Result<R, W::Fault>,
) -> Result<R, W::Fault> {
    let mut counted = 0;
    let all = words.clone().try_for_each(|word| {
        word.add_waiters(1)?;
        counted += 1;
        word.step("wait: counted");
        Ok(())
    });
    let result = all.and_then(|()| wait());
    for word in words.take(counted) {
        word.add_waiters(1_u32.wrapping_neg())?;
    }
    result
}

/// Runs `block` if the word is `expected`, and returns `None` if it is not.
pub fn wait<W: WaiterCount, R>(
    word: &W,
    expected: u32,
    block: impl FnOnce() -> Result<R, W::Fault>,
) -> Result<Option<R>, W::Fault> {
    counted(core::iter::once(word), || if word.load()? == expected { block().map(Some) } else { Ok(None) })
}

/// Runs `wake` with the number of waiters, if there are any. The caller has changed the word.
pub fn wake<W: WaiterCount>(
    word: &W,
    wake: impl FnOnce(u32) -> Result<(), W::Fault>,
) -> Result<(), W::Fault> {
    match word.waiters()? {
        0 => Ok(()),
        waiters => wake(waiters),
    }
}
