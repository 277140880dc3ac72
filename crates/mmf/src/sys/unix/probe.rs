//! What can be learnt without changing anything.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::account::{Capability, is_capable};
use crate::sys::{Failure, Limits, Reason};

pub(crate) use super::facts::{
    confinement, fault_sign, holders_of, map_limits, memory_group, pool, promised,
};
pub(crate) use super::name_probe::{grants_to_users, names_are_replaceable, probe_name, space};

/// What limits this process now.
pub(crate) fn limits() -> Limits {
    Limits { file_size: getrlimit(Resource::Fsize).current }
}

/// How much a process may keep in RAM.
pub(crate) fn locked_limit() -> Option<u64> {
    if is_capable(Capability::LockMemory) { None } else { getrlimit(Resource::Memlock).current }
}

/// The limit that a failure is about.
pub(crate) fn limit_reached(failure: Failure) -> Option<(&'static str, u64)> {
    let code = failure.code?;
    if code == Errno::MFILE.raw_os_error() {
        return Some(("RLIMIT_NOFILE", getrlimit(Resource::Nofile).current?));
    }
    if code == Errno::NFILE.raw_os_error() {
        return Some(("fs.file-max", super::facts::open_files()?.1));
    }
    let name = if code == Errno::FBIG.raw_os_error() { "RLIMIT_FSIZE" } else { "RLIMIT_MEMLOCK" };
    Some((name, failure.figure?))
}

/// Refuses what is longer than the longest file that this process may have. The system would not only refuse it, but end
/// the process by a signal (`SIGXFSZ`).
pub(super) fn check_file_size(len: u64) -> Result<(), Failure> {
    // Hardly any process has such a limit. One that gets it only after it has made its first memory is not protected from the
    // signal: asking every time would cost every creation a system call.
    static UNLIMITED: AtomicBool = AtomicBool::new(false);
    if UNLIMITED.load(Ordering::Relaxed) {
        return Ok(());
    }
    match getrlimit(Resource::Fsize).current {
        None => {
            UNLIMITED.store(true, Ordering::Relaxed);
            Ok(())
        }
        Some(most) if len > most => {
            let failure = Failure::new(Reason::Limit).with_figure(most);
            Err(Failure { code: Some(Errno::FBIG.raw_os_error()), ..failure })
        }
        Some(_) => Ok(()),
    }
}

/// Why pages could not be kept in RAM, if that was a limit.
pub(super) fn locking_failed(errno: Errno, len: usize) -> Failure {
    match (errno, locked_limit()) {
        (Errno::NOMEM | Errno::AGAIN | Errno::PERM, Some(most)) if len as u64 > most => {
            Failure { reason: Reason::Limit, ..Failure::from(errno) }.with_figure(most)
        }
        // Several locks add up to the limit, or a peer has cut pages off.
        (Errno::NOMEM | Errno::AGAIN, _) => Failure { reason: Reason::NoMemory, ..errno.into() },
        _ => errno.into(),
    }
}

/// Names that only members of a boundary can make are Windows' own.
pub(crate) fn has_private_namespaces() -> bool {
    false
}

/// What lengths are rounded up to (nothing, here), and the size of a page.
pub(crate) fn rounded(len: u64) -> u64 {
    len
}

/// The size of a page; what offsets of views are rounded to inside; what large pages have, if there are any for sections.
pub(crate) fn page_sizes() -> (u64, u64, Option<u64>) {
    let page = rustix::param::page_size() as u64;
    (page, page, None)
}
