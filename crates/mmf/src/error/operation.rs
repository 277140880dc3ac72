//! The operations that can fail, and their words.

/// The operation that failed.
///
/// Each operation has a stable number and a stable identifier, [`code`](Operation::code) and
/// [`id`](Operation::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Checking a name.
    Name,
    /// Creating a region.
    Create,
    /// Opening a region.
    Open,
    /// Opening a region, or creating it if it does not exist.
    OpenOrCreate,
    /// Taking ownership of a handle or a descriptor.
    Adopt,
    /// Giving up write access.
    IntoReadOnly,
    /// Mapping a view.
    Map,
    /// Reading bytes or a value.
    Read,
    /// Writing bytes or a value.
    Write,
    /// Filling with a byte.
    Fill,
    /// Copying between views.
    Copy,
    /// Accessing an atomic.
    Atomic,
    /// Creating a view of a part of a view.
    Subview,
    /// Moving the position of a cursor.
    Seek,
    /// Writing changes to the file behind a view.
    Flush,
    /// Bringing pages into RAM.
    Prefetch,
    /// Keeping pages in RAM.
    LockPages,
    /// Listing the named regions.
    List,
    /// Parsing or applying a [`Security`](crate::security::Security).
    Security,
    /// Handing a region to another process.
    HandOff,
    /// Receiving a region from another process.
    Receive,
    /// Growing a region.
    Grow,
    /// Picking up growth by other processes.
    Refresh,
    /// Opening a file, or taking ownership of an open one.
    OpenFile,
    /// Creating a file.
    CreateFile,
    /// Querying the pages of a region.
    QueryPages,
    /// Saving a region to a file.
    Save,
    /// Creating a region with the content of a file.
    Load,
    /// Copying the content of a file into a region.
    Restore,
    /// Finding or creating an object of a segment.
    Object,
    /// Acquiring a lock, or accessing what it protects.
    Acquire,
    /// Waiting for another process, or waking it.
    Wait,
    /// Inspecting a segment.
    Inspect,
    /// Examining a region or a name without changing anything.
    Examine,
}

impl Operation {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Operation::Name => "use the name",
            Operation::Create => "create the shared memory region",
            Operation::Open => "open the shared memory region",
            Operation::OpenOrCreate => "open or create the shared memory region",
            Operation::Adopt => "take ownership of the handle",
            Operation::IntoReadOnly => "give up write access to the shared memory region",
            Operation::Map => "map a view of the shared memory region",
            Operation::Read => "read from",
            Operation::Write => "write to",
            Operation::Fill => "fill",
            Operation::Copy => "copy between views",
            Operation::Atomic => "access an atomic",
            Operation::Subview => "create a subview",
            Operation::Seek => "move a cursor",
            Operation::Flush => "flush a view",
            Operation::Prefetch => "prefetch a view",
            Operation::LockPages => "lock the pages of a view",
            Operation::List => "list the shared memory regions",
            Operation::Security => "use the security",
            Operation::HandOff => "hand off the shared memory region",
            Operation::Receive => "receive the shared memory region",
            Operation::Grow => "grow the shared memory region",
            Operation::Refresh => "read the current length of the shared memory region",
            Operation::OpenFile => "open the file",
            Operation::CreateFile => "create the file",
            Operation::QueryPages => "query the pages of the shared memory region",
            Operation::Save => "save the shared memory region",
            Operation::Load => "load the shared memory region",
            Operation::Restore => "restore the shared memory region",
            Operation::Object => "find or create the object",
            Operation::Acquire => "acquire the lock",
            Operation::Wait => "wait",
            Operation::Inspect => "inspect the segment",
            Operation::Examine => "examine the shared memory region",
        }
    }

    /// Returns the words in front of the name of the region or the segment.
    pub(super) fn describe_with_name(self) -> &'static str {
        match self {
            Operation::Copy => "copy to or from",
            Operation::Atomic => "access an atomic in",
            Operation::Subview => "create a subview of",
            Operation::Seek => "move a cursor in",
            Operation::Flush => "flush a view of",
            Operation::Prefetch => "prefetch a view of",
            Operation::LockPages => "lock the pages of a view of",
            Operation::Object => "find or create the object in",
            Operation::Acquire => "acquire the lock in",
            Operation::Wait => "wait in",
            _ => self.describe(),
        }
    }

    /// Returns the words for an error without a name.
    pub(super) fn describe_without_name(self) -> &'static str {
        match self {
            Operation::Read => "read from the shared memory region",
            Operation::Write => "write to the shared memory region",
            Operation::Fill => "fill the shared memory region",
            _ => self.describe(),
        }
    }

    /// Returns the words in front of the path of a file.
    pub(super) fn describe_with_path(self) -> &'static str {
        match self {
            Operation::Save => "save a shared memory region to",
            Operation::Load => "load a shared memory region from",
            Operation::Restore => "restore a shared memory region from",
            _ => self.describe(),
        }
    }
}
