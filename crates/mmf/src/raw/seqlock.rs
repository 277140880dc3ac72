//! The latest value: one writer, readers that leave no trace.
//!
//! Value *n* (0, 1, 2, …) is put into place *n* mod [`PLACES`]. The stamp of a place tells what is in it:
//!
//! | stamp | the place holds |
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
//! The count goes up only when a value is whole, and the place that it names is written again only after [`PLACES`] − 1 further values. So a
//! reader has to try again only if that many values are written while it copies one; and a writer that dies at any step leaves the last whole
//! value readable. Tries are bounded ([`TRIES`]): a peer may write anything.

/// How many values are kept.
pub const PLACES: u64 = 3;
/// How often a reader tries: each failure means that two whole values were written while it copied one.
pub const TRIES: u32 = 1000;

/// Where the values are.
pub trait Slots {
    type Fault;
    /// Acquire.
    fn count(&self) -> Result<u64, Self::Fault>;
    /// Acquire.
    fn stamp(&self, place: u64) -> Result<u64, Self::Fault>;
    /// All loads before come before all loads after.
    fn loads_in_order(&self);
    /// Between two tries.
    fn pause(&self);
}

/// Where the writer writes.
pub trait Writable: Slots {
    /// Release.
    fn set_count(&self, count: u64) -> Result<(), Self::Fault>;
    /// Release.
    fn set_stamp(&self, place: u64, stamp: u64) -> Result<(), Self::Fault>;
    /// All stores before come before all stores after.
    fn stores_in_order(&self);
    /// A place where tests stop a process for good.
    fn step(&self, name: &'static str);
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing has been published yet.
    Nothing,
    /// The value with this number, counted from 1.
    Value(u64),
    /// In none of the tries: the writer is faster than the copy, or the bytes make no sense.
    Torn,
}

/// Copies the latest value by `copy`, which is given its place.
#[inline]
pub fn read<B: Slots>(
    slots: &B,
    mut copy: impl FnMut(u64) -> Result<(), B::Fault>,
) -> Result<Found, B::Fault> {
    for _ in 0..TRIES {
        let count = slots.count()?;
        if count == 0 {
            return Ok(Found::Nothing);
        }
        let place = (count - 1) % PLACES;
        let whole = count.wrapping_mul(2);
        copy(place)?;
        slots.loads_in_order();
        if slots.stamp(place)? == whole {
            return Ok(Found::Value(count));
        }
        slots.pause();
    }
    Ok(Found::Torn)
}

/// Writes the next value by `copy`, which is given its place. The caller is the only writer. Gives its number, counted from 1.
#[inline]
pub fn write<B: Writable>(
    slots: &B,
    copy: impl FnOnce(u64) -> Result<(), B::Fault>,
) -> Result<u64, B::Fault> {
    let number = slots.count()?;
    let (place, whole) = (number % PLACES, number.wrapping_mul(2).wrapping_add(2));
    slots.set_stamp(place, whole.wrapping_sub(1))?;
    slots.stores_in_order();
    slots.step("latest: begun");
    copy(place)?;
    slots.step("latest: written, and not whole yet");
    slots.set_stamp(place, whole)?;
    slots.step("latest: whole, and not published yet");
    slots.set_count(number.wrapping_add(1))?;
    Ok(number.wrapping_add(1))
}
