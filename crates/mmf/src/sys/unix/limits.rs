//! The limits of this process, and the failures that they cause.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::account::{Capability, is_capable};
use crate::sys::{Failure, Limits, Reason};

/// Returns the limits of this process.
pub(crate) fn limits() -> Limits {
    Limits { file_size: getrlimit(Resource::Fsize).current }
}

/// Returns how many bytes this process may lock in RAM.
pub(crate) fn locked_limit() -> Option<u64> {
    if is_capable(Capability::LockMemory) { None } else { getrlimit(Resource::Memlock).current }
}

/// Returns the name and the value of the limit that a failure is about.
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

/// Refuses lengths that exceed the maximum file size of this process. The kernel would not only refuse them,
/// but also kill the process by `SIGXFSZ`.
pub(super) fn check_file_size(len: u64) -> Result<(), Failure> {
    // Hardly any process has such a limit. A process that gets one after it has created its first object is
    // not protected from the signal: querying each time would add a system call to every creation.
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

/// Translates a failure to lock pages in RAM.
pub(super) fn locking_failed(errno: Errno, len: usize) -> Failure {
    match (errno, locked_limit()) {
        (Errno::NOMEM | Errno::AGAIN | Errno::PERM, Some(most)) if len as u64 > most => {
            Failure { reason: Reason::Limit, ..Failure::from(errno) }.with_figure(most)
        }
        // The sum of several locks has reached the limit, or a peer has truncated the object.
        (Errno::NOMEM | Errno::AGAIN, _) => Failure { reason: Reason::NoMemory, ..errno.into() },
        _ => errno.into(),
    }
}
