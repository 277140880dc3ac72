//! The latest value: one writer, and readers that write nothing.
//!
//! Readers need no right to write, never delay the writer, and leave nothing behind. They copy a value and
//! then check that it was not overwritten meanwhile. Several slots make this rare, and keep the last whole
//! value readable at each moment.
//!
//! # States
//!
//! Value *n* (0, 1, 2, …) is written into slot *n* mod [`SLOTS`]. The *count* is the number of published
//! values. The slot's *sequence number* describes its bytes:
//!
//! | sequence | the slot contains |
//! | --- | --- |
//! | 0 | nothing yet |
//! | 2*n* + 1 | parts of value *n*: it is being written, or its writer died |
//! | 2*n* + 2 | value *n* |
//!
//! # Protocol
//!
//! | the writer of value *n* | a reader |
//! | --- | --- |
//! | 1. sequence := 2*n* + 1 | 1. *c* := count (acquire); 0: there is no value yet; *n* := *c* − 1 |
//! | 2. fence (release) | 2. copies the value |
//! | 3. copies the value | 3. fence (acquire) |
//! | 4. sequence := 2*n* + 2 (release) | 4. if the sequence is 2*n* + 2, the copy is whole; otherwise again |
//! | 5. count := *n* + 1 (release) | |
//!
//! # Invariants
//!
//! 1. *The count is incremented only when a value is whole.* So a writer that dies at any step leaves the
//!    last whole value readable, and the next writer continues from it.
//! 2. *The slot that the count names is written again only after [`SLOTS`] − 1 further values.* So a reader
//!    has to retry only if that many values are written while it copies one.
//! 3. *A copy with parts of a later value is rejected.* See the next section.
//! 4. *Attempts are bounded* ([`ATTEMPTS`]), because a peer may write anything.
//!
//! # Memory ordering
//!
//! The copies are not atomic and have no order of their own.
//!
//! - A reader that has loaded the count (acquire) sees at least the whole value that was published with it
//!   (step 5, release). So it need not load the sequence before it copies: the copy contains value *n*, or
//!   parts of a later one.
//! - If the copy contains parts of a later value, then the fence of that value's writer (step 2) and the
//!   reader's fence (step 3) synchronize. So the reader sees the later sequence number in step 4, and
//!   rejects the copy.
//! - The release of step 4 makes the value visible before its sequence number, and that of step 5 both of
//!   them before the count.
//!
//! These orderings are named here, for the library and for the models. Only the copies differ: the library
//! copies by guarded instructions, and the models by relaxed atomic accesses.
//!
//! # Deaths
//!
//! A reader leaves nothing. A dead writer leaves an odd sequence number in a slot that the count does not
//! name; the next writer starts with that slot.
//!
//! # Sources
//!
//! - Linux, [sequence counters](https://docs.kernel.org/locking/seqlock.html), whose *latch* variant keeps
//!   a second copy readable while the first is written.
//! - Hans Boehm, *Can Seqlocks Get Along with Programming Language Memory Models?*: the fences.

use core::sync::atomic::Ordering::{self, Acquire, Release};

/// The number of values that are kept.
pub const SLOTS: u64 = 3;
/// The maximum number of a reader's attempts. Each failure means that two whole values were written while
/// it copied one.
pub const ATTEMPTS: u32 = 1000;

/// The slots, as a reader sees them.
pub trait Slots {
    /// Why an access failed.
    type Fault;
    /// Loads the number of published values.
    fn load_count(&self, order: Ordering) -> Result<u64, Self::Fault>;
    /// Loads the sequence number of a slot.
    fn load_sequence(&self, slot: u64, order: Ordering) -> Result<u64, Self::Fault>;
    /// Executes a fence.
    fn fence(&self, order: Ordering);
    /// Gives the writer time between two attempts.
    fn pause(&self);
}

/// The slots, as the writer sees them.
pub trait WritableSlots: Slots {
    /// Stores the number of published values.
    fn store_count(&self, count: u64, order: Ordering) -> Result<(), Self::Fault>;
    /// Stores the sequence number of a slot.
    fn store_sequence(&self, slot: u64, sequence: u64, order: Ordering) -> Result<(), Self::Fault>;
    /// Marks a point at which tests stop a process permanently.
    fn step(&self, name: &'static str);
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Nothing has been published yet.
    Empty,
    /// The value with this number, counted from 1.
    Value(u64),
    /// Every attempt failed: the writer is faster than the copy, or a peer has written invalid values.
    Torn,
}

/// Reads the latest value: `copy` copies the value of the slot that it receives.
#[inline]
pub fn read<S: Slots>(
    slots: &S,
    mut copy: impl FnMut(u64) -> Result<(), S::Fault>,
) -> Result<ReadOutcome, S::Fault> {
    for _ in 0..ATTEMPTS {
        let count = slots.load_count(Acquire)?;
        if count == 0 {
            return Ok(ReadOutcome::Empty);
        }
        let slot = (count - 1) % SLOTS;
        let whole = count.wrapping_mul(2);
        copy(slot)?;
        slots.fence(Acquire);
        if slots.load_sequence(slot, Acquire)? == whole {
            return Ok(ReadOutcome::Value(count));
        }
        slots.pause();
    }
    Ok(ReadOutcome::Torn)
}

/// Publishes a value, and returns its number, counted from 1: `copy` copies it into the slot that it
/// receives.
///
/// The caller is the only writer.
#[inline]
pub fn write<S: WritableSlots>(
    slots: &S,
    copy: impl FnOnce(u64) -> Result<(), S::Fault>,
) -> Result<u64, S::Fault> {
    let number = slots.load_count(Acquire)?;
    let (slot, whole) = (number % SLOTS, number.wrapping_mul(2).wrapping_add(2));
    slots.store_sequence(slot, whole.wrapping_sub(1), Release)?;
    slots.fence(Release);
    slots.step("latest: begun");
    copy(slot)?;
    slots.step("latest: written, not whole yet");
    slots.store_sequence(slot, whole, Release)?;
    slots.step("latest: whole, not published yet");
    slots.store_count(number.wrapping_add(1), Release)?;
    Ok(number.wrapping_add(1))
}
