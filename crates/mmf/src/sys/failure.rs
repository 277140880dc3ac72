//! How calls to the system fail.

use super::system;

/// The reason why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The name does not exist.
    Missing,
    /// The name already exists.
    Exists,
    /// The system refuses the access.
    Denied,
    /// The object is readable, but not writable.
    ReadOnly,
    /// The object of this name or handle is not a shared memory region.
    WrongKind,
    /// The system is out of memory, or refuses to commit more.
    NoMemory,
    /// The size exceeds the limit of the system or of an address space.
    TooLarge,
    /// The system does not accept the name.
    BadName,
    /// The object exists, but has no length yet: its creator has not finished (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NotReady,
    /// The system does not support this.
    Unsupported,
    /// This user may not assign such an owner, group or label (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    BadSecurity,
    /// A limit of the process has been reached. `figure` is its value, where that is known.
    Limit,
    /// Another user has created a name that is reserved for this user (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    Stranger,
    /// The region has several names, `figure` in all, any of which another user may have added (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Linked,
    /// No large pages are available, or only `figure` bytes of them.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoLargePages,
    /// A region in large pages cannot grow.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    FixedPages,
    /// The privilege that large pages require is missing (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    NoPrivilege,
    /// The machine has no such NUMA node.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoSuchNode,
    /// The disk or this user's quota is full.
    NoRoom,
    /// Another process has the file open without sharing it.
    InUse,
    /// The file system has no locks, or the kernel has run out of them (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NoLocks,
    /// Any other failure, which only the code identifies.
    Other,
}

/// How a call failed: the reason and, where there is one, the system's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) code: Option<i32>,
    /// A number that belongs to the reason, such as the bytes that exist or are left.
    pub(crate) figure: Option<u64>,
}

impl Failure {
    pub(crate) const fn new(reason: Reason) -> Self {
        Failure { reason, code: None, figure: None }
    }

    /// Translates the system's own code.
    pub(crate) fn from_code(code: i32) -> Self {
        system::failure_from_code(code)
    }

    pub(crate) const fn with_figure(self, figure: u64) -> Self {
        Failure { figure: Some(figure), ..self }
    }
}

/// The outcome of one attempt that can race with other processes.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Done(T),
    /// Another process interfered; the caller can retry at once.
    Again,
}
