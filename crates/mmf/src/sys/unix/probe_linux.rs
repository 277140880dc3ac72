//! Probes of names on Linux.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, OFlags, Stat, flock, fstat, lstat};
use rustix::io::Errno;

use super::account::{Capability, is_capable, stands_for_unmapped};
use super::links::links_of;
use super::marks::{is_ours, is_own, open_path, unlock};
use super::name::ObjectName;
use super::object_id::identity_of;
use super::{facts, security};
use crate::sys::{NameProbe, NameState, Space, StorageProblem};

/// Whether any user may rename objects of others. Then a name does not identify the creator of its object.
pub(crate) fn names_are_replaceable() -> bool {
    const STICKY: u32 = 0o1000;
    const OTHERS_MAY_WRITE: u32 = 0o002;
    // Queried until the answer is no. Only an administrator can change that later.
    static CERTAIN: AtomicBool = AtomicBool::new(false);
    if CERTAIN.load(Ordering::Relaxed) {
        return false;
    }
    let open = rustix::fs::stat(PLACE)
        .is_ok_and(|stat| stat.st_mode & (STICKY | OTHERS_MAY_WRITE) == OTHERS_MAY_WRITE);
    CERTAIN.store(!open, Ordering::Relaxed);
    open
}

/// Whether no process holds the object at a path. Changes nothing.
pub(super) fn is_stale(path: &CStr) -> bool {
    let Ok(fd) = open_path(path, OFlags::RDONLY) else { return false };
    // As in `linked`: the name may not be the object's own, so the object is not locked.
    let to_be_asked = |stat: Stat| is_ours(&stat) && (stat.st_nlink == 1 || is_own(&fd, &stat));
    if !fstat(&fd).is_ok_and(to_be_asked) {
        return false;
    }
    // Not by a shared lock, as in `holders`: the last holder, if it released the object meanwhile, would take
    // that lock for another holder's. Hence the answer is wrong for an object that another process probes at
    // the same moment, as the documentation of `ListEntry::is_stale` states.
    let stale = flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok();
    if stale {
        unlock(&fd);
    }
    stale
}

/// Probes a name. Locks an object only for the probe itself, and removes nothing.
pub(crate) fn probe_name(name: &ObjectName) -> NameProbe {
    let stat = match lstat(name.path()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return NameProbe::default(),
        // The directory cannot be searched.
        Err(_) => return NameProbe { state: NameState::NoPlace, ..NameProbe::default() },
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
        return NameProbe { state: NameState::Other(kind.to_owned()), ..NameProbe::default() };
    }
    let fd = open_path(name.path(), OFlags::RDONLY).ok();
    let own = match &fd {
        Some(fd) => is_own(fd, &stat),
        None => stat.st_uid == rustix::process::geteuid().as_raw() && !stands_for_unmapped(stat.st_uid),
    };
    let linked = links_of(&stat);
    let presence = if name.is_local() && !own {
        NameState::Strangers
    } else if is_ours(&stat) && is_stale(name.path()) {
        let removable = own || is_capable(Capability::Owner);
        NameState::Stale { removable }
    } else if linked.is_some() && (is_ours(&stat) || name.is_local()) {
        NameState::Linked
    } else if stat.st_size == 0 {
        NameState::Unfinished { ours: is_ours(&stat) }
    } else {
        NameState::Memory
    };
    // Objects that count as missing, or are refused, cannot be opened.
    let usable = !matches!(presence, NameState::Stale { .. } | NameState::Linked);
    let read = match &fd {
        Some(_) => Ok(()),
        None => open_path(name.path(), OFlags::RDONLY).map(drop),
    };
    let write = open_path(name.path(), OFlags::RDWR).map(drop);
    let obstacle = [read, write].iter().find_map(|answer| match answer {
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) | Ok(()) => None,
        Err(errno) => Some(errno.raw_os_error()),
    });
    // The lock can be tried only through a descriptor.
    let is_closed = is_ours(&stat) && read.is_err() && obstacle.is_none();
    NameProbe {
        len: u64::try_from(stat.st_size).ok().filter(|len| *len > 0),
        may_read: usable && read.is_ok(),
        may_write: usable && write.is_ok(),
        state: presence,
        raw_security: Some(security::raw(&stat, security::list_at(name.path()))),
        linked,
        owner_is_unmapped: stands_for_unmapped(stat.st_uid) && !own,
        replaceable: names_are_replaceable(),
        identity: Some(identity_of(&stat)),
        changed: changed(&stat),
        allocated: u64::try_from(stat.st_blocks).ok().and_then(|blocks| blocks.checked_mul(512)),
        path: name.path().to_str().ok().map(str::to_owned),
        held: if is_closed { facts::is_locked(stat.st_dev, stat.st_ino) } else { None },
        obstacle,
    }
}

/// Returns the time of the object's creation or of the last change of its metadata.
#[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion, reason = "the widths differ")]
fn changed(stat: &Stat) -> Option<std::time::SystemTime> {
    let (seconds, nanoseconds) =
        (u64::try_from(stat.st_ctime).ok()?, u64::try_from(stat.st_ctime_nsec).ok()?);
    std::time::UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

const PLACE: &str = "/dev/shm";

/// Returns the storage that is left for named regions.
#[allow(clippy::unnecessary_wraps, reason = "other systems cannot say")]
pub(crate) fn space() -> Option<Space> {
    use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
    let mut space = Space { place: PLACE, is_mount: true, left: u64::MAX, limit: u64::MAX, problem: None };
    let is_directory = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    match rustix::fs::stat(PLACE).map(is_directory) {
        Ok(true) => {}
        Ok(false) => return Some(Space { problem: Some(StorageProblem::NotDirectory), ..space }),
        Err(_) => return Some(Space { problem: Some(StorageProblem::Missing), ..space }),
    }
    let Ok(system) = statvfs(PLACE) else {
        return Some(Space { problem: Some(StorageProblem::Missing), ..space });
    };
    if system.f_blocks > 0 {
        space.left = system.f_bavail.saturating_mul(system.f_frsize);
        space.limit = system.f_blocks.saturating_mul(system.f_frsize);
    }
    let access = accessat(CWD, PLACE, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    space.problem = if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
        Some(StorageProblem::ReadOnly)
    } else if matches!(access, Err(Errno::ACCESS | Errno::PERM)) {
        Some(StorageProblem::Denied)
    } else if system.f_files > 0 && system.f_favail == 0 {
        Some(StorageProblem::NoFiles)
    } else {
        None
    };
    Some(space)
}

/// Whether the mount has access lists, so that single users can be granted rights.
pub(crate) fn grants_to_users() -> bool {
    let answer = rustix::fs::lgetxattr(PLACE, "system.posix_acl_access", &mut [0_u8; 0][..]);
    !matches!(answer, Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOENT))
}
