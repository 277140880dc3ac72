//! Making an object longer, and how far it may become so.
//!
//! A tmpfs file has a length, and nothing that says how long it is meant to become. But whoever opens it has to know, for a
//! view reserves addresses for all of it. So every holder has a lock on as many bytes as the capacity counts, far behind where
//! any byte can be: who comes asks the kernel which lock would be in the way, and takes a lock like it. Such locks ("open file
//! description locks") belong to the descriptor, go with it, and several can be held for reading side by side. Nothing is
//! written anywhere, and whoever does not know of it is not disturbed.
//!
//! A peer can take a lock that says something else. That is no more than a wrong number: it is held against the length, and an
//! address space that cannot have it says so.

use std::os::fd::BorrowedFd;

use rustix::fs::fstat;
use rustix::io::Errno;

use super::sight::check_file_size;
use crate::sys::{Failure, Reason};

/// The longest that anything may become.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::MOST;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use others::MOST;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux::alone;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::{record, recorded};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use others::alone;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use others::{record, recorded};

/// The length of an object, now.
pub(super) fn len(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    Ok(u64::try_from(fstat(fd)?.st_size).unwrap_or(0))
}

/// Makes an object at least `len` bytes long, in one step: others may do the same meanwhile, and it never becomes shorter.
/// What is added is zero, and the system has the room for it.
pub(super) fn grow(fd: BorrowedFd<'_>, to: u64) -> Result<(), Failure> {
    check_file_size(to)?;
    let from = len(fd)?;
    if to <= from {
        return Ok(());
    }
    // Asked first: otherwise the system would take page after page, all that there are, before it finds out.
    if let Some(left) = left(fd)? {
        if to - from > left {
            return Err(Failure::new(Reason::NoMemory).with_figure(left));
        }
    }
    match allocate(fd, from, to) {
        Ok(()) => Ok(()),
        Err(errno @ (Errno::NOSPC | Errno::DQUOT)) => {
            let failure = Failure::from(errno);
            Err(left(fd)?.map_or(failure, |left| failure.with_figure(left)))
        }
        // Sealed against it, or an immutable file.
        Err(errno @ Errno::PERM) => Err(Failure { reason: Reason::Denied, ..errno.into() }),
        Err(errno @ Errno::INVAL) => Err(Failure { reason: Reason::TooLarge, ..errno.into() }),
        Err(errno) => Err(errno.into()),
    }
}

/// What its file system has left, if it has a limit.
fn left(fd: BorrowedFd<'_>) -> Result<Option<u64>, Errno> {
    let system = rustix::fs::fstatvfs(fd)?;
    Ok((system.f_blocks > 0).then(|| system.f_bavail.saturating_mul(system.f_frsize)))
}

fn allocate(fd: BorrowedFd<'_>, from: u64, to: u64) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    loop {
        match rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), from, to - from) {
            // It undoes what it has done so far.
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
            result => return result,
        }
    }
    // Not in one step, so nobody else may do it meanwhile. (Who uses other means than this library may cut off what another
    // one has added in just this moment.)
    let _ = from;
    alone(fd, || len(fd).and_then(|now| if now < to { rustix::fs::ftruncate(fd, to) } else { Ok(()) }))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::os::fd::{AsRawFd, BorrowedFd};

    use rustix::io::Errno;

    /// Where the locks start, beyond every length that this library makes.
    const START: i64 = 1 << 62;
    /// So that the end of a lock is still a position.
    pub(in crate::sys) const MOST: u64 = (1 << 62) - 1;

    fn lock_of(kind: libc::c_int, len: i64) -> libc::flock {
        #[allow(clippy::cast_possible_truncation, reason = "small numbers, kept in a shorter field")]
        let (kind, whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
        libc::flock { l_type: kind, l_whence: whence, l_start: START, l_len: len, l_pid: 0 }
    }

    /// `fcntl` with a lock.
    fn control(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> Result<(), Errno> {
        // SAFETY: the descriptor is open, and these commands read and write one such structure.
        let result = unsafe { libc::fcntl(fd.as_raw_fd(), command, std::ptr::from_mut(lock)) };
        if result == 0 {
            return Ok(());
        }
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }

    /// Calls `call` while nobody else who asks so is in the middle of the same.
    pub(super) fn alone(fd: BorrowedFd<'_>, call: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut lock = libc::flock { l_start: START - 1, ..lock_of(libc::F_WRLCK, 1) };
        while let Err(errno) = control(fd, libc::F_OFD_SETLKW, &mut lock) {
            if errno != Errno::INTR {
                return Err(errno);
            }
        }
        let result = call();
        let mut lock = libc::flock { l_start: START - 1, ..lock_of(libc::F_UNLCK, 1) };
        let _ = control(fd, libc::F_OFD_SETLK, &mut lock);
        result
    }

    /// Lets others know how long the object may become.
    pub(in crate::sys) fn record(fd: BorrowedFd<'_>, capacity: u64) -> Result<(), Errno> {
        let len = i64::try_from(capacity).map_err(|_| Errno::FBIG)?;
        control(fd, libc::F_OFD_SETLK, &mut lock_of(libc::F_RDLCK, len))
    }

    /// What others, or somebody who has the same descriptor, say how long the object may become.
    pub(in crate::sys) fn recorded(fd: BorrowedFd<'_>, is_new: bool) -> Option<u64> {
        let ask = |kind| {
            // No length means: up to the end of all positions.
            let mut lock = lock_of(kind, 0);
            control(fd, libc::F_OFD_GETLK, &mut lock)?;
            let found = libc::c_int::from(lock.l_type) != libc::F_UNLCK && lock.l_start == START;
            Ok::<_, Errno>(if found { u64::try_from(lock.l_len).ok().filter(|len| *len > 0) } else { None })
        };
        let others = ask(libc::F_WRLCK).ok()?;
        if is_new || others.is_some() {
            return others;
        }
        // The lock of this very descriptor is in nobody's way. Newer kernels tell it when asked like this (Linux 6.6); else it
        // shows through another descriptor.
        match ask(libc::F_UNLCK) {
            Ok(own) => own,
            Err(_) => {
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
                let other = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?;
                recorded(std::os::fd::AsFd::as_fd(&other), true)
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod others {
    use std::os::fd::BorrowedFd;

    use rustix::io::Errno;

    pub(in crate::sys) const MOST: u64 = i64::MAX as u64;

    pub(super) fn alone(fd: BorrowedFd<'_>, call: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        rustix::fs::flock(fd, rustix::fs::FlockOperation::LockExclusive)?;
        let result = call();
        let _ = rustix::fs::flock(fd, rustix::fs::FlockOperation::Unlock);
        result
    }

    /// Shared memory objects of these systems get their length once.
    pub(in crate::sys) fn record(_fd: BorrowedFd<'_>, _capacity: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    pub(in crate::sys) fn recorded(_fd: BorrowedFd<'_>, _is_new: bool) -> Option<u64> {
        None
    }
}
