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

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Once;
use std::time::Duration;

use rustix::fs::{
    FileType, FlockOperation, MemfdFlags, Mode, OFlags, SealFlags, Stat, fchmod, fcntl_add_seals,
    fcntl_get_seals, flock, fstat, fstatvfs, ftruncate, lstat, memfd_create, open as open_file, readlink,
    unlink,
};
use rustix::io::Errno;

use super::account::{Capability, is_capable};
use super::name::{DIRECTORY, ObjectName};
use super::security::{self, OWNER_ONLY};
use super::sight::check_file_size;
use super::{growth, pages};
use crate::sys::{Attempt, Failure, Pages, Presence, Reason, Sighting, Space, Trouble, Wish};

/// The mark of an object of ours: set-group-id and sticky without the right to execute. It means nothing for a file, so
/// nobody has a reason to set it.
const MARK: u32 = 0o3000;

fn is_ours(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & (MARK | 0o111) == MARK
}

pub(super) fn create(name: &ObjectName, wish: &Wish<'_>) -> Result<Attempt<OwnedFd>, Failure> {
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
    if flock(&fd, FlockOperation::NonBlockingLockShared).is_err() || fstat(&fd)?.st_nlink == 0 {
        return Ok(Attempt::Again);
    }
    // Sized last: until then nobody who comes by can do more than wait for it.
    let made = check_space(&fd, wish.len)
        .and_then(|()| security::protect(fd.as_fd(), wish.protection, MARK))
        .and_then(|()| prepare(&fd, wish))
        .and_then(|()| resize(&fd, wish.len));
    match made {
        Ok(()) => Ok(Attempt::Done(fd)),
        Err(failure) => {
            release(fd.as_fd(), name);
            Err(failure)
        }
    }
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
fn prepare(fd: &OwnedFd, wish: &Wish<'_>) -> Result<(), Failure> {
    if let Some(node) = wish.node {
        pages::prefer_node(fd.as_fd(), wish.capacity.unwrap_or(wish.len), node)?;
    }
    match wish.capacity {
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

/// What to say to a maker who found the name taken.
fn taken(name: &ObjectName) -> Result<Attempt<OwnedFd>, Failure> {
    let fd = match look(name.path(), OFlags::RDONLY) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(Attempt::Again),
        Err(Errno::ACCESS) => {
            let reason = why_denied(name);
            let taken = if reason == Reason::WrongKind { reason } else { Reason::Exists };
            return Err(Failure::new(taken));
        }
        Err(errno) => return Err(errno.into()),
    };
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Failure::new(Reason::WrongKind));
    }
    let exists = Failure::new(Reason::Exists).with_figure(u64::try_from(stat.st_size).unwrap_or(0));
    if !is_ours(&stat) {
        return Err(exists);
    }
    match holders(&fd) {
        // In a directory like /dev/shm only its owner may remove it, though.
        Holders::None => match remove(&fd, name.path()) {
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

fn holders(fd: &OwnedFd) -> Holders {
    // Twice, since whoever was in the way may only have looked: the shared lock that follows would then be the only one.
    for _ in 0..2 {
        if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Holders::None;
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_err() {
            return Holders::Unclear;
        }
    }
    Holders::Others
}

/// A lock that was only taken to look is given back, not left to the descriptor's end: a child that another thread forks
/// meanwhile has the descriptor, too.
fn unlock(fd: &OwnedFd) {
    let _ = flock(fd, FlockOperation::NonBlockingUnlock);
}

/// Opens whatever has this name, without waiting for anything and without following links.
fn look(path: &CStr, access: OFlags) -> Result<OwnedFd, Errno> {
    open_file(path, access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
}

/// Unlinks an object on which the caller has the exclusive lock, if this is its name still.
///
/// Between the look and the unlinking somebody may rename what is there; nobody who keeps to the locks does.
fn remove(fd: impl AsFd, path: &CStr) -> Result<(), Errno> {
    let (object, named) = (fstat(fd)?, lstat(path));
    match named {
        Ok(named) if (named.st_dev, named.st_ino) == (object.st_dev, object.st_ino) => unlink(path),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Opens an object; says whether it is one of ours, which the caller then holds.
pub(super) fn open(name: &ObjectName, writable: bool) -> Result<Attempt<(OwnedFd, bool)>, Failure> {
    let fd = match look(name.path(), if writable { OFlags::RDWR } else { OFlags::RDONLY }) {
        Ok(fd) => fd,
        Err(Errno::ACCESS) => {
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
    if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Failure::new(Reason::Stranger));
    }
    if !is_ours(&stat) {
        // Other makers, too, size an object after they have named it; but how long they take nobody knows.
        return if stat.st_size == 0 {
            Err(Failure::new(Reason::NotReady))
        } else {
            Ok(Attempt::Done((fd, false)))
        };
    }
    match holders(&fd) {
        Holders::None => match remove(&fd, name.path()) {
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
            if stat.st_nlink > 0 && stat.st_size > 0 {
                return Ok(Attempt::Done((fd, true)));
            }
            unlock(&fd);
            Ok(Attempt::Again)
        }
    }
}

/// What it is that cannot be opened: what is more to the point is said first.
fn why_denied(name: &ObjectName) -> Reason {
    match lstat(name.path()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => Reason::WrongKind,
        // Somebody else has taken a name of this user's.
        Ok(stat) if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() => Reason::Stranger,
        _ => Reason::Denied,
    }
}

/// A holder lets go: the last one takes the name along.
pub(super) fn release(fd: BorrowedFd<'_>, name: &ObjectName) {
    // Each attempt gives up our own shared lock, which is what we want anyway; whoever still holds the object will come here
    // in turn. Of several who let go at once, the last one to ask for the exclusive lock gets it.
    for round in 0..150 {
        if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Who may not remove it leaves that to its owner: without a holder the name counts as gone.
            let _ = remove(fd, name.path());
            return;
        }
        if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
            // So nobody has the exclusive lock. If others have a shared one, this fails and leaves us without any.
            if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = remove(fd, name.path());
                return;
            }
            // It also fails for somebody who only looks, in just the instant in which we have none. Hardly twice.
            if flock(fd, FlockOperation::NonBlockingLockShared).is_ok() {
                if flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    let _ = remove(fd, name.path());
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

/// A memory that never had a name. Nobody can make it shorter, and no other user can open it anew by way of a descriptor.
pub(super) fn anonymous(wish: &Wish<'_>) -> Result<(OwnedFd, Pages), Failure> {
    let system = rustix::system::sysinfo();
    let all = (system.totalram as u64 + system.totalswap as u64).saturating_mul(u64::from(system.mem_unit));
    if wish.len > all {
        return Err(Failure::new(Reason::NoMemory).with_figure(all));
    }
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if wish.large_pages {
        // The kernel makes an object in huge pages as long as somebody maps.
        if wish.capacity.is_some() {
            return Err(Failure::new(Reason::FixedPages));
        }
        flags |= MemfdFlags::HUGETLB;
    }
    // Never executable, where the kernel can promise it (Linux 6.3).
    let fd = memfd_create("mmf", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("mmf", flags))
        .map_err(|errno| if wish.large_pages { pages::refused(errno) } else { errno.into() })?;
    fchmod(&fd, Mode::from_raw_mode(OWNER_ONLY))?;
    security::protect(fd.as_fd(), wish.protection, 0)?;
    prepare(&fd, wish)?;
    let pages = if wish.large_pages {
        pages::allocate(fd.as_fd(), wish.len)?
    } else {
        resize(&fd, wish.len)?;
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
pub(super) fn adopt(fd: OwnedFd, writable: bool) -> Result<(OwnedFd, Option<ObjectName>), Failure> {
    if rustix::fs::fcntl_getfl(&fd)?.contains(OFlags::PATH) {
        return Err(Failure::new(Reason::WrongKind));
    }
    // (What cannot be sealed has no seals.)
    let seals = fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
    if writable && seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(Failure::new(Reason::ReadOnly));
    }
    if !is_ours(&fstat(&fd)?) {
        return Ok((fd, None));
    }
    let path = readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
    let Some(name) = path.ok().and_then(ObjectName::from_path) else { return Ok((fd, None)) };
    Ok((reopen(fd.as_fd(), writable)?, Some(name)))
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
        let Ok(fd) = look(path, OFlags::RDONLY) else { continue };
        if fstat(&fd).is_ok_and(|stat| is_ours(&stat))
            && flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = remove(&fd, path);
        }
    }
    Ok(())
}

/// Whether no process holds what has this path. Asking changes nothing.
pub(super) fn is_stale(path: &CStr) -> bool {
    let Ok(fd) = look(path, OFlags::RDONLY) else { return false };
    if !fstat(&fd).is_ok_and(|stat| is_ours(&stat)) {
        return false;
    }
    // Not by a shared lock, as `holders` does: a last holder who lets go meanwhile would take it for another one. So this
    // misses an object that somebody else looks at in the same moment; the documentation of `Entry::is_stale` says so.
    let stale = flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok();
    if stale {
        unlock(&fd);
    }
    stale
}

/// What can be seen of a name. Nothing is locked for longer than a look takes, nothing is removed.
pub(crate) fn sight(name: &ObjectName) -> Sighting {
    let stat = match lstat(name.path()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Sighting::default(),
        // It is the directory that does not let us look.
        Err(_) => return Sighting { presence: Presence::NoPlace, ..Sighting::default() },
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("directory"),
        FileType::Symlink => Some("symbolic link"),
        FileType::Socket => Some("socket"),
        FileType::Fifo => Some("pipe"),
        _ => Some("device"),
    };
    if let Some(kind) = kind {
        return Sighting { presence: Presence::Other(kind.to_owned()), ..Sighting::default() };
    }
    let user = rustix::process::geteuid();
    let presence = if name.is_local() && stat.st_uid != user.as_raw() {
        Presence::Strangers
    } else if is_ours(&stat) && is_stale(name.path()) {
        let removable = stat.st_uid == user.as_raw() || is_capable(Capability::Owner);
        Presence::Abandoned { removable }
    } else if stat.st_size == 0 {
        Presence::Unfinished { ours: is_ours(&stat) }
    } else {
        Presence::Memory
    };
    // What counts as gone cannot be opened.
    let may = |access| !matches!(presence, Presence::Abandoned { .. }) && look(name.path(), access).is_ok();
    Sighting {
        len: u64::try_from(stat.st_size).ok().filter(|len| *len > 0),
        may_read: may(OFlags::RDONLY),
        may_write: may(OFlags::RDWR),
        presence,
        shown: Some(security::shown(&stat, security::list_at(name.path()))),
    }
}

const PLACE: &str = "/dev/shm";

/// What is left where named memories are.
#[allow(clippy::unnecessary_wraps, reason = "other systems cannot say")]
pub(crate) fn space() -> Option<Space> {
    use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
    let mut space = Space { place: PLACE, is_mount: true, left: u64::MAX, limit: u64::MAX, trouble: None };
    let Ok(system) = statvfs(PLACE) else {
        return Some(Space { trouble: Some(Trouble::Missing), ..space });
    };
    if system.f_blocks > 0 {
        space.left = system.f_bavail.saturating_mul(system.f_frsize);
        space.limit = system.f_blocks.saturating_mul(system.f_frsize);
    }
    let access = accessat(CWD, PLACE, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    space.trouble = if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
        Some(Trouble::ReadOnly)
    } else if matches!(access, Err(Errno::ACCESS | Errno::PERM)) {
        Some(Trouble::Denied)
    } else if system.f_files > 0 && system.f_favail == 0 {
        Some(Trouble::NoFiles)
    } else {
        None
    };
    Some(space)
}

/// Whether single users can be granted something: where the mount has access lists.
pub(crate) fn grants_to_users() -> bool {
    let answer = rustix::fs::lgetxattr(PLACE, "system.posix_acl_access", &mut [0_u8; 0][..]);
    !matches!(answer, Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOENT))
}
