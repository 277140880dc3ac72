//! How segments are created and opened: the verbs of a region's options, and what a segment adds to them.

use std::sync::Arc;
use std::time::Duration;

use super::creation::Parameters;
use super::{Segment, create_or_join, join};
use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::ToName;
use crate::options::{Disposition, OpenOptions};
use crate::pages::LargePages;
use crate::security::{Principal, Security};

/// Options for creating or opening a [`Segment`].
///
/// The verbs are those of [`OpenOptions`]: [`create`](SegmentOptions::create) never opens,
/// [`open`](SegmentOptions::open) never creates, and [`open_or_create`](SegmentOptions::open_or_create)
/// returns which of the two it did. The options of the region that contains the segment are here as well.
///
/// An option that has no meaning for a verb is an error of kind [`ErrorKind::InvalidOption`]; it is never
/// ignored.
///
/// ```
/// use std::time::Duration;
///
/// let options = mmf::SegmentOptions::new()
///     .len(64 * 1024)
///     .capacity(1 << 20)
///     .participants(8)
///     .ready_timeout(Duration::from_secs(1));
/// let (segment, _) = options.open_or_create("doc-segment-options")?;
/// assert_eq!(segment.memory().capacity(), 1 << 20);
/// # Ok::<(), mmf::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a verb is called"]
pub struct SegmentOptions {
    region: OpenOptions,
    participants: Option<u32>,
    ready_timeout: Option<Duration>,
}

/// Takes over the options of the region. Those of the segment have their defaults.
impl From<OpenOptions> for SegmentOptions {
    fn from(region: OpenOptions) -> Self {
        SegmentOptions { region, ..SegmentOptions::default() }
    }
}

impl SegmentOptions {
    /// Creates a set of options in which none is set.
    pub fn new() -> Self {
        SegmentOptions::default()
    }

    /// Sets how many participants a new segment can have at a time: 1 to 511, by default 64. Each slot takes
    /// 64 bytes of the segment, and 64 bytes of each reader-writer lock.
    pub fn participants(mut self, most: u32) -> Self {
        self.participants = Some(most);
        self
    }

    /// Sets how long to wait while another process creates the segment: five seconds by default.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = Some(timeout);
        self
    }

    /// Sets the length in bytes: that of a new region, or the least that an existing one must have. See
    /// [`OpenOptions::len`].
    pub fn len(mut self, bytes: u64) -> Self {
        self.region = self.region.len(bytes);
        self
    }

    /// Sets the length up to which the region can grow. See [`OpenOptions::capacity`].
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.region = self.region.capacity(bytes);
        self
    }

    /// Sets whether the region is to have large pages. See [`OpenOptions::large_pages`].
    pub fn large_pages(mut self, preference: LargePages) -> Self {
        self.region = self.region.large_pages(preference);
        self
    }

    /// Sets the NUMA node whose RAM a new region prefers. See [`OpenOptions::numa_node`].
    pub fn numa_node(mut self, node: u32) -> Self {
        self.region = self.region.numa_node(node);
        self
    }

    /// Sets who may open a new region. See [`OpenOptions::security`].
    pub fn security(mut self, security: Security) -> Self {
        self.region = self.region.security(security);
        self
    }

    /// Requires an existing region to be owned by `principal`. See [`OpenOptions::expect_owner`].
    pub fn expect_owner(mut self, principal: Principal) -> Self {
        self.region = self.region.expect_owner(principal);
        self
    }

    /// Requires an existing region to have exactly this length. See [`OpenOptions::expect_len`].
    pub fn expect_len(mut self, bytes: u64) -> Self {
        self.region = self.region.expect_len(bytes);
        self
    }

    /// Creates a segment under a name that is not in use.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::create`], and:
    ///
    /// - [`ErrorKind::TooSmall`]: [`len`](SegmentOptions::len) leaves no room for objects.
    /// - [`ErrorKind::TooLarge`]: the number of [`participants`](SegmentOptions::participants) is 0 or
    ///   greater than 511.
    pub fn create(&self, name: impl ToName) -> Result<Segment<ReadWrite>, Error> {
        let parameters = self.parameters(Operation::Create)?;
        created(&self.region.create(name)?, parameters)
    }

    /// Opens an existing segment as a participant. Waits while another process creates it.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`], and:
    ///
    /// - [`ErrorKind::NotASegment`]: the region holds something else, or a segment in another version of the
    ///   format.
    /// - [`ErrorKind::NotReady`]: its creator has died, or has not finished within the
    ///   [timeout](SegmentOptions::ready_timeout).
    /// - [`ErrorKind::Corrupted`]: its header is damaged, or the segment was [declared
    ///   broken](Segment::declare_broken).
    /// - [`ErrorKind::Full`]: all slots for participants are taken.
    /// - [`ErrorKind::InvalidOption`]: [`participants`](SegmentOptions::participants) is set, which only a
    ///   creator can choose.
    pub fn open(&self, name: impl ToName) -> Result<Segment<ReadWrite>, Error> {
        let parameters = self.parameters_to_open()?;
        opened(&self.region.open(name)?, parameters)
    }

    /// Opens an existing segment as an observer, which only reads and is not a participant.
    ///
    /// # Errors
    ///
    /// Those of [`open`](SegmentOptions::open) except [`ErrorKind::Full`].
    pub fn open_read_only(&self, name: impl ToName) -> Result<Segment<ReadOnly>, Error> {
        let parameters = self.parameters_to_open()?;
        let core = Segment::attach_to(&self.region.open_read_only(name)?, parameters)?;
        Ok(Segment { core: Arc::new(core) })
    }

    /// Opens a segment as a participant, or creates it, and returns which of the two it did. If several
    /// processes call this at once, one of them creates the segment. If a creator dies before the segment is
    /// ready, the next caller creates it anew.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open_or_create`], [`create`](SegmentOptions::create) and
    /// [`open`](SegmentOptions::open).
    pub fn open_or_create(&self, name: impl ToName) -> Result<(Segment<ReadWrite>, Disposition), Error> {
        let parameters = self.parameters(Operation::OpenOrCreate)?;
        let (memory, _) = self.region.open_or_create(name)?;
        create_or_join(&memory, parameters)
    }

    /// Creates a segment in a region whose bytes are all zero.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`]: the region holds a segment.
    /// - [`ErrorKind::NotASegment`]: the region holds something else.
    /// - [`ErrorKind::NotReady`]: another process is creating the segment and has not finished in time.
    /// - [`ErrorKind::TooSmall`]: the region has no room for the participants.
    /// - [`ErrorKind::InvalidOption`]: an option of the region is set, but the region exists already.
    pub fn create_in(&self, memory: &SharedMemory<ReadWrite>) -> Result<Segment<ReadWrite>, Error> {
        let parameters = self.parameters(Operation::Create)?;
        self.refuse_region_options(memory, parameters.operation)?;
        created(memory, parameters)
    }

    /// Opens the segment in a region as a participant.
    ///
    /// # Errors
    ///
    /// Those of [`open`](SegmentOptions::open) that are about the segment, and [`ErrorKind::InvalidOption`]
    /// if an option of the region is set, because the region is open already.
    pub fn open_in(&self, memory: &SharedMemory<ReadWrite>) -> Result<Segment<ReadWrite>, Error> {
        let parameters = self.parameters_to_open()?;
        self.refuse_region_options(memory, parameters.operation)?;
        opened(memory, parameters)
    }

    fn parameters(&self, operation: Operation) -> Result<Parameters, Error> {
        Parameters::new(operation, self.participants, self.ready_timeout)
    }

    fn parameters_to_open(&self) -> Result<Parameters, Error> {
        let operation = Operation::Open;
        if self.participants.is_some() {
            let detail = "participants() applies only when a segment is created: leave it out";
            return Err(Error::new(operation, ErrorKind::InvalidOption).with_detail(detail));
        }
        self.parameters(operation)
    }

    fn refuse_region_options<A: Access>(
        &self,
        memory: &SharedMemory<A>,
        operation: Operation,
    ) -> Result<(), Error> {
        let Some(option) = self.region.first_option() else { return Ok(()) };
        let detail = format!(
            "{option}() applies to a region that is created or opened, and this one is open already: set \
             it on the \
             OpenOptions of the region"
        );
        Err(memory.right().name_it(Error::new(operation, ErrorKind::InvalidOption)).with_detail(detail))
    }
}

fn created(memory: &SharedMemory<ReadWrite>, parameters: Parameters) -> Result<Segment<ReadWrite>, Error> {
    match create_or_join(memory, parameters)? {
        (segment, Disposition::Created) => Ok(segment),
        (_, Disposition::Opened) => {
            Err(memory.right().name_it(Error::new(parameters.operation, ErrorKind::AlreadyExists)))
        }
    }
}

fn opened(memory: &SharedMemory<ReadWrite>, parameters: Parameters) -> Result<Segment<ReadWrite>, Error> {
    join(Segment::attach_to(memory, parameters)?, parameters.operation)
}
