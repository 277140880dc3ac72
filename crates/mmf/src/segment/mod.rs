//! Segments: shared memory regions that describe themselves and hold named, typed objects.

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
    SegmentInfo, SegmentStage,
};
pub use options::SegmentOptions;
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

/// A shared memory region that holds named, typed objects: locks, events, latest values.
///
/// Objects are identified by name and type. The first process that requests an object creates it, and a
/// request with another type is refused. The locks survive their owners: if a process dies while it holds a
/// lock, the next owner acquires the lock *and* is notified of the death. The format is documented in
/// `docs/segment.md`, and [`Segment::inspect`] returns what a segment contains.
///
/// ```
/// use mmf::Segment;
///
/// // in each process; the first one creates it
/// let (segment, _) = Segment::open_or_create("doc-segment-plant", 64 * 1024)?;
/// let counter = segment.mutex::<u64>("counter")?;
/// let mut guard = counter.lock()?;
/// let value = guard.get()?;
/// guard.set(&(value + 1))?;
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// A writable segment is a *participant*: it occupies one of the segment's slots (64 unless
/// [`SegmentOptions::participants`] sets another number) as long as it, a clone of it or one of its objects
/// is alive. A read-only one is an observer and leaves no trace.
///
/// If the region was created with a [capacity](SegmentOptions::capacity) and has [grown](SharedMemory::grow),
/// the segment uses the new bytes as soon as an object needs them. Programs must therefore not keep other
/// data behind the segment.
///
/// After a `fork` without `exec`, the child has to open the segment again. The copies that it inherits belong
/// to its parent, and using or dropping them does not affect the parent (see [`sync`](crate::sync)).
#[derive(Debug)]
#[must_use = "a participant leaves when its last handle is dropped"]
pub struct Segment<A: Access = ReadWrite> {
    pub(crate) core: Arc<Core<A>>,
}

impl<A: Access> Clone for Segment<A> {
    fn clone(&self) -> Self {
        Segment { core: Arc::clone(&self.core) }
    }
}

impl Segment<ReadWrite> {
    /// The first bytes of every segment that is ready, for programs that distinguish kinds of regions. See
    /// also [`stage_of`](Segment::stage_of).
    ///
    /// ```
    /// # let segment = mmf::Segment::create("doc-segment-magic", 64 * 1024)?;
    /// let memory = mmf::SharedMemory::open_read_only("doc-segment-magic")?;
    /// assert_eq!(memory.view()?.read::<[u8; 8]>(0)?, mmf::Segment::MAGIC);
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub const MAGIC: [u8; 8] = layout::MAGIC;

    /// Creates a segment of `len` bytes under a name that is not in use. The segment itself takes 4.25 KiB of
    /// them with 64 slots, and each object takes a quarter KiB in addition to its own bytes.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::create`].
    pub fn create(name: impl ToName, len: u64) -> Result<Self, Error> {
        SegmentOptions::new().len(len).create(name)
    }

    /// Opens an existing segment as a participant. Waits while another process creates it, and never creates
    /// it.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open`].
    pub fn open(name: impl ToName) -> Result<Self, Error> {
        SegmentOptions::new().open(name)
    }

    /// Opens a segment, or creates it if it does not exist or its creator died before it was ready. Returns
    /// which of the two it did.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open_or_create`].
    pub fn open_or_create(name: impl ToName, len: u64) -> Result<(Self, Disposition), Error> {
        SegmentOptions::new().len(len).open_or_create(name)
    }

    /// Creates a segment in a region whose bytes are all zero: for example, an unnamed region that is then
    /// handed off.
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
    /// See [`SegmentOptions::create_in`].
    pub fn create_in(memory: &SharedMemory<ReadWrite>) -> Result<Self, Error> {
        SegmentOptions::new().create_in(memory)
    }

    /// Opens the segment in a region as a participant.
    ///
    /// # Errors
    ///
    /// See [`SegmentOptions::open_in`].
    pub fn open_in(memory: &SharedMemory<ReadWrite>) -> Result<Self, Error> {
        SegmentOptions::new().open_in(memory)
    }

    /// Permanently declares the segment broken: it can no longer be opened. Processes that have it open are
    /// not affected.
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
    /// Opens an existing segment as an observer, which only reads and is not a participant. It leaves no
    /// trace in the segment.
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
    /// Returns the region that contains the segment.
    pub fn memory(&self) -> &SharedMemory<A> {
        &self.core.memory
    }

    /// Returns the number of bytes that are left for further objects, including those by which the region has
    /// [grown](SharedMemory::grow).
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
    let disposition = region.create()?;
    Ok((join(region.check()?, parameters.operation)?, disposition))
}
