//! The signal handler that turns faults in shared memory into errors: its position, and copies that need no
//! handler.
//!
//! Almost no program needs this module. On Unix, faults in shared memory are caught by a handler for
//! `SIGSEGV` and `SIGBUS`, and a signal has only one handler in a process. A program or a library that
//! installs one *later* replaces this library's: Python's `faulthandler`, the JVM, Go, crash reporters.
//! Therefore each mapping of a view checks that the handler is in place, and by default reinstalls it in
//! front of the newcomer, which still gets every fault that is not this library's, exactly as the kernel
//! would have delivered it. This leaves a gap between the newcomer's installation and the next mapping;
//! [`rearm`] closes it.
//!
//! A program whose handlers must not be touched can use copies by the kernel instead, which return an error
//! where a guarded copy would need the handler: [`set_policy`].
//!
//! ```
//! use mmf::faults;
//!
//! let view = mmf::SharedMemory::anonymous(4096)?.view()?;
//! // … a library is initialised that may install a handler …
//! if !faults::state().is_armed() {
//!     faults::rearm();
//! }
//! assert!(faults::state().is_armed());
//! # view.write(&1_u8, 0)?;
//! # Ok::<(), mmf::Error>(())
//! ```
//!
//! On **Windows** none of this is needed. The guard is part of the copy routines' unwind tables (x86-64,
//! ARM64) or frame (x86), and no other handler can replace it: [`state`] reports [`Position::NotNeeded`].
//! Vectored handlers see an exception first, as they see every exception, and must pass on those that they do
//! not know.

use core::fmt;

use crate::error::{Error, ErrorKind, Operation};
use crate::sys::{self, HandlerPolicy, HandlerPosition};

/// The position of this library's handler among the handlers of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Position {
    /// The handler is in place: the kernel calls it first.
    First,
    /// Another handler is in front and passes on what it does not handle: it is another copy of this library,
    /// or was seen passing a fault on.
    Behind,
    /// Another handler has replaced it. Whether that one passes faults on is unknown until it does.
    Replaced,
    /// The default action has replaced it, which ends the process.
    DefaultAction,
    /// The signal is ignored. For a fault this means that the process ends.
    Ignored,
    /// The handler was never installed: no view has been mapped yet, or the [policy](set_policy) is
    /// [`Policy::NoHandler`].
    NotInstalled,
    /// The system does not report it.
    Unknown,
    /// This system needs no handler (Windows).
    NotNeeded,
}

impl Position {
    fn from_system(position: HandlerPosition) -> Self {
        match position {
            HandlerPosition::First => Position::First,
            HandlerPosition::Behind => Position::Behind,
            HandlerPosition::Replaced => Position::Replaced,
            HandlerPosition::Default => Position::DefaultAction,
            HandlerPosition::Ignored => Position::Ignored,
            HandlerPosition::NotInstalled => Position::NotInstalled,
            HandlerPosition::Unknown => Position::Unknown,
            HandlerPosition::NotNeeded => Position::NotNeeded,
        }
    }

    /// Returns whether faults in shared memory reach this library.
    #[must_use]
    pub fn is_armed(self) -> bool {
        matches!(self, Position::First | Position::Behind | Position::NotNeeded)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Position::First => "in place",
            Position::Behind => "behind a handler that passes faults on",
            Position::Replaced => "replaced by another handler",
            Position::DefaultAction => "replaced by the default action",
            Position::Ignored => "replaced by ignoring the signal",
            Position::NotInstalled => "not installed",
            Position::Unknown => "unknown",
            Position::NotNeeded => "not needed on this system",
        })
    }
}

/// The state of the handler at one moment: returned by [`state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct State {
    segv: Position,
    bus: Position,
    blocked: bool,
}

impl State {
    /// Returns the position for `SIGSEGV`: pages whose protection was changed, or that were unmapped.
    #[must_use]
    pub fn segv(&self) -> Position {
        self.segv
    }

    /// Returns the position for `SIGBUS`: pages that another process has cut off, and failing disks and
    /// memory.
    #[must_use]
    pub fn bus(&self) -> Position {
        self.bus
    }

    /// Returns whether the calling thread blocks one of the two signals. The kernel ends a process that
    /// faults while the signal is blocked, whatever handler is installed. (A blocked signal stays blocked
    /// across `fork` and `exec`, and in new threads.)
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Returns whether a fault in shared memory, on this thread and now, becomes an error.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.segv.is_armed() && self.bus.is_armed() && !self.blocked
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segv == self.bus {
            write!(f, "{}", self.segv)?;
        } else {
            write!(f, "SIGSEGV: {}; SIGBUS: {}", self.segv, self.bus)?;
        }
        f.write_str(if self.blocked { "; this thread blocks the signals" } else { "" })
    }
}

/// What the library does about its handler, for the whole process: see [`set_policy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Install the handler when the first view is mapped, and reinstall it when a view is mapped and it is no
    /// longer in place. If that is not possible, the kernel makes the copies of that view.
    #[default]
    Rearm,
    /// Install the handler when the first view is mapped, and leave it alone if another one replaces it. The
    /// kernel makes the copies of views that are mapped while it is replaced.
    LeaveReplaced,
    /// Install no handler. The kernel makes all copies.
    NoHandler,
}

/// Returns where the handler is, and whether the calling thread blocks its signals. This takes three system
/// calls.
#[must_use]
pub fn state() -> State {
    let state = sys::handler_state();
    State {
        segv: Position::from_system(state.segv),
        bus: Position::from_system(state.bus),
        blocked: state.blocked,
    }
}

/// Installs the handler in front of the current one, unless faults reach it anyway. Returns the state
/// afterwards.
///
/// Existing views are safe again from then on. The handler that was in front still gets every fault that is
/// not this library's, with the arguments, the mask and the stack that it requested. If that handler has
/// remembered this library's as the next in line, no cycle arises: such a fault ends at the action that was
/// in place before this library.
///
/// Any thread may call it, any number of times, but not in a signal handler. It does not unblock signals. It
/// installs the handler under every [policy](set_policy), because policies are about what happens without a
/// call.
pub fn rearm() -> State {
    // If the system refuses, the returned state shows it.
    let _ = sys::install_handler();
    state()
}

/// Sets what the library does about its handler, from the next mapping on. Existing views stay as they are.
///
/// **Copies by the kernel** (`process_vm_readv`, `process_vm_writev`) read and write views without an
/// instruction of this process that accesses them, so a page that is gone is an [`ErrorKind::Fault`] without
/// any handler. They cover all reads, writes, fills and copies of a [`View`](crate::View) and its
/// [`Cursor`](crate::view::Cursor). They are slow: each takes at least one system call, which is more than a
/// microsecond even for a few bytes, and three to fifteen times a guarded copy for a megabyte
/// (`docs/performance.md` has the figures). **They do not cover atomics**, which no system call can perform,
/// and so neither the locks and values of [`sync`](crate::sync), which consist of them. Those stay guarded
/// instructions, and end the process if a page is gone and the handler is not in place.
///
/// On Windows no policy has any effect, because nothing needs a handler.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a policy that needs copies by the kernel where there are none: on macOS, or
/// where a filter of system calls (seccomp) forbids them.
///
/// ```
/// use mmf::faults::{self, Policy};
///
/// # if cfg!(target_os = "linux") {
/// faults::set_policy(Policy::NoHandler)?;
/// let view = mmf::SharedMemory::anonymous(4096)?.view()?;
/// assert!(view.copies_by_kernel());
/// view.write_all_at(b"hello", 100)?;
/// # }
/// # Ok::<(), mmf::Error>(())
/// ```
pub fn set_policy(policy: Policy) -> Result<(), Error> {
    let (wanted, needs_kernel) = match policy {
        Policy::Rearm => (HandlerPolicy::Rearm, false),
        Policy::LeaveReplaced => (HandlerPolicy::LeaveReplaced, cfg!(unix)),
        Policy::NoHandler => (HandlerPolicy::NoHandler, cfg!(unix)),
    };
    if needs_kernel && !sys::kernel_copies() {
        let detail =
            "the kernel makes no copies for this process (process_vm_readv), so the handler is needed";
        return Err(Error::new(Operation::Map, ErrorKind::Unsupported).with_detail(detail));
    }
    sys::set_handler_policy(wanted);
    Ok(())
}

/// Returns the policy that is in force.
#[must_use]
pub fn policy() -> Policy {
    match sys::handler_policy() {
        HandlerPolicy::Rearm => Policy::Rearm,
        HandlerPolicy::LeaveReplaced => Policy::LeaveReplaced,
        HandlerPolicy::NoHandler => Policy::NoHandler,
    }
}
