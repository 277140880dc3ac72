//! The only module that calls the system.
//!
//! Files of the same name have the same purpose on each system:
//!
//! | file | contents |
//! | --- | --- |
//! | `name` | [`ObjectName`]: a checked name in the system's own spelling |
//! | `memory` | [`Object`]: a handle or descriptor of a region |
//! | `mapping` | [`Mapping`]: an address range in which a region is mapped |
//! | `list` | [`list`]: the named regions of the machine |
//! | `security` | [`Protection`]: the access rights of a new object; [`RawSecurity`]: those of an existing one |
//! | `account` | users and groups by name and number; on Windows also the contents of the token |
//! | `process` | other processes: passing handles to them, and their identity |
//! | `liveness` | slots that the kernel holds for a process while it lives; whether a process is alive |
//! | `socket` | descriptors over sockets (Unix) |
//! | `wait` | blocking on words of shared memory, and waking |
//! | `holders` | the processes that hold an object (Linux) |
//! | `probe` | [`probe_name`], [`space`], [`limits`]: queries that change nothing |
//! | `disk` | files that snapshots are saved to and loaded from |
//! | `fault` | the handler that turns faults in the [`guard`]ed routines into errors |
//! | `chain` | the position of that handler among the others (Unix) |
//! | `kernel` | copies that need no handler, where the system has them |
//!
//! The contract: a call does one thing once and reports a [`Failure`] with the system's own code. The modules
//! above decide how often to retry and what to report to the user. An `Object` or a `Mapping` releases what
//! it holds exactly once, when it is dropped.

pub(crate) mod guard;

mod facts;
mod failure;
mod handler;
mod identity;
mod mapping;
#[cfg(not(target_os = "linux"))]
mod no_holders;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
pub(crate) use no_holders::{exclusive_holder, holders, holders_among};
#[cfg(target_os = "linux")]
pub(crate) use system::holders::{exclusive_holder, holders, holders_among};

pub(crate) use facts::*;
pub(crate) use failure::{Attempt, Failure, Reason};
pub(crate) use handler::{HandlerPolicy, HandlerPosition, HandlerState, handler_policy, set_handler_policy};
pub(crate) use identity::{Process, ProcessIdentity};
pub(crate) use mapping::Mapping;
pub(crate) use system::account;
pub(crate) use system::caller::{caller_session, caller_token, user_numbers};
pub(crate) use system::disk;
#[cfg(windows)]
pub(in crate::sys) use system::fault;
pub(crate) use system::fault::{install as install_handler, kernel_copies, state as handler_state};
pub(crate) use system::kernel;
pub(crate) use system::list::{list, names};
pub(crate) use system::liveness;
pub(crate) use system::memory::{Object, check_large_pages};
pub(crate) use system::name::ObjectName;
pub(crate) use system::probe::{
    confinement, fault_sign, grants_to_users, has_private_namespaces, holders_of, limit_reached, limits,
    locked_limit, map_limits, memory_group, names_are_replaceable, page_sizes, pool, probe_name, promised,
    rounded, space,
};
pub(crate) use system::process;
pub(crate) use system::security::Protection;
#[cfg(unix)]
pub(crate) use system::socket;
pub(crate) use system::wait;
#[cfg(windows)]
pub(crate) use system::{descriptor, namespace};

/// How the bytes of a mapping are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    /// By the routines of [`guard`].
    Guarded,
    /// By the routines of [`kernel`].
    #[cfg_attr(windows, allow(dead_code))]
    ByKernel,
}

/// Why a copy by the kernel stopped early.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) enum Stopped {
    /// A page of the shared side cannot be accessed.
    Fault(guard::Caught),
    /// The system refuses to copy, for example because of a system call filter.
    Refused(Failure),
}

/// The access that a handle or a descriptor grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
    /// Reading, and writing to a private copy.
    Copy,
}

impl Mode {
    /// Whether writes reach the region.
    pub(crate) fn is_writable(self) -> bool {
        self == Mode::Write
    }
}

/// The parameters of a new object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateParams<'a> {
    pub(crate) len: u64,
    /// The length that it can grow to, not less than `len`. An object without one cannot grow.
    pub(crate) capacity: Option<u64>,
    pub(crate) protection: &'a Protection,
    pub(crate) large_pages: bool,
    /// The preferred NUMA node.
    pub(crate) node: Option<u32>,
}

/// The page size that a region uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Ordinary,
    /// All pages have this size.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    Large(u64),
    /// The system uses pages of this size where it can (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Advised(u64),
}

/// The outcome of claiming a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Held,
    /// Another process holds the slot.
    Taken,
    /// A lock that is no claim, taken by a process with read access only, obstructs the slot (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Obstructed,
    /// The kernel cannot hold slots for this region.
    Impossible,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A wake-up, the end of a watched process, or a spurious one.
    Early,
    /// The word had another value.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Changed,
    TimedOut,
}

/// A named region that [`list`] has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) global: bool,
    /// The text of the name, without a namespace.
    pub(crate) text: String,
    /// No living process holds the region; the next open or create of the name removes it (Unix).
    pub(crate) stale: bool,
}
