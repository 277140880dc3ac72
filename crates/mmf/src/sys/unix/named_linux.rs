//! Named objects on Linux: files in `/dev/shm`, counted by the kernel.
//!
//! What the kernel does not do by itself, and how it is made to:
//!
//! - **It counts the holders.** Every holder has a shared `flock` on the object. Such a lock belongs to the open file
//!   description, so the kernel drops it when the last descriptor *and mapping* of a holder is gone, however the holder
//!   ended. Whoever gets the exclusive lock knows that nobody else holds the object.
//! - **The last one removes the name.** When a holder lets go it tries for the exclusive lock, and unlinks if it gets it.
//!   (An attempt to turn a shared lock into an exclusive one costs the shared one even if it fails, in one step.
//!   So of several who let go at once the last one to try gets it.)
//! - **A stale name is no name.** If the last holder was killed, the next who asks for the name (or makes any memory, see
//!   `sweep`) gets the exclusive lock, and unlinks it.
//! - **Making takes three steps**, and its maker may be killed between any two of them: named (and marked as ours), locked,
//!   sized. Whoever meets an object that nobody has locked removes it; so a maker who has locked it looks whether it still has
//!   its name, and starts again if not. Whoever meets one that is locked and has no length yet tries again.
//! - **Others' objects are left alone.** Ours have a mark that no other maker uses: the mode bits `MARK`. An object
//!   without it is opened as it is, never locked and never unlinked.
//! - **One name only.** The owner and the mark are properties of the object, and another user can add a name to an object
//!   of ours: the sticky bit of `/dev/shm` forbids removing and renaming, not linking. So an object that has two names is
//!   refused where either is believed, and the last holder removes all of them.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Once;
use std::time::Duration;

use rustix::fs::{
    FileType, FlockOperation, MemfdFlags, Mode, OFlags, SealFlags, Stat, chmod, fchmod, fcntl_add_seals,
    fcntl_get_seals, fcntl_getfl, fcntl_setfl, flock, fstat, fstatvfs, ftruncate, lstat, memfd_create,
    open as open_file, readlink,
};
use rustix::io::Errno;

use super::account::stands_for_unmapped;
use super::links::remove;
use super::memory::{ObjectId, Opened, identity_of};
use super::name::{DIRECTORY, ObjectName};
use super::probe::check_file_size;
use super::security::{self, OWNER_ONLY};
use super::{growth, pages};
use crate::sys::{Attempt, CreateParams, Failure, NameTarget, Pages, Reason};

/// The mark of an object of ours: set-group-id and sticky without the right to execute. It means nothing for a file, so
/// nobody has a reason to set it.
pub(super) const MARK: u32 = 0o3000;

pub(super) fn is_ours(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & (MARK | 0o111) == MARK
}

/// How many names an object has.
pub(super) fn names_of(stat: &Stat) -> u64 {
    #[allow(clippy::useless_conversion, reason = "it has 32 bits elsewhere")]
    u64::from(stat.st_nlink)
}

/// Whether an object belongs to the user for whom this process acts.
pub(super) fn is_own(fd: impl AsFd, stat: &Stat) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stat.st_uid == user && (!stands_for_unmapped(user) || acts_as_owner(fd))
}

/// Whether the kernel lets this process do what only the owner may. It compares the users themselves, not the numbers that
/// they have in this user namespace.
fn acts_as_owner(fd: impl AsFd) -> bool {
    // Not to have the time of access noted is such a thing, and means nothing for an object in memory.
    let Ok(flags) = fcntl_getfl(&fd) else { return false };
    let allowed = fcntl_setfl(&fd, flags | OFlags::NOATIME).is_ok();
    let _ = fcntl_setfl(&fd, flags);
    allowed
}

/// Whether the number of an object's owner identifies a user.
pub(super) fn is_owner_certain(fd: impl AsFd, uid: u32) -> bool {
    !stands_for_unmapped(uid) || (uid == rustix::process::geteuid().as_raw() && acts_as_owner(fd))
}

pub(super) fn create(
    name: &ObjectName,
    params: &CreateParams<'_>,
) -> Result<Attempt<(OwnedFd, ObjectId)>, Failure> {
    sweep();
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = match open_file(name.path(), flags, Mode::from_raw_mode(MARK | OWNER_ONLY)) {
        Ok(fd) => fd,
        Err(Errno::EXIST) => return taken(name),
        // It is the directory that is not there.
        Err(Errno::NOENT) => return Err(Failure { reason: Reason::Unsupported, ..Errno::NOENT.into() }),
        Err(errno) => return Err(errno.into()),
    };
    // Somebody who came by before it was locked takes it for stale: then it is his to remove, and ours to start again.
    let locked = flock(&fd, FlockOperation::NonBlockingLockShared);
    if matches!(locked, Err(Errno::WOULDBLOCK | Errno::INTR)) {
        return Ok(Attempt::Again);
    }
    let stat = fstat(&fd)?;
    if let Err(errno) = locked {
        // There are no locks to count holders by, so nobody else removes it.
        let _ = remove(&fd, identity_of(&stat), name.path());
        return Err(Failure { reason: Reason::NoLocks, ..errno.into() });
    }
    if stat.st_nlink == 0 {
        return Ok(Attempt::Again);
    }
    let identity = identity_of(&stat);
    // The umask has taken rights away from the owner. (It never adds any, so nobody else had more for a moment.)
    let whole_mode = if stat.st_mode & 0o7777 == MARK | OWNER_ONLY {
        Ok(())
    } else {
        fchmod(&fd, Mode::from_raw_mode(MARK | OWNER_ONLY)).map_err(Failure::from)
    };
    // Sized last: until then nobody who comes by can do more than wait for it.
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

/// Gives the owner's rights back to an object without a length, whose creator was killed, or is, before it could undo what
/// the umask has taken away; and opens it to read.
fn regain(path: &CStr) -> Option<OwnedFd> {
    // Not by the name, which may lead elsewhere a moment later.
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

/// A file in memory gets its pages when they are touched; so that this does not fail, what is asked for must be free now.
fn check_space(fd: &OwnedFd, len: u64) -> Result<(), Failure> {
    let system = fstatvfs(fd)?;
    // A file system without a limit has nothing to say.
    if system.f_blocks == 0 {
        return Ok(());
    }
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if len > free { Err(Failure::new(Reason::NoMemory).with_figure(free)) } else { Ok(()) }
}

/// What has to be said of an object before it has its length, and so can be opened.
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

/// What to say to a creator that found the name taken.
fn taken<T>(name: &ObjectName) -> Result<Attempt<T>, Failure> {
    let fd = match look(name.path(), OFlags::RDONLY) {
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
    // A name that another user has added to somebody's object says nothing about who holds it, and is not ours to remove.
    if !is_ours(&stat) || (stat.st_nlink > 1 && !is_own(&fd, &stat)) {
        return Err(exists);
    }
    match holders(&fd)? {
        // In a directory like /dev/shm only its owner may remove it, though.
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

/// Who else holds an object of ours.
enum Holders {
    /// Nobody: the caller has the exclusive lock.
    None,
    /// Somebody does: the caller has a shared lock now, too.
    Others,
    /// Somebody has the exclusive lock for a moment, to find out the same or to remove it. The caller has no lock.
    Unclear,
}

fn holders(fd: &OwnedFd) -> Result<Holders, Failure> {
    // Twice, since whoever was in the way may only have looked: the shared lock that follows would then be the only one.
    for _ in 0..2 {
        match flock(fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Holders::None),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            // There are no locks to be had.
            Err(errno) => return Err(Failure { reason: Reason::NoLocks, ..errno.into() }),
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_err() {
            return Ok(Holders::Unclear);
        }
    }
    Ok(Holders::Others)
}

/// A lock that was only taken to look is given back, not left to the descriptor's end: a child that another thread forks
/// meanwhile has the descriptor, too.
pub(super) fn unlock(fd: &OwnedFd) {
    let _ = flock(fd, FlockOperation::NonBlockingUnlock);
}

/// Opens whatever has this name, without waiting for anything and without following links.
pub(super) fn look(path: &CStr, access: OFlags) -> Result<OwnedFd, Errno> {
    open_file(path, access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
}

/// What a name leads to.
#[cfg(target_os = "linux")]
pub(super) fn identity_at(name: &ObjectName) -> Option<ObjectId> {
    lstat(name.path()).ok().as_ref().map(identity_of)
}

/// Where a name leads, compared with an object.
pub(super) fn leads_to(name: &ObjectName, fd: BorrowedFd<'_>) -> NameTarget {
    match (lstat(name.path()), fstat(fd)) {
        (Ok(named), Ok(object)) if identity_of(&named) == identity_of(&object) => NameTarget::This,
        (Ok(_), Ok(_)) => NameTarget::Other,
        (Err(Errno::NOENT), _) => NameTarget::Nothing,
        _ => NameTarget::Unknown,
    }
}

/// Opens an object; says how the caller holds it, if it is one of ours.
pub(super) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<Opened>, Failure> {
    let fd = match look(name.path(), if writable { OFlags::RDWR } else { OFlags::RDONLY }) {
        Ok(fd) => fd,
        Err(Errno::ACCESS) => {
            if regain(name.path()).is_some() {
                return Ok(Attempt::Again);
            }
            let reason = match why_denied(name) {
                Reason::Denied if writable && look(name.path(), OFlags::RDONLY).is_ok() => Reason::ReadOnly,
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
    // Somebody else has taken a name of this user's.
    if name.is_local() && !is_own(&fd, &stat) {
        return Err(Failure::new(Reason::Stranger));
    }
    let (ours, identity, names) = (is_ours(&stat), identity_of(&stat), names_of(&stat));
    if names > 1 && (ours || name.is_local()) {
        return linked(&fd, &stat, name);
    }
    if !ours {
        // Other makers, too, size an object after they have named it; but how long they take nobody knows.
        return if stat.st_size == 0 {
            Err(Failure::new(Reason::NotReady))
        } else {
            Ok(Attempt::Done(Opened { fd, held: None, names }))
        };
    }
    match holders(&fd)? {
        Holders::None => match remove(&fd, identity, name.path()) {
            Ok(()) => Ok(Attempt::Again),
            // Its owner will remove it some day; it is gone all the same.
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

/// What to do about an object that has more names than the one by which it was asked for: it is not used, whatever it says,
/// and if no process holds it, it goes.
fn linked<T>(fd: &OwnedFd, stat: &Stat, name: &ObjectName) -> Result<Attempt<T>, Failure> {
    // What is not this user's own is not even locked to find that out: it was not asked for by its own name, perhaps.
    if is_ours(stat) && is_own(fd, stat) && flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let removed = remove(fd, identity_of(stat), name.path());
        unlock(fd);
        if removed.is_ok() {
            return Ok(Attempt::Again);
        }
    }
    Err(Failure::new(Reason::Linked).with_figure(names_of(stat)))
}

/// What it is that cannot be opened: what is more to the point is said first.
fn why_denied(name: &ObjectName) -> Reason {
    match lstat(name.path()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => Reason::WrongKind,
        // Somebody else has taken a name of this user's.
        Ok(stat) if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() => Reason::Stranger,
        // This user may open what is its own; but another one can have the same number here.
        Ok(stat) if name.is_local() && stands_for_unmapped(stat.st_uid) => Reason::Stranger,
        _ => Reason::Denied,
    }
}

/// A holder lets go: the last one takes the name along.
pub(super) fn release(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId) {
    // Each attempt gives up our own shared lock, which is what we want anyway; whoever still holds the object will come here
    // in turn. Of several who let go at once, the last one to ask for the exclusive lock gets it.
    for round in 0..150 {
        if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Who may not remove it leaves that to its owner: without a holder the name counts as gone.
            let _ = remove(fd, identity, name.path());
            return;
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
            // So nobody has the exclusive lock. If others have a shared one, this fails and leaves us without any.
            if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = remove(fd, identity, name.path());
                return;
            }
            // It also fails for somebody who only looks, in just the instant in which we have none. Hardly twice.
            if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
                if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    let _ = remove(fd, identity, name.path());
                }
                return;
            }
            continue;
        }
        // Somebody has it for a moment, to look: he may be the only one, and will not remove the name.
        if round < 50 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The same for a descriptor without a lock: the name goes if no process holds the object.
pub(super) fn release_unlocked(fd: BorrowedFd<'_>, name: &ObjectName, identity: ObjectId) {
    if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = remove(fd, identity, name.path());
    }
}

/// A memory that never had a name. Nobody can make it shorter, and no other user can open it anew by way of a descriptor.
pub(super) fn anonymous(params: &CreateParams<'_>) -> Result<(OwnedFd, Pages), Failure> {
    let system = rustix::system::sysinfo();
    let all = (system.totalram as u64 + system.totalswap as u64).saturating_mul(u64::from(system.mem_unit));
    if params.len > all {
        return Err(Failure::new(Reason::NoMemory).with_figure(all));
    }
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if params.large_pages {
        // The kernel makes an object in huge pages as long as somebody maps.
        if params.capacity.is_some() {
            return Err(Failure::new(Reason::FixedPages));
        }
        flags |= MemfdFlags::HUGETLB;
    }
    // Never executable, where the kernel can promise it (Linux 6.3).
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

/// The same object through a new descriptor that can only read; of a named object, a holder of its own.
pub(super) fn reopen_read_only(fd: BorrowedFd<'_>, name: Option<&ObjectName>) -> Result<OwnedFd, Failure> {
    match name {
        Some(_) => reopen(fd, false),
        None => {
            let new = reopen_as(fd, OFlags::RDONLY)?;
            // Or whoever this descriptor is given to could simply open it anew for writing. Descriptors that exist keep their
            // rights. Only of what has no name anywhere: a file that somebody has handed in keeps its mode.
            let stat = fstat(fd)?;
            if stat.st_nlink == 0 {
                match fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7555)) {
                    // Another user's: who may write to it is for that user to say.
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(new)
        }
    }
}

/// A descriptor that can only read, of an object that nobody counts the holders of.
pub(super) fn narrowed(fd: &OwnedFd) -> Option<OwnedFd> {
    reopen_as(fd.as_fd(), OFlags::RDONLY).ok()
}

/// Another holder of a named object.
pub(super) fn reopen(fd: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd, Failure> {
    let new = reopen_as(fd, if writable { OFlags::RDWR } else { OFlags::RDONLY })?;
    flock(&new, FlockOperation::NonBlockingLockShared)?;
    Ok(new)
}

/// The same object through an open file description of its own, which is no holder.
pub(super) fn reopen_uncounted(fd: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd, Failure> {
    reopen_as(fd, if writable { OFlags::RDWR } else { OFlags::RDONLY })
}

fn reopen_as(fd: BorrowedFd<'_>, access: OFlags) -> Result<OwnedFd, Failure> {
    Ok(open_file(format!("/proc/self/fd/{}", fd.as_raw_fd()), access | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes a holder of its own of a descriptor that came from elsewhere, if the object is one of ours and still has its name.
/// Refuses what only looks like the right to access it.
pub(super) fn adopt(
    fd: OwnedFd,
    writable: bool,
) -> Result<(OwnedFd, Option<(ObjectName, ObjectId)>), Failure> {
    if fcntl_getfl(&fd)?.contains(OFlags::PATH) {
        return Err(Failure::new(Reason::WrongKind));
    }
    // (What cannot be sealed has no seals.)
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

/// Removes what killed processes of this user have left, once in the life of a process: their memory would otherwise stay
/// until somebody asks for the very same name.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever makes something is not to fail for what others have left.
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
        // Asked before it is opened: somebody else's pipe or device is not to be opened by the way.
        let Ok(stat) = lstat(path) else { continue };
        if stat.st_uid != user || !is_ours(&stat) {
            continue;
        }
        let Some(fd) = look(path, OFlags::RDONLY).ok().or_else(|| regain(path)) else { continue };
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
