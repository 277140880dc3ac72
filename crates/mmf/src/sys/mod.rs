//! The one door to the system. Nothing outside this room calls it.
//!
//! Each system has the same files with the same contents by name:
//!
//! | file | what it offers |
//! | --- | --- |
//! | `name` | [`ObjectName`]: a checked name in the system's own spelling |
//! | `memory` | [`Object`]: a right to a shared memory; [`Mapping`]: an address range in which it is mapped |
//! | `list` | [`list`]: the named memories of the machine |
//! | `fault` | the handler that makes errors out of faults in the [`guard`]ed routines |
//!
//! The contract: a call does one thing once and says how it ended, as a [`Failure`] with the system's own code. Policies
//! (how often to try, what to tell the user) are made above. An `Object` or a `Mapping` gives back what it holds when it
//! is dropped, exactly once.

pub(crate) mod guard;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;

#[cfg(windows)]
pub(in crate::sys) use system::fault;
pub(crate) use system::list::list;
pub(crate) use system::memory::{Mapping, Object};
pub(crate) use system::name::ObjectName;

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

/// A named memory that [`list`] has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) global: bool,
    /// The text of the name, without a namespace.
    pub(crate) text: String,
    /// No living process holds it; the next one who asks for it removes it (Unix).
    pub(crate) stale: bool,
}
