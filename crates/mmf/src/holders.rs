//! Which processes hold a region.

use crate::error::{Error, Operation};
use crate::sys;

/// A process that holds a region: it has it open or mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    process: u32,
    program: Option<String>,
    may_write: Option<bool>,
}

impl Holder {
    /// Its process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// What its program is called, if it can be told.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// Whether it may write to the region; `None` if it cannot be told, as of most processes of other users.
    #[must_use]
    pub fn may_write(&self) -> Option<bool> {
        self.may_write
    }

    /// Whether it is the calling process.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.process == std::process::id()
    }
}

/// The processes that hold a region, as far as they can be seen: what [`NameReport::holders`](crate::diagnosis::NameReport::holders) and
/// [`SharedMemory::holders`](crate::SharedMemory::holders) return.
///
/// Which of them created the region is recorded nowhere: a region has no header, and no file beside it. Of a
/// [`Segment`](crate::Segment), [`inspect`](crate::Segment::inspect) tells more.
///
/// Linux: holders that use this library are seen whosever they are, by the locks that they have; other programs, and whether a
/// process may write, only where this user may look into the process.
#[derive(Clone, Debug)]
pub struct Holders {
    identity: (u64, u64),
    found: Vec<Holder>,
    complete: bool,
}

impl Holders {
    /// Those of a region that is identified like this; none if the system cannot identify it.
    pub(crate) fn of(identity: Option<(u64, u64)>) -> Result<Self, Error> {
        let fail = |failure| {
            let error = Error::from_system(Operation::Examine, failure);
            error.with_detail("this system does not tell which processes hold a region")
        };
        let unsupported = sys::Failure::new(sys::Reason::Unsupported);
        let identity = identity.ok_or_else(|| fail(unsupported))?;
        let (found, complete) = sys::holders(identity).map_err(fail)?;
        Ok(Holders { identity, found: found.into_iter().map(Holder::from).collect(), complete })
    }

    /// All that were seen, in the order of their ids; the calling process among them, if it is one.
    pub fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.found.iter()
    }

    /// Whether there can be no others: every process of the machine could be looked into. That takes the superuser, outside of
    /// containers.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether a process other than the calling one may write to the region: `Some(true)` if one is seen that may, `Some(false)`
    /// if there can be none, `None` if it cannot be told.
    #[must_use]
    pub fn others_may_write(&self) -> Option<bool> {
        let mut others = self.found.iter().filter(|holder| !holder.is_current());
        if others.clone().any(|holder| holder.may_write == Some(true)) {
            return Some(true);
        }
        (self.complete && others.all(|holder| holder.may_write == Some(false))).then_some(false)
    }

    /// Looks again, at less cost than the first time: into those that were seen, and at those that hold it by a lock. All processes are
    /// looked into only if none of these may write.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let known: Vec<u32> = self.found.iter().map(Holder::process).collect();
        let found = sys::holders_among(&known, self.identity);
        self.found = found.into_iter().map(Holder::from).collect();
        if self.found.iter().any(|holder| !holder.is_current() && holder.may_write == Some(true)) {
            return Ok(());
        }
        *self = Holders::of(Some(self.identity))?;
        Ok(())
    }
}

impl From<sys::FoundHolder> for Holder {
    fn from(found: sys::FoundHolder) -> Self {
        let sys::FoundHolder { process, program, may_write } = found;
        Holder { process, program, may_write }
    }
}
