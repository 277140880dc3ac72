//! The processes that hold a region.

use crate::error::{Error, Operation};
use crate::sys;

/// A process that holds a region: it has the region open or mapped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Holder {
    process_id: u32,
    program: Option<String>,
    may_write: Option<bool>,
}

impl Holder {
    /// Returns its process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Returns the file name of its program, if the caller may read it.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// Returns whether it may write to the region; `None` if that is unknown, as for most processes of other
    /// users.
    #[must_use]
    pub fn may_write(&self) -> Option<bool> {
        self.may_write
    }

    /// Returns whether it is the calling process.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.process_id == std::process::id()
    }
}

/// The processes that hold a region, as far as the caller can see them: what
/// [`NameReport::holders`](crate::diagnosis::NameReport::holders) and
/// [`SharedMemory::holders`](crate::SharedMemory::holders) return.
///
/// Which of them created the region is recorded nowhere: a region has no header and no additional file. For a
/// [`Segment`](crate::Segment), [`inspect`](crate::Segment::inspect) returns more.
///
/// On Linux, holders that use this library are visible to every user, by the locks that they hold. Other
/// programs are visible only where this user may look into their processes, and so is whether a process may
/// write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Holders {
    #[cfg_attr(feature = "serde", serde(skip))]
    identity: (u64, u64),
    holders: Vec<Holder>,
    complete: bool,
}

impl Holders {
    /// Finds the holders of the region with this identity. It is `None` where the system does not identify
    /// regions.
    pub(crate) fn of(identity: Option<(u64, u64)>) -> Result<Self, Error> {
        let fail = |failure| {
            let error = Error::from_system(Operation::Examine, failure);
            error.with_detail("this system does not report the processes that hold a region")
        };
        let unsupported = sys::Failure::new(sys::Reason::Unsupported);
        let identity = identity.ok_or_else(|| fail(unsupported))?;
        let (found, complete) = sys::holders(identity).map_err(fail)?;
        Ok(Holders { identity, holders: found.into_iter().map(Holder::from).collect(), complete })
    }

    /// Iterates over the visible holders in the order of their ids. The calling process is among them, if it
    /// is a holder.
    pub fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter()
    }

    /// Returns whether there are no other holders, because every process of the machine was visible. On Linux
    /// that requires the superuser, outside of containers.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns whether a process other than the caller may write to the region: `Some(true)` if a visible one
    /// may, `Some(false)` if there can be none, and `None` if that is unknown.
    #[must_use]
    pub fn others_may_write(&self) -> Option<bool> {
        let mut others = self.holders.iter().filter(|holder| !holder.is_current());
        if others.clone().any(|holder| holder.may_write == Some(true)) {
            return Some(true);
        }
        (self.complete && others.all(|holder| holder.may_write == Some(false))).then_some(false)
    }

    /// Updates the list at less cost than the first query. It examines the known processes and those that
    /// hold a lock on the region, and all processes of the machine only if none of the former except the
    /// caller may write.
    ///
    /// # Errors
    ///
    /// Those that the system reports.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let known: Vec<u32> = self.holders.iter().map(Holder::process_id).collect();
        let found = sys::holders_among(&known, self.identity);
        self.holders = found.into_iter().map(Holder::from).collect();
        if self.holders.iter().any(|holder| !holder.is_current() && holder.may_write == Some(true)) {
            return Ok(());
        }
        *self = Holders::of(Some(self.identity))?;
        Ok(())
    }
}

impl From<sys::FoundHolder> for Holder {
    fn from(found: sys::FoundHolder) -> Self {
        let sys::FoundHolder { process, program, may_write } = found;
        Holder { process_id: process, program, may_write }
    }
}
