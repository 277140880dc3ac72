//! Making and opening segments: the same verbs as for memories.

use std::sync::Arc;
use std::time::Duration;

use super::making::{Made, Plan};
use super::{Segment, joined, made};
use crate::access::{ReadOnly, ReadWrite};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::Name;
use crate::options::{Disposition, OpenOptions};

impl OpenOptions {
    /// How many participants a segment that is made can have at a time: 1 to 511, without this 64. Each place takes 64 bytes of the segment,
    /// and 64 bytes of each reader-writer lock.
    pub fn participants(mut self, most: u32) -> Self {
        self.participants = Some(most);
        self
    }

    /// How long to wait for whoever makes a segment; without this five seconds.
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.ready_within = Some(time);
        self
    }

    fn plan(&self, operation: Operation) -> Result<Plan, Error> {
        Plan::new(operation, self.participants, self.ready_within)
    }

    /// Makes a segment under a name that nobody uses yet.
    ///
    /// # Errors
    ///
    /// As [`create`](OpenOptions::create); [`ErrorKind::TooSmall`] if [`len`](OpenOptions::len) leaves no room for objects.
    pub fn create_segment(
        &self,
        name: impl TryInto<Name, Error: Into<Error>>,
    ) -> Result<Segment<ReadWrite>, Error> {
        let plan = self.plan(Operation::Create)?;
        let memory = self.create(name)?;
        match made(&memory, plan)? {
            (segment, Made::ByUs) => Ok(segment),
            (_, Made::ByOthers) => {
                let error = Error::new(Operation::Create, ErrorKind::AlreadyExists);
                Err(memory.right().name_it(error))
            }
        }
    }

    /// Opens a segment that exists, and takes part in it. Waits while it is being made.
    ///
    /// # Errors
    ///
    /// As [`open`](OpenOptions::open), and:
    ///
    /// - [`ErrorKind::NotASegment`]: the memory is none, or its format is of another version.
    /// - [`ErrorKind::NotReady`]: its maker has died, or has not finished it [in time](OpenOptions::ready_within).
    /// - [`ErrorKind::Corrupted`]: its header makes no sense, or it was declared broken.
    /// - [`ErrorKind::Full`]: all places for participants are taken.
    pub fn open_segment(
        &self,
        name: impl TryInto<Name, Error: Into<Error>>,
    ) -> Result<Segment<ReadWrite>, Error> {
        self.open_segment_in(&self.open(name)?)
    }

    /// Opens a segment that exists, to look at it.
    ///
    /// # Errors
    ///
    /// As [`open_segment`](OpenOptions::open_segment), but for [`ErrorKind::Full`].
    pub fn open_segment_read_only(
        &self,
        name: impl TryInto<Name, Error: Into<Error>>,
    ) -> Result<Segment<ReadOnly>, Error> {
        let memory = self.open_read_only(name)?;
        let core = Segment::attach_to(&memory, self.plan(Operation::Open)?)?;
        Ok(Segment { core: Arc::new(core) })
    }

    /// Opens a segment and takes part in it, or makes it; says which it was. However many processes do this at once, one makes it. If a
    /// maker has died before it was ready, the next one makes it anew.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](OpenOptions::open_or_create) and [`open_segment`](OpenOptions::open_segment).
    pub fn open_or_create_segment(
        &self,
        name: impl TryInto<Name, Error: Into<Error>>,
    ) -> Result<(Segment<ReadWrite>, Disposition), Error> {
        let plan = self.plan(Operation::OpenOrCreate)?;
        let (memory, _) = self.open_or_create(name)?;
        let (segment, made) = made(&memory, plan)?;
        let how = if made == Made::ByUs { Disposition::Created } else { Disposition::Opened };
        Ok((segment, how))
    }

    /// Makes a segment of a memory whose bytes are all zero. Of these options, those about segments count.
    ///
    /// # Errors
    ///
    /// As [`Segment::create_in`].
    pub fn create_segment_in(&self, memory: &SharedMemory<ReadWrite>) -> Result<Segment<ReadWrite>, Error> {
        match made(memory, self.plan(Operation::Create)?)? {
            (segment, Made::ByUs) => Ok(segment),
            (_, Made::ByOthers) => {
                Err(memory.right().name_it(Error::new(Operation::Create, ErrorKind::AlreadyExists)))
            }
        }
    }

    /// Takes part in the segment that a memory is. Of these options, those about segments count.
    ///
    /// # Errors
    ///
    /// As [`open_segment`](OpenOptions::open_segment).
    pub fn open_segment_in(&self, memory: &SharedMemory<ReadWrite>) -> Result<Segment<ReadWrite>, Error> {
        joined(Segment::attach_to(memory, self.plan(Operation::Open)?)?, Operation::Open)
    }
}
