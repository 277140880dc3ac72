//! Unix: POSIX shared memory objects with the guarantees of Windows sections.
//!
//! A POSIX object keeps its name and its pages until a process unlinks it, even when all its users have
//! ended. On Linux the kernel counts the holders by file locks, see `named_linux.rs`. The library creates no
//! file beside the object.

pub(crate) mod account;
pub(super) mod caller;
mod chain;
mod context;
pub(crate) mod disk;
mod exit;
mod facts;
pub(crate) mod fault;
mod forks;
mod growth;
#[cfg(target_os = "linux")]
pub(crate) mod holders;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod kernel;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "../no_kernel.rs"]
pub(crate) mod kernel;
mod limits;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "links_linux.rs"]
mod links;
pub(super) mod list;
pub(crate) mod liveness;
pub(super) mod mapping;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "marks_linux.rs"]
mod marks;
pub(super) mod memory;
pub(super) mod name;
mod object_id;
pub(super) mod pages;
pub(super) mod probe;
pub(crate) mod process;
pub(super) mod security;
pub(crate) mod socket;
pub(crate) mod wait;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "probe_linux.rs"]
mod name_probe;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "probe_posix.rs"]
mod name_probe;
/// Creating, opening and releasing named objects.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "named_linux.rs"]
mod named;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "named_posix.rs"]
mod named;

use rustix::io::Errno;

use crate::sys::{Failure, Reason};

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        let reason = match errno {
            Errno::NOENT => Reason::Missing,
            Errno::EXIST => Reason::Exists,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Reason::Denied,
            // The name is a link, a directory, a socket or a device.
            Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV => Reason::WrongKind,
            Errno::NOMEM | Errno::NOSPC | Errno::DQUOT => Reason::NoMemory,
            Errno::NOLCK => Reason::NoLocks,
            Errno::MFILE | Errno::NFILE => Reason::Limit,
            Errno::FBIG | Errno::OVERFLOW => Reason::TooLarge,
            Errno::NOSYS | Errno::OPNOTSUPP => Reason::Unsupported,
            _ => Reason::Other,
        };
        Failure { reason, code: Some(errno.raw_os_error()), figure: None }
    }
}

pub(super) fn failure_from_code(code: i32) -> Failure {
    Errno::from_raw_os_error(code).into()
}
