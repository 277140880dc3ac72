//! The signal handler that turns faults in shared memory into errors: its position in the process, and copies that need
//! no handler.
//!
//! Almost no program needs this module. On Unix, faults in shared memory are caught by a handler for `SIGSEGV` and
//! `SIGBUS`, and a signal has only one handler in a process. A program or a library that installs one *later* replaces
//! this library's: Python's `faulthandler`, the JVM, Go, crash reporters. Therefore each mapping of a view checks that the
//! handler is in place, and by default reinstalls it in front of the newcomer, which still gets every fault that is not
//! this library's, exactly as the kernel would have delivered it. What is left is the time between the newcomer's
//! installation and the next mapping; [`rearm`] ends it.
//!
//! A program that must not have its handlers touched can use copies by the kernel instead, which return an error where a
//! guarded copy would need the handler: [`set_policy`].
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
//! On **Windows** all this is unnecessary. The guard is part of the copy routines' unwind tables (x86-64, ARM64) or frame
//! (x86), and no other handler can replace it: [`state`] says [`Position::NotNeeded`]. Vectored handlers see an exception
//! first, as they see every one, and must let pass what they do not know.

use core::fmt;

use crate::error::{Error, ErrorKind, Operation};
use crate::sys::{self, HandlerPolicy, HandlerPosition};

/// Where the handler of this library is among the handlers for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Position {
    /// It is in place: the kernel calls it first.
    First,
    /// Another handler is in front of it and passes on what it does not handle: it is another copy of this library, or it
    /// was seen passing a fault on.
    Behind,
    /// Another handler has replaced it. Whether that passes faults on cannot be known before it does.
    Replaced,
    /// The default action, which ends the process, has replaced it.
    DefaultAction,
    /// The signal is ignored, which for a fault means that the process ends.
    Ignored,
    /// It was never installed: no view has been mapped yet, or the [policy](set_policy) is [`Policy::NoHandler`].
    NotInstalled,
    /// The system does not say.
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

    /// Whether faults in shared memory reach this library.
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

/// The state of the handler at one moment: see [`state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct State {
    segv: Position,
    bus: Position,
    blocked: bool,
}

impl State {
    /// For `SIGSEGV`: pages whose protection was changed, or that were unmapped.
    #[must_use]
    pub fn segv(&self) -> Position {
        self.segv
    }

    /// For `SIGBUS`: pages that a peer has cut off, and failing disks and memory.
    #[must_use]
    pub fn bus(&self) -> Position {
        self.bus
    }

    /// Whether the calling thread blocks one of the two signals. The kernel ends a process that faults while the signal is
    /// blocked, whatever handler there is. (A blocked signal stays blocked across `fork`, `exec` and in new threads.)
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether a fault in shared memory, on this thread and now, becomes an error.
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
    /// Install the handler when the first view is mapped, and reinstall it when a view is mapped and it is no longer in
    /// place. If that is not possible, views are mapped for copies by the kernel.
    #[default]
    Rearm,
    /// Install the handler when the first view is mapped, and leave it alone if another one replaces it. Views that are
    /// mapped while it is replaced copy by the kernel.
    LeaveReplaced,
    /// Install no handler. Views copy by the kernel.
    NoHandler,
}

/// Asks where the handler is, and whether the calling thread blocks its signals. It costs three system calls.
#[must_use]
pub fn state() -> State {
    let state = sys::handler_state();
    State {
        segv: Position::from_system(state.segv),
        bus: Position::from_system(state.bus),
        blocked: state.blocked,
    }
}

/// Installs the handler in front of whatever is there, unless faults reach it anyway; returns the state afterwards.
///
/// Existing views are safe again from then on. Whoever was in front still gets every fault that is not this library's, with the
/// arguments, the mask and the stack it asked for. If that is a handler that has remembered this library's as the next in
/// line, nothing goes round: such a fault ends at the action that was there before this library.
///
/// It may be called any number of times and by any thread, but not in a signal handler. It does not unblock signals. It
/// installs the handler under every [policy](set_policy): those are about what happens without being asked.
pub fn rearm() -> State {
    // If the system refuses, the state says so.
    let _ = sys::install_handler();
    state()
}

/// Sets what the library does about its handler, from the next mapping on. Existing views stay as they are.
///
/// **Copies by the kernel** (`process_vm_readv`, `process_vm_writev`) read and write views without touching them by an
/// instruction of this process, so a page that is gone is an [`ErrorKind::Fault`] with no handler involved. Covered are all
/// reads, writes, fills and copies of a [`View`](crate::View) and its [`Cursor`](crate::view::Cursor). They are slow: a system call
/// at least, which is more than a microsecond even for a few bytes, and three to fifteen times a guarded copy for a
/// megabyte (`docs/performance.md` has the figures). **Not covered are atomics**, which no system call can make, and so neither are the locks and values of
/// [`sync`](crate::sync), which consist of them: they stay guarded instructions, and end the process if a page is gone and the
/// handler is not in place.
///
/// On Windows nothing needs a handler, so every policy is kept by doing nothing.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a policy that needs copies by the kernel where there are none: on macOS, or where a filter of
/// system calls (seccomp) forbids them.
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
        let detail = "the kernel does not copy for this process (process_vm_readv): the handler is needed";
        return Err(Error::new(Operation::Map, ErrorKind::Unsupported).with_detail(detail));
    }
    sys::set_handler_policy(wanted);
    Ok(())
}

/// The policy that is in force.
#[must_use]
pub fn policy() -> Policy {
    match sys::handler_policy() {
        HandlerPolicy::Rearm => Policy::Rearm,
        HandlerPolicy::LeaveReplaced => Policy::LeaveReplaced,
        HandlerPolicy::NoHandler => Policy::NoHandler,
    }
}
