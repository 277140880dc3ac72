//! How calls to the system fail.

use super::system;

/// Why a call did not do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is nothing of this name.
    Missing,
    /// There is something of this name already.
    Exists,
    /// The system refuses the access.
    Denied,
    /// It may be read, but not written.
    ReadOnly,
    /// What has this name, or this handle, is not a shared memory.
    WrongKind,
    /// The system has not enough memory, or does not commit to it.
    NoMemory,
    /// The size is more than the system, or an address space, can hold.
    TooLarge,
    /// The system does not accept the name.
    BadName,
    /// It exists, but has no length: who makes it is not done (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NotReady,
    /// The system does not offer this.
    Unsupported,
    /// This user may not give an object such an owner, group or label (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    BadSecurity,
    /// A limit of the process: `figure` says which value it has, where it is known.
    Limit,
    /// Somebody else has taken a name that should be this user's (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    Stranger,
    /// The region has other names besides the one it was asked for by, `figure` in all (Linux): any of them may have been
    /// added by another user.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Linked,
    /// There are no large pages to be had, or so many bytes of them only.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoLargePages,
    /// Memory in large pages cannot grow.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    FixedPages,
    /// A privilege is missing that large pages take (Windows).
    #[cfg_attr(unix, allow(dead_code))]
    NoPrivilege,
    /// The machine has no such node.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    NoSuchNode,
    /// The disk is full, or this user's share of it.
    NoRoom,
    /// Somebody else has the file open in a way that keeps others out.
    InUse,
    /// The system has no file locks, or no more of them (Unix).
    #[cfg_attr(windows, allow(dead_code))]
    NoLocks,
    /// Anything else: the code has to speak for itself.
    Other,
}

/// How a call failed: the reason, and the system's own code where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) code: Option<i32>,
    /// What the reason is about, where a number says more: bytes that exist, or that are left.
    pub(crate) figure: Option<u64>,
}

impl Failure {
    pub(crate) const fn new(reason: Reason) -> Self {
        Failure { reason, code: None, figure: None }
    }

    /// Of the system's own code.
    pub(crate) fn from_code(code: i32) -> Self {
        system::failure_from_code(code)
    }

    pub(crate) const fn with_figure(self, figure: u64) -> Self {
        Failure { figure: Some(figure), ..self }
    }
}

/// What an attempt led to, where somebody else may come in between.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Done(T),
    /// Somebody came in between; it can be tried again at once.
    Again,
}
