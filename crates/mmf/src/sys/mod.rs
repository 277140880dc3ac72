//! The one door to the system. Nothing outside this room calls it.
//!
//! Each system has the same files with the same contents by name:
//!
//! | file | what it offers |
//! | --- | --- |
//! | `name` | [`ObjectName`]: a checked name in the system's own spelling |
//! | `memory` | [`Object`]: a right to a shared memory; [`Mapping`]: an address range in which it is mapped |
//! | `list` | [`list`]: the named memories of the machine |
//! | `security` | [`Protection`]: what an object is made with; [`RawSecurity`]: what it says |
//! | `account` | users and groups by name and number; on Windows also what the token says |
//! | `process` | other processes: what they are given, and how they are told from each other |
//! | `presence` | places that the system holds for a process while it lives; whether a process lives |
//! | `socket` | descriptors over sockets (Unix) |
//! | `wait` | sleeping on words of shared memory, and waking |
//! | `holders` | which processes hold an object (Linux) |
//! | `sight` | [`sight`], [`space`], [`limits`]: what can be learnt without changing anything |
//! | `disk` | files that memory is saved into and loaded from |
//! | `fault` | the handler that makes errors out of faults in the [`guard`]ed routines; on Unix `chain`: its position among others |
//! | `kernel` | copies that need no handler, where the system has them |
//!
//! The contract: a call does one thing once and says how it ended, as a [`Failure`] with the system's own code. Policies
//! (how often to try, what to tell the user) are made above. An `Object` or a `Mapping` gives back what it holds when it
//! is dropped, exactly once.

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
pub(crate) use system::{descriptor, namespace, privilege};

/// How the bytes of a mapping are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    /// By the routines of [`guard`].
    Guarded,
    /// By the routines of [`kernel`].
    #[cfg_attr(windows, allow(dead_code))]
    ByKernel,
}

/// Why a copy by the kernel stopped.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) enum Stopped {
    /// A page of the shared side cannot be accessed.
    Fault(guard::Caught),
    /// The system refuses to copy, for example by a filter of system calls.
    Refused(Failure),
}

/// What a right to a memory allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
    /// To read, and to write to a copy of this process's own.
    Copy,
}

impl Mode {
    /// Whether what is written reaches the memory.
    pub(crate) fn is_writable(self) -> bool {
        self == Mode::Write
    }
}

/// What a new memory is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateParams<'a> {
    pub(crate) len: u64,
    /// How far it can grow; not at all without one. Not less than `len`.
    pub(crate) capacity: Option<u64>,
    pub(crate) protection: &'a Protection,
    pub(crate) large_pages: bool,
    /// The node whose RAM is preferred.
    pub(crate) node: Option<u32>,
}

/// What the pages of a memory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Ordinary,
    /// All of them have this size.
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))]
    Large(u64),
    /// The system makes some of them this large where it can (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Advised(u64),
}

/// How claiming a slot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Held,
    /// Another process has it.
    Taken,
    /// Something is in the way that does not count as a claim: a lock of a process that may only read (Linux).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Obstructed,
    /// The kernel cannot hold it here.
    Impossible,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody has woken it, something that was waited for has ended, or for no reason.
    Early,
    /// The word was another one.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Changed,
    TimedOut,
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
