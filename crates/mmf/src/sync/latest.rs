//! The latest value of something. The state table is at the top of `raw/seqlock.rs`.

use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Acquire};
use std::sync::atomic::fence;

use super::error::refused;
use super::owner::Owner;
use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::raw::mutex::{DONE, OWNER};
use crate::raw::seqlock::{self, ReadOutcome, SLOTS, Slots, WritableSlots};
use crate::raw::{self, AcquireError, BlockingMode};
use crate::segment::core::{Core, index};
use crate::segment::directory::Shape;
use crate::segment::label::Label;
use crate::segment::layout::{ALIGN, PUBLISHED, STAMPS, VALUE};
use crate::segment::owners::describe_owner;
use crate::segment::steps::step;
use crate::segment::types::{ObjectKind, SharedType};
use crate::segment::world::{LockContext, WaitWord};
use crate::view::{AtomicAt, View};

// The format has room for as many stamps.
const _: () = assert!(SLOTS == 3 && STAMPS + 8 * SLOTS <= VALUE);

/// The latest value of something, for telemetry: one writer, any number of readers, who need no right to write. By
/// [`Segment::latest`](crate::Segment::latest) and, for observers, [`Segment::find_latest`](crate::Segment::find_latest).
///
/// Readers never hold the writer up. They copy a value that was published whole, or try again: that happens only if two further values are
/// published while they copy one. If the writer dies, the last whole value stays. Three values are kept, so it takes three times the room.
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

/// The one who publishes values of a [`Latest`], until it is dropped.
#[derive(Debug)]
#[must_use = "somebody else can become the writer when it is dropped"]
pub struct LatestWriter<T: SharedType> {
    core: Arc<Core>,
    lock: WaitWord,
    owner: Owner,
    values: Values<T>,
}

/// The values of one object: found once, accessed often.
#[derive(Debug)]
struct Values<T: SharedType, A: Access = ReadWrite> {
    count: AtomicAt<u64, A>,
    places: [Stamped<A>; 3],
    value: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Stamped<A: Access> {
    stamp: AtomicAt<u64, A>,
    value: View<A>,
}

impl<T: SharedType, A: Access> Values<T, A> {
    fn new(view: &View<A>, at: u64) -> Result<Self, Error> {
        // Of what has no bytes, none is read; but a view has to have some.
        let first = if size_of::<T>() == 0 { at } else { at + VALUE };
        let place = |place: u64| {
            Ok::<_, Error>(Stamped {
                stamp: AtomicAt::new(view, index(at + STAMPS + place * 8))?,
                value: view.subview(index(first + place * stride::<T>()), size_of::<T>().max(1))?,
            })
        };
        let places = [place(0)?, place(1)?, place(2)?];
        Ok(Values { count: AtomicAt::new(view, index(at + PUBLISHED))?, places, value: PhantomData })
    }

    #[inline]
    fn place(&self, place: u64) -> &Stamped<A> {
        // Places are numbers modulo their count.
        &self.places[index(place % SLOTS)]
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
        self.place(slot).stamp.get().load(order)
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
        self.place(slot).stamp.get().store(sequence, order)
    }

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
    pub(crate) fn make(core: &Arc<Core>, name: &str) -> Result<Self, Error> {
        Latest::at(core, name, core.find_or_make(name, &shape::<T>())?)
    }

    /// Becomes the writer. If the former one has died, this one goes on from its last whole value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if there is one, alive: the message says who; [`ErrorKind::Fault`].
    pub fn acquire_writer(&self) -> Result<LatestWriter<T>, Error> {
        let lock = WaitWord::bare(&self.core, self.at)?;
        let values = Values::new(&self.core.view, self.at)?;
        let context = LockContext::new(&self.core);
        let owner = Owner::new(&self.core)?;
        match raw::mutex::lock(&context, &lock, owner.token(), BlockingMode::Try) {
            Ok(_) => {
                raw::mutex::mark_consistent(&context, &lock, owner.token())?;
            }
            Err(AcquireError::Fault(error)) => return Err(error),
            Err(AcquireError::WouldBlock(writer)) if writer != 0 => {
                let say = |latest: &str| {
                    format!("{latest} has a writer, which is alive: {}", describe_owner(&self.core, writer))
                };
                return Err(self.label.error(&self.core, Operation::Acquire, ErrorKind::Busy, say));
            }
            Err(other) => return Err(refused(&self.core, &self.label, Operation::Acquire, &other, 0)),
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

    /// The latest value; none if nobody has published one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`]; [`ErrorKind::Busy`] if a thousand tries did not give a whole value: the writer is much faster than this
    /// process can copy, or a peer has written nonsense.
    #[inline]
    pub fn read(&self) -> Result<Option<T>, Error> {
        // Straight away, and not by `read_numbered`: each move of a big value costs as much as the read.
        let mut value = T::new_zeroed();
        Ok(if self.read_into(&mut value)?.is_some() { Some(value) } else { None })
    }

    /// The latest value with its number: how many were published up to it.
    ///
    /// # Errors
    ///
    /// As [`read`](Latest::read).
    #[inline]
    pub fn read_numbered(&self) -> Result<Option<(u64, T)>, Error> {
        let mut value = T::new_zeroed();
        Ok(self.read_into(&mut value)?.map(|number| (number, value)))
    }

    /// Copies the latest value to where it is wanted, and gives its number. If there is none, or in an error, it may have been overwritten in
    /// part. For values that are too big for the stack.
    ///
    /// # Errors
    ///
    /// As [`read`](Latest::read).
    #[inline]
    pub fn read_into(&self, value: &mut T) -> Result<Option<u64>, Error> {
        let found = seqlock::read(&self.values, |place| {
            self.values.place(place).value.read_exact_at(value.as_mut_bytes(), 0)
        })?;
        self.whole(found)
    }

    #[inline]
    fn whole(&self, found: ReadOutcome) -> Result<Option<u64>, Error> {
        match found {
            ReadOutcome::Empty => Ok(None),
            ReadOutcome::Value(number) => Ok(Some(number)),
            ReadOutcome::Torn => Err(self.torn()),
        }
    }

    #[cold]
    fn torn(&self) -> Error {
        self.label.error(&self.core, Operation::Read, ErrorKind::Busy, |latest| {
            format!(
                "cannot read {latest}: at each of many attempts it was overwritten while it was copied: \
                 its writer is faster than this process can copy, or a process has written nonsense there; try again"
            )
        })
    }

    /// How many values were published so far.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    pub fn published(&self) -> Result<u64, Error> {
        self.values.load_count(Acquire)
    }

    /// Whether there is a writer, and it lives.
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
    /// Publishes a value; gives its number, counted from 1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`].
    #[inline]
    pub fn publish(&mut self, value: &T) -> Result<u64, Error> {
        self.owner.check(&self.core)?;
        seqlock::write(&self.values, |place| self.values.place(place).value.write(value, 0))
    }
}

impl<T: SharedType> Drop for LatestWriter<T> {
    fn drop(&mut self) {
        let Some(me) = self.owner.here(&self.core) else { return };
        let _ = raw::mutex::unlock(&LockContext::new(&self.core), &self.lock, me);
    }
}
