//! The latest value: one writer, readers that leave no trace.
//!
//! Value *n* (0, 1, 2, …) is put into slot *n* mod [`SLOTS`]. The stamp of a slot tells what is in it:
//!
//! | stamp | the slot holds |
//! | --- | --- |
//! | 0 | nothing yet |
//! | 2*n* + 1 | parts of value *n*: it is being written, or its writer died |
//! | 2*n* + 2 | value *n* |
//!
//! | the writer of value *n* | a reader |
//! | --- | --- |
//! | 1. stamp := 2*n* + 1 | 1. *c* := count (acquire); 0: there is none yet; *n* := *c* − 1 |
//! | 2. barrier: stores before stores | 2. value |
//! | 3. value | 3. barrier: loads before loads |
//! | 4. stamp := 2*n* + 2 (release) | 4. stamp = 2*n* + 2? then the copy is whole; else again |
//! | 5. count := *n* + 1 (release) | |
//!
//! The reader need not look at the stamp before it copies: whoever has seen the count sees a whole value *n* or parts of a later one, and no
//! part of a later one without the later stamp.
//!
//! The count goes up only when a value is whole, and the slot that it names is written again only after [`SLOTS`] − 1 further values. So a
//! reader has to try again only if that many values are written while it copies one; and a writer that dies at any step leaves the last whole
//! value readable. Tries are bounded ([`TRIES`]): a peer may write anything.

use core::sync::atomic::Ordering::{self, Acquire, Release};

/// How many values are kept.
pub const SLOTS: u64 = 3;
/// How often a reader tries: each failure means that two whole values were written while it copied one.
pub const TRIES: u32 = 1000;

/// The slots, as a reader sees them.
pub trait Slots {
    type Fault;
    fn load_count(&self, order: Ordering) -> Result<u64, Self::Fault>;
    fn load_sequence(&self, slot: u64, order: Ordering) -> Result<u64, Self::Fault>;
    /// A memory barrier.
    fn fence(&self, order: Ordering);
    /// Between two tries.
    fn pause(&self);
}

/// The slots, as the writer sees them.
pub trait WritableSlots: Slots {
    fn store_count(&self, count: u64, order: Ordering) -> Result<(), Self::Fault>;
    fn store_sequence(&self, slot: u64, sequence: u64, order: Ordering) -> Result<(), Self::Fault>;
    /// A point at which tests stop a process for good.
    fn step(&self, name: &'static str);
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Nothing has been published yet.
    Empty,
    /// The value with this number, counted from 1.
    Value(u64),
    /// In none of the tries: the writer is faster than the copy, or the bytes make no sense.
    Torn,
}

/// Copies the latest value by `copy`, which receives the slot.
#[inline]
pub fn read<S: Slots>(
    slots: &S,
    mut copy: impl FnMut(u64) -> Result<(), S::Fault>,
) -> Result<ReadOutcome, S::Fault> {
    for _ in 0..TRIES {
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

/// Writes the next value by `copy`, which receives the slot. The caller is the only writer. Returns its number, counted from 1.
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
    slots.step("latest: written, and not whole yet");
    slots.store_sequence(slot, whole, Release)?;
    slots.step("latest: whole, and not published yet");
    slots.store_count(number.wrapping_add(1), Release)?;
    Ok(number.wrapping_add(1))
}
