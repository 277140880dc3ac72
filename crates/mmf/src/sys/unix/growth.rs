//! Growing objects, and their capacity.
//!
//! A tmpfs file has a length, but no attribute for the length that it may reach. Yet a process that opens it
//! has to know, since a view reserves addresses for all of it. So every holder with write access has a lock
//! whose length is the capacity, far beyond the last possible byte. A process that opens the region asks the
//! kernel for a conflicting lock, and acquires an equal one. Such locks ("open file description
//! locks") belong to the open file description and end with it. Nothing is written anywhere, and programs
//! that do not know of the locks are not affected.
//!
//! **Only write locks count**, which require write access. If read locks counted, a process with read access
//! only could report a capacity to all others, and could keep the true one from being recorded. Since write
//! locks exclude each other, each holder has a range of its own, a *slot*. A read lock can obstruct a later
//! record; then that holder continues without one.
//!
//! A peer with write access can record another number. This is harmless: the number is checked against the
//! length, and a view that cannot reserve that many addresses reserves fewer.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::fs::fstat;
use rustix::io::Errno;

use super::limits::check_file_size;
use crate::sys::{Failure, Reason};

/// The maximum length of an object.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::MOST;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use others::MOST;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux::lock_alone;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::{record, recorded};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use others::lock_alone;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use others::{record, recorded};

/// Returns the present length of an object.
pub(super) fn len(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    Ok(u64::try_from(fstat(fd)?.st_size).unwrap_or(0))
}

/// Extends an object to at least `to` bytes in one step: concurrent calls never shorten it. The added bytes
/// are zero, and the system has allocated them.
pub(super) fn grow(fd: BorrowedFd<'_>, to: u64) -> Result<(), Failure> {
    check_file_size(to)?;
    let from = len(fd)?;
    if to <= from {
        return Ok(());
    }
    // Checked first: otherwise the system would allocate all the pages that it has before it fails.
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
        // The object is sealed, or the file is immutable.
        Err(errno @ Errno::PERM) => Err(Failure { reason: Reason::Denied, ..errno.into() }),
        Err(errno @ Errno::INVAL) => Err(Failure { reason: Reason::TooLarge, ..errno.into() }),
        // Another process has a conflicting lock.
        Err(errno @ Errno::BUSY) => Err(Failure { reason: Reason::InUse, ..errno.into() }),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the free bytes of the object's file system, if it has a limit.
fn left(fd: BorrowedFd<'_>) -> Result<Option<u64>, Errno> {
    let system = rustix::fs::fstatvfs(fd)?;
    Ok((system.f_blocks > 0).then(|| system.f_bavail.saturating_mul(system.f_frsize)))
}

fn allocate(fd: BorrowedFd<'_>, from: u64, to: u64) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    loop {
        match rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), from, to - from) {
            // The kernel has undone the allocation so far.
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
            result => return result,
        }
    }
    // The file system lacks `fallocate`, which those of regions have. This takes two steps, so other
    // processes are excluded meanwhile. If a program that does not use this library extends the file at the
    // same moment, its addition may be truncated.
    let _ = from;
    alone(fd, MAX_WAIT, || {
        len(fd).and_then(|now| if now < to { rustix::fs::ftruncate(fd, to) } else { Ok(()) })
    })
}

/// How long a call waits for another process that extends the file, which takes a few system calls. A process
/// with read access only can obstruct it, too, for as long as it likes.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Calls `call` while no other process is in such a call. Fails if another one does not end within `limit`.
fn alone(fd: BorrowedFd<'_>, limit: Duration, call: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let start = Instant::now();
    while !lock_alone(fd, true)? {
        if start.elapsed() > limit {
            return Err(Errno::BUSY);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let result = call();
    let _ = lock_alone(fd, false);
    result
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::io::Errno;

    /// The start of the slots, beyond every length that this library creates.
    pub(super) const START: i64 = 1 << 62;
    /// The length of a slot.
    pub(super) const SLOT: i64 = 1 << 50;
    /// One slot less than would fit: the kernel reports a lock that ends at the last offset as unlimited.
    pub(super) const SLOTS: u32 = (1 << 12) - 1;
    /// The limit of capacities, so that they fit into a slot: eight times an address space of 47 bits.
    pub(in crate::sys) const MOST: u64 = 1 << 50;
    /// The number of slots that are tried. With 100 holders, the first one is free in 39 of 40 cases.
    const TRIES: u32 = 8;

    fn lock_of(kind: libc::c_int, start: i64, len: i64) -> libc::flock {
        #[allow(clippy::cast_possible_truncation, reason = "small numbers, kept in a shorter field")]
        let (kind, whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
        libc::flock { l_type: kind, l_whence: whence, l_start: start, l_len: len, l_pid: 0 }
    }

    /// Returns a slot that concurrent callers are unlikely to choose.
    fn slot() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        std::process::id().wrapping_mul(0x9e37_79b1).wrapping_add(number.wrapping_mul(0x85eb_ca6b)) >> 20
    }

    /// Calls `fcntl` with a lock.
    fn control(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> Result<(), Errno> {
        // SAFETY: the descriptor is open, and `lock` is a valid `flock` to read and write, as these commands
        // require.
        let result = unsafe { libc::fcntl(fd.as_raw_fd(), command, std::ptr::from_mut(lock)) };
        if result == 0 {
            return Ok(());
        }
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }

    /// Acquires or releases the exclusive right to extend the file. Returns false if another process holds
    /// it.
    pub(super) fn lock_alone(fd: BorrowedFd<'_>, take: bool) -> Result<bool, Errno> {
        let kind = if take { libc::F_WRLCK } else { libc::F_UNLCK };
        match control(fd, libc::F_OFD_SETLK, &mut lock_of(kind, START - 1, 1)) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Records the capacity for other processes, if possible. The descriptor must be writable.
    pub(in crate::sys) fn record(fd: BorrowedFd<'_>, capacity: u64) -> Result<(), Errno> {
        let len = i64::try_from(capacity).map_err(|_| Errno::FBIG)?;
        // A length of 0 would mean all bytes up to the last offset.
        if len == 0 {
            return Ok(());
        }
        for _ in 0..TRIES {
            debug_assert!(len <= SLOT);
            let start = START + i64::from(slot() % SLOTS) * SLOT;
            match control(fd, libc::F_OFD_SETLK, &mut lock_of(libc::F_WRLCK, start, len)) {
                // Another holder has this slot, or a reader has a lock on it.
                Err(Errno::AGAIN | Errno::ACCESS) => {}
                result => return result,
            }
        }
        Ok(())
    }

    /// Returns the capacity that holders with write access have recorded, and whether this very descriptor
    /// has.
    pub(in crate::sys) fn recorded(fd: BorrowedFd<'_>, is_new: bool) -> Option<(u64, bool)> {
        let query = |kind| {
            // A length of 0 means all bytes up to the last offset.
            let mut lock = lock_of(kind, START, 0);
            control(fd, libc::F_OFD_GETLK, &mut lock)?;
            let is_lock = libc::c_int::from(lock.l_type) != libc::F_UNLCK;
            let in_slot = lock.l_start >= START && (lock.l_start - START) % SLOT == 0 && lock.l_len <= SLOT;
            let len = u64::try_from(lock.l_len).ok().filter(|len| *len > 0);
            Ok::<_, Errno>(if is_lock && in_slot { len } else { None })
        };
        // The lock of this very descriptor never conflicts with its own query. Kernels from Linux 6.6 on
        // report it for this kind of query; otherwise it is visible only through another descriptor.
        let own = if is_new { Ok(None) } else { query(libc::F_UNLCK) };
        if let Ok(Some(own)) = own {
            return Some((own, true));
        }
        // A query for a read lock reports write locks.
        let others = query(libc::F_RDLCK).ok()?;
        if others.is_some() || own.is_ok() {
            return others.map(|len| (len, false));
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let other = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?;
        recorded(std::os::fd::AsFd::as_fd(&other), true).map(|(len, _)| (len, true))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod others {
    use std::os::fd::BorrowedFd;

    use rustix::io::Errno;

    pub(in crate::sys) const MOST: u64 = i64::MAX as u64;

    pub(super) fn lock_alone(fd: BorrowedFd<'_>, take: bool) -> Result<bool, Errno> {
        use rustix::fs::FlockOperation::{NonBlockingLockExclusive, NonBlockingUnlock};
        match rustix::fs::flock(fd, if take { NonBlockingLockExclusive } else { NonBlockingUnlock }) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Fails: shared memory objects of these systems have a fixed length, so there is no capacity to record.
    pub(in crate::sys) fn record(_fd: BorrowedFd<'_>, _capacity: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    pub(in crate::sys) fn recorded(_fd: BorrowedFd<'_>, _is_new: bool) -> Option<(u64, bool)> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]
mod tests;
