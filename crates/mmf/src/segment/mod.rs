//! Segments: shared memories that describe themselves, with named, typed objects in them.

pub(crate) mod core;
mod creation;
pub(crate) mod directory;
mod info;
mod inspect;
pub(crate) mod label;
pub(crate) mod layout;
mod options;
pub(crate) mod owners;
mod salvage;
mod stage;
pub(crate) mod steps;
#[cfg(feature = "serde")]
mod time;
pub(crate) mod types;
pub(crate) mod world;

pub use info::{
    Damage, LockState, ObjectInfo, ObjectState, ParticipantId, ParticipantInfo, ProcessInfo, Readers,
    SegmentInfo,
};
pub use options::SegmentOptions;
pub use stage::SegmentStage;
pub use types::{ObjectKind, SharedType, TypeDescription};

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use self::core::{Core, index};
use self::creation::{Parameters, SegmentRegion};
use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::{Error, Operation};
use crate::memory::SharedMemory;
use crate::name::ToName;
use crate::options::Disposition;

/// A shared memory with named, typed objects in it: locks, events, latest values.
///
/// Objects are made or found by name and type: whoever asks first makes them, and a type that does not match is refused. The locks survive
/// their owners: when a process dies that has one, the next who locks gets it *and* is told. The format is documented in
/// `docs/segment.md`, and what is in a segment can be listed by [`Segment::inspect`].
///
/// ```
/// use mmf::Segment;
///
/// // in each process, whoever comes first makes it
/// let (segment, _) = Segment::open_or_create("doc-segment-plant", 64 * 1024)?;
/// let counter = segment.mutex::<u64>("counter")?;
/// let mut guard = counter.lock()?;
/// let value = guard.get()?;
/// guard.set(&(value + 1))?;
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// A segment that may write is a *participant*: it has one of the places in the segment (64, if [`SegmentOptions::participants`] does not say
/// otherwise), as long as it, a clone of it, or one of its objects lives. One opened read-only is an observer and leaves no trace.
///
/// If the region was made with a [capacity](SegmentOptions::capacity) and has [grown](SharedMemory::grow), the segment uses what was added as soon as an
/// object needs it. So nothing else is to be kept behind it.
///
/// After a `fork` without `exec` the child has to open the segment again: what it has belongs to its parent, and neither using nor dropping its copies
/// does anything to that (see [`sync`](crate::sync)).
#[derive(Debug)]
#[must_use = "a participant leaves when the last handle goes"]
pub struct Segment<A: Access = ReadWrite> {
    pub(crate) core: Arc<Core<A>>,
}

impl<A: Access> Clone for Segment<A> {
    fn clone(&self) -> Self {
        Segment { core: Arc::clone(&self.core) }
    }
}

impl Segment<ReadWrite> {
    /// What every segment that is ready starts with: for programs that tell kinds of memory apart. To know more, see
    /// [`stage_of`](Segment::stage_of).
    ///
    /// ```
    /// # let segment = mmf::Segment::create("doc-segment-magic", 64 * 1024)?;
    /// let memory = mmf::SharedMemory::open_read_only("doc-segment-magic")?;
    /// assert_eq!(memory.view()?.read::<[u8; 8]>(0)?, mmf::Segment::MAGIC);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub const MAGIC: [u8; 8] = layout::MAGIC;

    /// Makes a segment of `len` bytes under a name that nobody uses yet. About 4.5 KiB of it are for the segment itself, and a quarter
    /// KiB for each object besides its own bytes.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::create`].
    pub fn create(name: impl ToName, len: u64) -> Result<Self, Error> {
        SegmentOptions::new().len(len).create(name)
    }

    /// Opens a segment that exists. It never makes one; it waits for one that is being made.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open`].
    pub fn open(name: impl ToName) -> Result<Self, Error> {
        SegmentOptions::new().open(name)
    }

    /// Opens a segment, or makes it if there is none or if its maker has died before it was ready; says which it was.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open_or_create`].
    pub fn open_or_create(name: impl ToName, len: u64) -> Result<(Self, Disposition), Error> {
        SegmentOptions::new().len(len).open_or_create(name)
    }

    /// Makes a segment of a memory, all of whose bytes are zero: one without a name, for example, to be handed over.
    ///
    /// ```
    /// let memory = mmf::SharedMemory::anonymous(64 * 1024)?;
    /// let segment = mmf::Segment::create_in(&memory)?;
    /// let again = mmf::Segment::open_in(&memory)?; // in another process, after a hand-off
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`SegmentOptions::create`]; [`ErrorKind::NotASegment`](crate::ErrorKind::NotASegment) if there is something else in it.
    pub fn create_in(memory: &SharedMemory<ReadWrite>) -> Result<Self, Error> {
        SegmentOptions::new().create_in(memory)
    }

    /// Takes part in the segment that a memory is.
    ///
    /// # Errors
    ///
    /// As [`SegmentOptions::open`].
    pub fn open_in(memory: &SharedMemory<ReadWrite>) -> Result<Self, Error> {
        SegmentOptions::new().open_in(memory)
    }

    /// Declares the segment broken, for good: whoever opens it from now on is refused. Who has it open is not disturbed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn declare_broken(&self) -> Result<(), Error> {
        self.core.me()?;
        self.core.view.atomic_u32(index(layout::STATE_AT))?.store(layout::state::BROKEN, SeqCst)
    }
}

impl Segment<ReadOnly> {
    /// Opens a segment to look at it. An observer is no participant: nobody can see that it looks.
    ///
    /// ```
    /// let segment = mmf::Segment::create("doc-segment-observed", 64 * 1024)?;
    /// let mut pose = segment.latest::<[f32; 3]>("pose")?.acquire_writer()?;
    /// pose.publish(&[1.0, 2.0, 0.5])?;
    ///
    /// let observer = mmf::Segment::open_read_only("doc-segment-observed")?;
    /// assert_eq!(observer.find_latest::<[f32; 3]>("pose")?.read()?, Some([1.0, 2.0, 0.5]));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open_read_only`].
    pub fn open_read_only(name: impl ToName) -> Result<Self, Error> {
        SegmentOptions::new().open_read_only(name)
    }
}

impl<A: Access> Segment<A> {
    /// The memory that the segment lies in.
    pub fn memory(&self) -> &SharedMemory<A> {
        &self.core.memory
    }

    /// Bytes that are left for further objects, with those by which the region has [grown](SharedMemory::grow).
    ///
    /// ```
    /// let segment = mmf::SegmentOptions::new().len(16 * 1024).capacity(1 << 20).create("doc-segment-room")?;
    /// assert!(segment.remaining()? < 16 * 1024);
    /// segment.memory().grow(256 * 1024)?;
    /// assert!(segment.remaining()? > 240 * 1024);
    /// let table = segment.mutex::<[u64; 10_000]>("table")?;
    /// # let _ = table;
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fault`](crate::ErrorKind::Fault).
    pub fn remaining(&self) -> Result<u64, Error> {
        self.core.remaining()
    }

    fn attach_to(memory: &SharedMemory<A>, parameters: Parameters) -> Result<Core<A>, Error> {
        let region = SegmentRegion::new(memory, parameters)?;
        region.wait()?;
        region.check()
    }
}

fn join(mut core: Core<ReadWrite>, operation: Operation) -> Result<Segment<ReadWrite>, Error> {
    core.join(operation)?;
    Ok(Segment { core: Arc::new(core) })
}

fn create_or_join(
    memory: &SharedMemory<ReadWrite>,
    parameters: Parameters,
) -> Result<(Segment<ReadWrite>, Disposition), Error> {
    let region = SegmentRegion::new(memory, parameters)?;
    let made = region.create()?;
    Ok((join(region.check()?, parameters.operation)?, made))
}
