//! The latest value of one writer. Its states and memory orderings are at the top of `raw/seqlock.rs`.

use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Acquire};
use std::sync::atomic::fence;

use super::error::acquire_error;
use super::owner::Owner;
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::seqlock::{self, ReadOutcome, SLOTS, Slots, WritableSlots};
use crate::raw::{self, AcquireError, BlockingMode};
use crate::segment::core::{Core, index};
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::{ALIGN, PUBLISHED, SEQUENCES, VALUE};
use crate::segment::owners::describe_owner;
use crate::segment::steps::step;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};
use crate::view::{AtomicAt, View};

// The format has room for this number of sequences.
const _: () = assert!(SLOTS == 3 && SEQUENCES + 8 * SLOTS <= VALUE);

/// The latest value of one writer, for any number of readers, as in telemetry.
/// [`Segment::latest`](crate::Segment::latest) creates or opens it;
/// [`Segment::find_latest`](crate::Segment::find_latest) opens it for readers without write access.
///
/// Readers never block the writer. A reader copies a value that was published completely, or retries. It has
/// to retry only if two further values are published while it copies one. If the writer dies, the last
/// complete value stays. The object keeps three values, so it takes three times the space of one.
///
/// ```
/// let segment = mmf::Segment::create("doc-latest", 64 * 1024)?;
/// let speed = segment.latest::<f64>("speed")?;
/// assert_eq!(speed.read()?, None);
/// let mut writer = speed.acquire_writer()?;
/// writer.publish(&3.5)?;
/// assert_eq!(speed.read()?, Some(3.5));
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Debug)]
pub struct Latest<T: SharedType, A: Access = ReadWrite> {
    core: Arc<Core<A>>,
    at: u64,
    label: Label,
    values: Values<T, A>,
}

/// The writer of a [`Latest`]. Dropping it lets another process become the writer.
#[derive(Debug)]
#[must_use = "dropping it lets another process become the writer"]
pub struct LatestWriter<T: SharedType> {
    core: Arc<Core>,
    lock: WaitWord,
    owner: Owner,
    values: Values<T>,
}

/// A value of a [`Latest`] with its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Published<T> {
    /// The number of values that were published up to this one. The first one has number 1.
    pub number: u64,
    /// The value.
    pub value: T,
}

/// The words and views of one object, resolved once.
#[derive(Debug)]
struct Values<T: SharedType, A: Access = ReadWrite> {
    count: AtomicAt<u64, A>,
    slots: [Slot<A>; 3],
    value: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Slot<A: Access> {
    sequence: AtomicAt<u64, A>,
    value: View<A>,
}

impl<T: SharedType, A: Access> Values<T, A> {
    fn new(view: &View<A>, at: u64) -> Result<Self, Error> {
        // A view has at least one byte, so the values of a type without bytes take one that is never
        // accessed.
        let first = if size_of::<T>() == 0 { at } else { at + VALUE };
        let slot = |slot: u64| {
            Ok::<_, Error>(Slot {
                sequence: AtomicAt::new(view, index(at + SEQUENCES + slot * 8))?,
                value: view.subview(index(first + slot * stride::<T>()), size_of::<T>().max(1))?,
            })
        };
        let slots = [slot(0)?, slot(1)?, slot(2)?];
        Ok(Values { count: AtomicAt::new(view, index(at + PUBLISHED))?, slots, value: PhantomData })
    }

    #[inline]
    fn slot(&self, slot: u64) -> &Slot<A> {
        // The algorithm passes numbers below `SLOTS` only; the remainder spares the bounds check.
        &self.slots[index(slot % SLOTS)]
    }
}

impl<T: SharedType, A: Access> Slots for Values<T, A> {
    type Fault = Error;

    #[inline]
    fn load_count(&self, order: Ordering) -> Result<u64, Error> {
        self.count.get().load(order)
    }

    #[inline]
    fn load_sequence(&self, slot: u64, order: Ordering) -> Result<u64, Error> {
        self.slot(slot).sequence.get().load(order)
    }

    #[inline]
    fn fence(&self, order: Ordering) {
        fence(order);
    }

    fn pause(&self) {
        std::thread::yield_now();
    }
}

impl<T: SharedType> WritableSlots for Values<T> {
    #[inline]
    fn store_count(&self, count: u64, order: Ordering) -> Result<(), Error> {
        self.count.get().store(count, order)
    }

    #[inline]
    fn store_sequence(&self, slot: u64, sequence: u64, order: Ordering) -> Result<(), Error> {
        self.slot(slot).sequence.get().store(sequence, order)
    }

    #[inline]
    fn step(&self, name: &'static str) {
        step(name);
    }
}

fn stride<T>() -> u64 {
    (size_of::<T>() as u64).next_multiple_of(ALIGN)
}

fn shape<T: SharedType>() -> Shape {
    const { assert!(align_of::<T>() <= 64, "objects in a segment are aligned to 64 bytes at most") };
    Shape {
        kind: ObjectKind::Latest,
        described: T::description(),
        object_len: VALUE + SLOTS * stride::<T>(),
        value_offset: u32::try_from(VALUE).unwrap_or(0),
        count: u32::try_from(SLOTS).unwrap_or(0),
    }
}

impl<T: SharedType> Latest<T, ReadWrite> {
    pub(crate) fn create_or_open(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        Latest::at(core, name, core.find_or_create(name, &shape::<T>())?)
    }

    /// Makes the calling process the writer. Does not block. If the previous writer died, the new one
    /// continues after its last complete value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if there is a live writer: the message names its process. [`ErrorKind::Fault`].
    pub fn acquire_writer(&self) -> Result<LatestWriter<T>, Error> {
        let lock = WaitWord::bare(&self.core, self.at)?;
        let values = Values::new(&self.core.view, self.at)?;
        let context = LockContext::new(&self.core);
        let owner = Owner::new(&self.core)?;
        match raw::mutex::lock(&context, &lock, owner.id(), BlockingMode::Try) {
            Ok(_) => {
                raw::mutex::mark_consistent(&context, &lock, owner.id())?;
            }
            Err(AcquireError::WouldBlock(writer)) if writer != 0 => {
                return Err(self.label.error(&self.core, Operation::Acquire, ErrorKind::Busy, |latest| {
                    format!("{latest} already has a writer: {}", describe_owner(&self.core, writer))
                }));
            }
            Err(error) => return Err(acquire_error(&self.core, &self.label, Operation::Acquire, error, 0)),
        }
        Ok(LatestWriter { core: Arc::clone(&self.core), lock, owner, values })
    }
}

impl<T: SharedType, A: Access> Latest<T, A> {
    pub(crate) fn find(core: &Arc<Core<A>>, name: &str) -> Result<Self, Error> {
        Latest::at(core, name, core.find(name, &shape::<T>())?.ok_or_else(|| core.missing(name))?)
    }

    fn at(core: &Arc<Core<A>>, name: &str, at: u64) -> Result<Self, Error> {
        let label = Label::new(ObjectKind::Latest, name);
        Ok(Latest { core: Arc::clone(core), at, label, values: Values::new(&core.view, at)? })
    }

    /// Returns a copy of the latest value, or `None` if no value has been published yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`]; [`ErrorKind::Busy`] if a thousand attempts did not yield a complete value: the
    /// writer publishes much faster than this process copies, or a peer has overwritten the object.
    #[inline]
    pub fn read(&self) -> Result<Option<T>, Error> {
        // Not by `read_numbered`: each move of a large value costs as much as the read.
        let mut value = T::new_zeroed();
        Ok(if self.read_into(&mut value)?.is_some() { Some(value) } else { None })
    }

    /// Returns a copy of the latest value with its number, or `None` if no value has been published yet.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Latest::read).
    #[inline]
    pub fn read_numbered(&self) -> Result<Option<Published<T>>, Error> {
        let mut value = T::new_zeroed();
        Ok(self.read_into(&mut value)?.map(|number| Published { number, value }))
    }

    /// Copies the latest value into `value` and returns its number, or `None` if no value has been published
    /// yet. This is for values that are too large for the stack.
    ///
    /// If it returns `None` or an error, a part of `value` may have been overwritten.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Latest::read).
    #[inline]
    pub fn read_into(&self, value: &mut T) -> Result<Option<u64>, Error> {
        let outcome = seqlock::read(&self.values, |slot| {
            self.values.slot(slot).value.read_exact_at(value.as_mut_bytes(), 0)
        })?;
        self.number(outcome)
    }

    #[inline]
    fn number(&self, outcome: ReadOutcome) -> Result<Option<u64>, Error> {
        match outcome {
            ReadOutcome::Empty => Ok(None),
            ReadOutcome::Value(number) => Ok(Some(number)),
            ReadOutcome::Torn => Err(self.torn()),
        }
    }

    #[cold]
    fn torn(&self) -> Error {
        self.label.error(&self.core, Operation::Read, ErrorKind::Busy, |latest| {
            format!(
                "cannot read {latest}: it was overwritten during each of many attempts to copy it, \
                 because its writer is faster than this process, or a peer has overwritten it; try again"
            )
        })
    }

    /// Returns the number of values published so far.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn published(&self) -> Result<u64, Error> {
        self.values.load_count(Acquire)
    }

    /// Returns whether there is a live writer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn has_writer(&self) -> Result<bool, Error> {
        let word = self.core.view.atomic_u32(index(self.at))?.load(Acquire)?;
        Ok(!matches!(word & OWNER, 0 | DONE) && !self.core.is_gone(word & OWNER))
    }
}

impl<T: SharedType> LatestWriter<T> {
    /// Publishes `value` and returns its number, counted from 1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn publish(&mut self, value: &T) -> Result<u64, Error> {
        self.owner.check(&self.core)?;
        seqlock::write(&self.values, |slot| self.values.slot(slot).value.write(value, 0))
    }
}

impl<T: SharedType> Drop for LatestWriter<T> {
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.core) else { return };
        let _ = raw::mutex::unlock(&LockContext::new(&self.core), &self.lock, me);
    }
}
