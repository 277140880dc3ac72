//! Named objects on Linux: files in `/dev/shm` whose holders the kernel counts.
//!
//! # Invariants
//!
//! 1. **A holder has a shared `flock` on the object.** Such a lock belongs to the open file description, so
//!    the kernel drops it with the last descriptor *and mapping* of the holder, however the holder ends. A
//!    process that acquires the exclusive lock knows that no other process holds the object.
//! 2. **The last holder removes the name.** A holder that releases the object tries to acquire the exclusive
//!    lock and unlinks the name if it succeeds. The kernel drops the shared lock in the same step even if the
//!    attempt to convert it fails, so the last of several concurrent attempts succeeds.
//! 3. **A stale name counts as missing.** If the last holder was killed, the next process that opens or
//!    creates the name (or creates any region, see `sweep`) acquires the exclusive lock and unlinks the name.
//! 4. **Creation has three steps**, and the creator can be killed between any two of them: create (with the
//!    mark), lock, set the length. A process that finds an object without a lock removes it. Hence the
//!    creator checks after locking that the object still has its name, and starts again if it has not. A
//!    process that finds an object with a lock but without a length tries again.
//! 5. **Foreign objects are left alone.** Objects of this library have a mark that no other creator uses, the
//!    mode bits `MARK`. An object without the mark is opened as it is, and never locked or unlinked.
//! 6. **An object has one name.** Owner and mark are properties of the object, and another user can add a
//!    name to it: the sticky bit of `/dev/shm` forbids removing and renaming, but not linking. Hence an
//!    object with two names is refused wherever owner or mark is trusted, and the last holder removes all
//!    names.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Once;
use std::time::Duration;

use rustix::fs::{
    FileType, FlockOperation, MemfdFlags, Mode, OFlags, SealFlags, Stat, chmod, fchmod, fcntl_add_seals,
    fcntl_get_seals, fcntl_getfl, flock, fstat, fstatvfs, ftruncate, lstat, memfd_create, open as open_file,
    readlink,
};
use rustix::io::Errno;

use super::account::stands_for_unmapped;
use super::limits::check_file_size;
use super::links::remove;
pub(super) use super::marks::is_owner_certain;
use super::marks::{MARK, is_ours, is_own, names_of, open_path, unlock};
use super::name::{DIRECTORY, ObjectName};
use super::object_id::{ObjectId, Opened, identity_of};
use super::security::{self, OWNER_ONLY};
use super::{growth, pages};
use crate::sys::{Attempt, CreateParams, Failure, NameTarget, Pages, Reason};

pub(super) fn create(
    name: &ObjectName,
    params: &CreateParams<'_>,
) -> Result<Attempt<(OwnedFd, ObjectId)>, Failure> {
    sweep();
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = match open_file(name.path(), flags, Mode::from_raw_mode(MARK | OWNER_ONLY)) {
        Ok(fd) => fd,
        Err(Errno::EXIST) => return taken(name),
        // The directory does not exist.
        Err(Errno::NOENT) => return Err(Failure { reason: Reason::Unsupported, ..Errno::NOENT.into() }),
        Err(errno) => return Err(errno.into()),
    };
    // A process that finds the object before it is locked considers it stale and removes it. Then creation
    // starts again.
    let locked = flock(&fd, FlockOperation::NonBlockingLockShared);
    if matches!(locked, Err(Errno::WOULDBLOCK | Errno::INTR)) {
        return Ok(Attempt::Again);
    }
    let stat = fstat(&fd)?;
    if let Err(errno) = locked {
        // Without locks no holder is counted, so no other process removes the object.
        let _ = remove(&fd, identity_of(&stat), name.path());
        return Err(Failure { reason: Reason::NoLocks, ..errno.into() });
    }
    if stat.st_nlink == 0 {
        return Ok(Attempt::Again);
    }
    let identity = identity_of(&stat);
    // The umask may have removed rights of the owner. It never adds any, so no other user had more rights
    // meanwhile.
    let whole_mode = if stat.st_mode & 0o7777 == MARK | OWNER_ONLY {
        Ok(())
    } else {
        fchmod(&fd, Mode::from_raw_mode(MARK | OWNER_ONLY)).map_err(Failure::from)
    };
    // The length is set last: until then other processes can only wait for the object.
    let made = whole_mode
        .and_then(|()| check_space(&fd, params.len))
        .and_then(|()| security::protect(fd.as_fd(), params.protection, MARK))
        .and_then(|()| prepare(&fd, params))
        .and_then(|()| resize(&fd, params.len));
    match made {
        Ok(()) => Ok(Attempt::Done((fd, identity))),
        Err(failure) => {
            release(fd.as_fd(), name, identity);
            Err(failure)
        }
    }
}

/// Restores the owner's rights to an object without a length whose creator has not yet undone the effect of
/// the umask, or was killed before it could. Opens the object for reading.
fn regain(path: &CStr) -> Option<OwnedFd> {
    // Not by the name, whose target may change at any time.
    let found = open_file(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let stat = fstat(&found).ok()?;
    let unfinished = is_ours(&stat) && stat.st_size == 0 && stat.st_mode & OWNER_ONLY != OWNER_ONLY;
    if !unfinished || stat.st_uid != rustix::process::geteuid().as_raw() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    chmod(&*path, Mode::from_raw_mode(MARK | OWNER_ONLY)).ok()?;
    open_file(&*path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()
}

/// Checks that the requested length is free now. A file in memory gets its pages only when they are touched,
/// which would fail later.
fn check_space(fd: &OwnedFd, len: u64) -> Result<(), Failure> {
    let system = fstatvfs(fd)?;
    // A file system without a limit reports 0.
    if system.f_blocks == 0 {
        return Ok(());
    }
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if len > free { Err(Failure::new(Reason::NoMemory).with_figure(free)) } else { Ok(()) }
}

/// Sets the properties that an object needs before it has a length, and so before it can be opened.
fn prepare(fd: &OwnedFd, params: &CreateParams<'_>) -> Result<(), Failure> {
    if let Some(node) = params.node {
        pages::prefer_node(fd.as_fd(), params.capacity.unwrap_or(params.len), node)?;
    }
    match params.capacity {
        Some(capacity) => Ok(growth::record(fd.as_fd(), capacity)?),
        None => Ok(()),
    }
}

fn resize(fd: &OwnedFd, len: u64) -> Result<(), Failure> {
    check_file_size(len)?;
    ftruncate(fd, len).map_err(|errno| match errno {
        Errno::INVAL | Errno::FBIG => Failure { reason: Reason::TooLarge, ..errno.into() },
        _ => errno.into(),
    })
}

/// Decides the outcome of a creation whose name is taken.
fn taken<T>(name: &ObjectName) -> Result<Attempt<T>, Failure> {
    let fd = match open_path(name.path(), OFlags::RDONLY) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(Attempt::Again),
        Err(Errno::ACCESS) => match regain(name.path()) {
            Some(fd) => fd,
            None => {
                let reason = why_denied(name);
                let taken = if reason == Reason::WrongKind { reason } else { Reason::Exists };
                return Err(Failure::new(taken));
            }
        },
        Err(errno) => return Err(errno.into()),
    };
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Failure::new(Reason::WrongKind));
    }
    let exists = Failure::new(Reason::Exists).with_figure(u64::try_from(stat.st_size).unwrap_or(0));
    // Another user may have added this name. Then this process must not conclude from it that the object has
    // no holders, and must not remove it.
    if !is_ours(&stat) || (stat.st_nlink > 1 && !is_own(&fd, &stat)) {
        return Err(exists);
    }
    match holders(&fd)? {
        // In a directory like /dev/shm only the owner may remove it.
        Holders::None => match remove(&fd, identity_of(&stat), name.path()) {
            Ok(()) => Ok(Attempt::Again),
            Err(errno) => Err(Failure { code: Some(errno.raw_os_error()), ..exists }),
        },
        Holders::Others => {
            unlock(&fd);
            Err(exists)
        }
        Holders::Unclear => Ok(Attempt::Again),
    }
}

/// The other holders of one of this library's objects.
enum Holders {
    /// No process holds the object. The caller now has the exclusive lock.
    None,
    /// Other processes hold the object. The caller now has a shared lock, too.
    Others,
    /// Another process has the exclusive lock for a moment, to do the same or to remove the object. The
    /// caller has no lock.
    Unclear,
}

fn holders(fd: &OwnedFd) -> Result<Holders, Failure> {
    // Twice: the process that held the lock may only have probed. Then the shared lock below would be the
    // only one.
    for _ in 0..2 {
        match flock(fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Holders::None),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            // The kernel or the file system offers no locks.
            Err(errno) => return Err(Failure { reason: Reason::NoLocks, ..errno.into() }),
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_err() {
            return Ok(Holders::Unclear);
        }
    }
    Ok(Holders::Others)
}

/// Returns the identity of the object that a name leads to.
#[cfg(target_os = "linux")]
pub(super) fn identity_at(name: &ObjectName) -> Option<ObjectId> {
    lstat(name.path()).ok().as_ref().map(identity_of)
}

/// Compares the target of a name with an object.
pub(super) fn leads_to(name: &ObjectName, fd: BorrowedFd<'_>) -> NameTarget {
    match (lstat(name.path()), fstat(fd)) {
        (Ok(named), Ok(object)) if identity_of(&named) == identity_of(&object) => NameTarget::This,
        (Ok(_), Ok(_)) => NameTarget::Other,
        (Err(Errno::NOENT), _) => NameTarget::Nothing,
        _ => NameTarget::Unknown,
    }
}

/// Opens an object. For one of this library's objects, the caller becomes a holder.
pub(super) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<Opened>, Failure> {
    let fd = match open_path(name.path(), if writable { OFlags::RDWR } else { OFlags::RDONLY }) {
        Ok(fd) => fd,
        Err(Errno::ACCESS) => {
            if regain(name.path()).is_some() {
                return Ok(Attempt::Again);
            }
            let reason = match why_denied(name) {
                Reason::Denied if writable && open_path(name.path(), OFlags::RDONLY).is_ok() => {
                    Reason::ReadOnly
                }
                reason => reason,
            };
            return Err(Failure { reason, ..Errno::ACCESS.into() });
        }
        Err(errno) => return Err(errno.into()),
    };
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Failure::new(Reason::WrongKind));
    }
    // Another user has created a name that is reserved for this one.
    if name.is_local() && !is_own(&fd, &stat) {
        return Err(Failure::new(Reason::Stranger));
    }
    let (ours, identity, names) = (is_ours(&stat), identity_of(&stat), names_of(&stat));
    if names > 1 && (ours || name.is_local()) {
        return linked(&fd, &stat, name);
    }
    if !ours {
        // Other creators also set the length after the name, and there is no bound on how long that takes
        // them.
        return if stat.st_size == 0 {
            Err(Failure::new(Reason::NotReady))
        } else {
            Ok(Attempt::Done(Opened { fd, held: None, names }))
        };
    }
    match holders(&fd)? {
        Holders::None => match remove(&fd, identity, name.path()) {
            Ok(()) => Ok(Attempt::Again),
            // Only its owner can remove it, but a stale name counts as missing.
            Err(_) => {
                unlock(&fd);
                Err(Failure::new(Reason::Missing))
            }
        },
        Holders::Unclear => Ok(Attempt::Again),
        Holders::Others => {
            let stat = fstat(&fd)?;
            let names = names_of(&stat);
            if names == 1 && stat.st_size > 0 {
                return Ok(Attempt::Done(Opened { fd, held: Some(identity), names }));
            }
            unlock(&fd);
            if names > 1 { Err(Failure::new(Reason::Linked).with_figure(names)) } else { Ok(Attempt::Again) }
        }
    }
}

/// Handles an object that has further names besides the requested one: it is refused whatever its owner and
/// mark are, and removed if no process holds it.
fn linked<T>(fd: &OwnedFd, stat: &Stat, name: &ObjectName) -> Result<Attempt<T>, Failure> {
    // Another user's object is not even locked for that, since the requested name may not be its own.
    if is_ours(stat) && is_own(fd, stat) && flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let removed = remove(fd, identity_of(stat), name.path());
        unlock(fd);
        if removed.is_ok() {
            return Ok(Attempt::Again);
        }
    }
    Err(Failure::new(Reason::Linked).with_figure(names_of(stat)))
}

/// Returns why an object cannot be opened, the more specific reasons first.
fn why_denied(name: &ObjectName) -> Reason {
    match lstat(name.path()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => Reason::WrongKind,
        // Another user has created a name that is reserved for this one.
        Ok(stat) if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() => Reason::Stranger,
        // This user may open its own objects; but in this user namespace, another user can have the same id.
        Ok(stat) if name.is_local() && stands_for_unmapped(stat.st_uid) => Reason::Stranger,
        _ => Reason::Denied,
    }
}

/// Releases a holder. The last one removes the name.
pub(super) fn release(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId) {
    // Each attempt drops the shared lock of this holder, as intended; every remaining holder will make the
    // same attempts. Of several concurrent ones the last acquires the exclusive lock.
    for round in 0..150 {
        if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // A process that may not remove the name leaves that to its owner. Without a holder it counts as
            // missing.
            let _ = remove(fd, identity, name.path());
            return;
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
            // Hence no process has the exclusive lock. If others have a shared one, this fails and drops
            // ours.
            if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = remove(fd, identity, name.path());
                return;
            }
            // It also fails if another process probes in the instant in which this one has no lock, which
            // hardly ever happens twice.
            if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
                if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    let _ = remove(fd, identity, name.path());
                }
                return;
            }
            continue;
        }
        // Another process has the exclusive lock for a moment to probe. It may be the only other one, and
        // does not remove the name.
        if round < 50 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// As [`release`], for a descriptor without a lock: removes the name if no process holds the object.
pub(super) fn release_unlocked(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId) {
    if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = remove(fd, identity, name.path());
    }
}

/// Creates an object that never has a name. No process can shorten it, and no other user can reopen it
/// through a descriptor.
pub(super) fn anonymous(params: &CreateParams<'_>) -> Result<(OwnedFd, Pages), Failure> {
    let system = rustix::system::sysinfo();
    let all = (system.totalram as u64 + system.totalswap as u64).saturating_mul(u64::from(system.mem_unit));
    if params.len > all {
        return Err(Failure::new(Reason::NoMemory).with_figure(all));
    }
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if params.large_pages {
        // An object in huge pages would grow with every mapping beyond its end.
        if params.capacity.is_some() {
            return Err(Failure::new(Reason::FixedPages));
        }
        flags |= MemfdFlags::HUGETLB;
    }
    // Permanently non-executable, where the kernel supports that (Linux 6.3).
    let fd = memfd_create("mmf", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("mmf", flags))
        .map_err(|errno| if params.large_pages { pages::refused(errno) } else { errno.into() })?;
    fchmod(&fd, Mode::from_raw_mode(OWNER_ONLY))?;
    security::protect(fd.as_fd(), params.protection, 0)?;
    prepare(&fd, params)?;
    let pages = if params.large_pages {
        pages::allocate(fd.as_fd(), params.len)?
    } else {
        resize(&fd, params.len)?;
        Pages::Ordinary
    };
    fcntl_add_seals(&fd, SealFlags::SHRINK)?;
    Ok((fd, pages))
}

/// Reopens an object for reading. For a named object the descriptor is a holder of its own.
pub(super) fn reopen_read_only(fd: BorrowedFd<'_>, name: Option<&ObjectName>) -> Result<OwnedFd, Failure> {
    match name {
        Some(_) => reopen(fd, false),
        None => {
            let new = reopen_as(fd, OFlags::RDONLY)?;
            // Otherwise a process that receives the descriptor could reopen the object for writing. Existing
            // descriptors keep their rights. Only for objects without a name: a file from outside keeps its
            // mode.
            let stat = fstat(fd)?;
            if stat.st_nlink == 0 {
                match fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7555)) {
                    // Another user's object: that user decides who may write to it.
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(new)
        }
    }
}

/// Reopens an object whose holders are not counted, for reading.
pub(super) fn narrowed(fd: &OwnedFd) -> Option<OwnedFd> {
    reopen_as(fd.as_fd(), OFlags::RDONLY).ok()
}

/// Reopens a named object as another holder.
pub(super) fn reopen(fd: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd, Failure> {
    let new = reopen_as(fd, if writable { OFlags::RDWR } else { OFlags::RDONLY })?;
    flock(&new, FlockOperation::NonBlockingLockShared)?;
    Ok(new)
}

/// Reopens an object with an open file description of its own that is no holder.
pub(super) fn reopen_uncounted(fd: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd, Failure> {
    reopen_as(fd, if writable { OFlags::RDWR } else { OFlags::RDONLY })
}

fn reopen_as(fd: BorrowedFd<'_>, access: OFlags) -> Result<OwnedFd, Failure> {
    Ok(open_file(format!("/proc/self/fd/{}", fd.as_raw_fd()), access | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes a descriptor from outside a holder of its own, if the object is one of this library's and still has
/// its name. Refuses descriptors that only appear to have the rights.
pub(super) fn adopt(
    fd: OwnedFd,
    writable: bool,
) -> Result<(OwnedFd, Option<(ObjectName, ObjectId)>), Failure> {
    if fcntl_getfl(&fd)?.contains(OFlags::PATH) {
        return Err(Failure::new(Reason::WrongKind));
    }
    // An object that cannot be sealed reports an error, and has no seals.
    let seals = fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
    if writable && seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(Failure::new(Reason::ReadOnly));
    }
    let stat = fstat(&fd)?;
    if !is_ours(&stat) {
        return Ok((fd, None));
    }
    let path = readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
    let Some(name) = path.ok().and_then(ObjectName::from_path) else { return Ok((fd, None)) };
    Ok((reopen(fd.as_fd(), writable)?, Some((name, identity_of(&stat)))))
}

/// Removes the stale names of this user, once per process: the memory of killed holders would
/// otherwise stay until a process opens or creates the same name.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Creating a region does not fail because of leftovers.
        let _ = remove_stale();
    });
}

fn remove_stale() -> Result<(), Errno> {
    let user = rustix::process::geteuid().as_raw();
    let directory =
        open_file(DIRECTORY, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in rustix::fs::Dir::new(directory)? {
        let entry = entry?;
        let mut path = DIRECTORY.as_bytes().to_vec();
        path.extend_from_slice(entry.file_name().to_bytes_with_nul());
        let Ok(path) = CStr::from_bytes_with_nul(&path) else { continue };
        // Checked before opening, so that no pipe or device of another program is opened.
        let Ok(stat) = lstat(path) else { continue };
        if stat.st_uid != user || !is_ours(&stat) {
            continue;
        }
        let Some(fd) = open_path(path, OFlags::RDONLY).ok().or_else(|| regain(path)) else { continue };
        let Ok(stat) = fstat(&fd) else { continue };
        if is_ours(&stat)
            && is_own(&fd, &stat)
            && flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = remove(&fd, identity_of(&stat), path);
        }
    }
    Ok(())
}
