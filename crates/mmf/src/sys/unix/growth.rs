//! Making an object longer, and how far it may become so.
//!
//! A tmpfs file has a length, and nothing that says how long it is meant to become. But a process that opens it has to know,
//! for a view reserves addresses for all of it. So every holder that may write has a lock on as many bytes as the capacity
//! counts, far behind where any byte can be; a process that opens the region asks the kernel which lock would be in the way,
//! and takes one like it. Such locks ("open file description locks") belong to the descriptor and go with it. Nothing is
//! written anywhere, and programs that do not know of it are not disturbed.
//!
//! **They are locks for writing**, which take a descriptor that can write. A process that may only read can take locks for
//! reading, and if those counted it could tell every other process a capacity, and keep the truth from being told. So only
//! locks for writing are asked for, and as they exclude each other, each holder has its own range: a *slot*. A reader's lock can
//! be in the way of a record that is made later; then that holder goes on without one.
//!
//! A peer that may write can record something else. That is no more than a wrong number: it is held against the length, and a
//! view that cannot have so many addresses has fewer.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::fs::fstat;
use rustix::io::Errno;

use super::probe::check_file_size;
use crate::sys::{Failure, Reason};

/// The longest that anything may become.
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
        // Another process has a lock in the way.
        Err(errno @ Errno::BUSY) => Err(Failure { reason: Reason::InUse, ..errno.into() }),
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
    // A file system without `fallocate`; those of regions have it. Not in one step, so no other process may do it meanwhile. (A
    // program that uses other means than this library may cut off what another one has added in just this moment.)
    let _ = from;
    alone(fd, PATIENCE, || {
        len(fd).and_then(|now| if now < to { rustix::fs::ftruncate(fd, to) } else { Ok(()) })
    })
}

/// How long one that lengthens a file is waited for, which takes it a few system calls. A process that may only read the file
/// can be in the way, too, and for as long as it likes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls `call` while no other process that asks so is in the middle of the same; an error if one does not come to an end.
fn alone(
    fd: BorrowedFd<'_>,
    patience: Duration,
    call: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let start = Instant::now();
    while !lock_alone(fd, true)? {
        if start.elapsed() > patience {
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

    /// Where the slots start, beyond every length that this library makes.
    pub(super) const START: i64 = 1 << 62;
    /// The length of a slot.
    pub(super) const SLOT: i64 = 1 << 50;
    /// (One less than fit: a lock up to the last position of all would be reported as one without a length.)
    pub(super) const SLOTS: u32 = (1 << 12) - 1;
    /// So that a capacity fits into a slot. (Eight times as much as an address space of 47 bits.)
    pub(in crate::sys) const MOST: u64 = 1 << 50;
    /// How many slots are tried. With 100 holders, the first one is free in 39 of 40 cases.
    const TRIES: u32 = 8;

    fn lock_of(kind: libc::c_int, start: i64, len: i64) -> libc::flock {
        #[allow(clippy::cast_possible_truncation, reason = "small numbers, kept in a shorter field")]
        let (kind, whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
        libc::flock { l_type: kind, l_whence: whence, l_start: start, l_len: len, l_pid: 0 }
    }

    /// A slot, hardly the same one that another process or thread chooses at the same time.
    fn slot() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        std::process::id().wrapping_mul(0x9e37_79b1).wrapping_add(number.wrapping_mul(0x85eb_ca6b)) >> 20
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

    /// Takes, or gives back, the right to lengthen the file; false if another process has it.
    pub(super) fn lock_alone(fd: BorrowedFd<'_>, take: bool) -> Result<bool, Errno> {
        let kind = if take { libc::F_WRLCK } else { libc::F_UNLCK };
        match control(fd, libc::F_OFD_SETLK, &mut lock_of(kind, START - 1, 1)) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Lets others know how long the object may become, if that can be. The descriptor has to be one that can write.
    pub(in crate::sys) fn record(fd: BorrowedFd<'_>, capacity: u64) -> Result<(), Errno> {
        let len = i64::try_from(capacity).map_err(|_| Errno::FBIG)?;
        // (No length would mean: up to the end of all positions.)
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

    /// What holders that may write say how long the object may become, and whether it is this very descriptor that says so.
    pub(in crate::sys) fn recorded(fd: BorrowedFd<'_>, is_new: bool) -> Option<(u64, bool)> {
        let ask = |kind| {
            // No length means: up to the end of all positions.
            let mut lock = lock_of(kind, START, 0);
            control(fd, libc::F_OFD_GETLK, &mut lock)?;
            let is_lock = libc::c_int::from(lock.l_type) != libc::F_UNLCK;
            let in_slot = lock.l_start >= START && (lock.l_start - START) % SLOT == 0 && lock.l_len <= SLOT;
            let len = u64::try_from(lock.l_len).ok().filter(|len| *len > 0);
            Ok::<_, Errno>(if is_lock && in_slot { len } else { None })
        };
        // The lock of this very descriptor is in no one's way. Newer kernels tell it when asked like this (Linux 6.6); else it
        // shows through another descriptor.
        let own = if is_new { Ok(None) } else { ask(libc::F_UNLCK) };
        if let Ok(Some(own)) = own {
            return Some((own, true));
        }
        // What would be in the way of reading: locks for writing.
        let others = ask(libc::F_RDLCK).ok()?;
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

    /// Shared memory objects of these systems get their length once.
    pub(in crate::sys) fn record(_fd: BorrowedFd<'_>, _capacity: u64) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    pub(in crate::sys) fn recorded(_fd: BorrowedFd<'_>, _is_new: bool) -> Option<(u64, bool)> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    use rustix::io::Errno;

    use super::linux::{SLOT, SLOTS, START};
    use super::{alone, record, recorded};

    fn files() -> (File, File, File) {
        let path = std::env::temp_dir().join(format!("mmf-growth-{}-{:p}", std::process::id(), &0));
        let first = File::create_new(&path).unwrap();
        let writer = File::options().write(true).open(&path).unwrap();
        let reader = File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        (first, writer, reader)
    }

    fn read_lock(file: &File, start: i64, len: i64) {
        lock(file, libc::F_RDLCK, start, len);
    }

    fn lock(file: &File, kind: libc::c_int, start: i64, len: i64) {
        // SAFETY: a plain C structure for which all zeros is a value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        (lock.l_type, lock.l_start, lock.l_len) = (kind as libc::c_short, start, len);
        // SAFETY: the descriptor is open, and the command reads such a structure.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) }, 0);
    }

    #[test]
    fn only_writers_are_believed() {
        let (first, writer, reader) = files();
        read_lock(&reader, 1 << 62, 12345);
        assert_eq!(recorded(first.as_fd(), true), None);
        record(first.as_fd(), 5000).unwrap();
        assert_eq!(recorded(writer.as_fd(), true), Some((5000, false)));
        assert_eq!(recorded(first.as_fd(), false), Some((5000, true)));
        // A reader cannot record anything.
        assert_eq!(record(reader.as_fd(), 77), Err(Errno::BADF));
        record(writer.as_fd(), 5000).unwrap();
        drop(first);
        assert_eq!(recorded(reader.as_fd(), true), Some((5000, false)));
    }

    #[test]
    fn readers_in_the_way_stop_nothing() {
        let (first, writer, reader) = files();
        read_lock(&reader, (1 << 62) - 1, 0);
        // It is not recorded, and that is all.
        record(first.as_fd(), 5000).unwrap();
        assert_eq!(recorded(writer.as_fd(), true), None);
        // This has to be waited for, but not for good.
        let result = alone(first.as_fd(), Duration::ZERO, || unreachable!("a reader is in the way"));
        assert_eq!(result, Err(Errno::BUSY));
        drop(reader);
        let mut called = false;
        let call = || {
            called = true;
            Ok(())
        };
        alone(first.as_fd(), Duration::ZERO, call).unwrap();
        assert!(called);
        alone(writer.as_fd(), Duration::ZERO, || Ok(())).unwrap();
    }

    #[test]
    fn the_last_slot_holds_the_largest_capacity() {
        let (first, writer, _) = files();
        lock(&first, libc::F_WRLCK, START + i64::from(SLOTS - 1) * SLOT, SLOT);
        assert_eq!(recorded(writer.as_fd(), true), Some((1 << 50, false)));
    }

    #[test]
    fn many_holders_find_slots() {
        let (first, ..) = files();
        let path = format!("/proc/self/fd/{}", first.as_raw_fd());
        let holders: Vec<File> = (0..200).map(|_| File::options().write(true).open(&path).unwrap()).collect();
        for holder in &holders {
            record(holder.as_fd(), 1 << 50).unwrap();
        }
        let with_a_record = |holder: &&File| matches!(recorded(holder.as_fd(), false), Some((_, true)));
        assert_eq!(holders.iter().filter(with_a_record).count(), holders.len());
    }
}
