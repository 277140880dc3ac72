//! The protection of objects.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Stat, fstat};

use crate::sys::{Failure, RawSecurity, Reason};

/// The protection that an object is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    /// The nine permission bits.
    pub(crate) mode: u32,
    /// Irrelevant as long as only the owner has rights.
    pub(crate) group: u32,
    /// An access list in the format of its extended attribute.
    pub(crate) list: Option<Vec<u8>>,
}

impl Default for Protection {
    fn default() -> Self {
        Protection { mode: OWNER_ONLY, group: 0, list: None }
    }
}

pub(super) const OWNER_ONLY: u32 = 0o600;
#[cfg(any(target_os = "linux", target_os = "android"))]
const LIST: &str = "system.posix_acl_access";

/// Protects a new object, which until now only its owner can access and no process uses. `mark` holds further
/// mode bits.
///
/// The group and the default list that the object may have inherited from its directory are overwritten; they
/// would take effect as soon as the mode grants rights to a group. Finally the function reads everything
/// back, since systems change modes silently.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn protect(fd: BorrowedFd<'_>, protection: &Protection, mark: u32) -> Result<(), Failure> {
    use rustix::fs::{Gid, Mode, XattrFlags, fchmod, fchown, fremovexattr, fsetxattr};
    if protection.mode == OWNER_ONLY && protection.list.is_none() {
        return Ok(());
    }
    debug_assert_eq!(protection.mode & 0o7111, 0);
    fchown(fd, None, Some(Gid::from_raw(protection.group)))?;
    match &protection.list {
        Some(list) => fsetxattr(fd, LIST, list, XattrFlags::empty())?,
        // A file system without lists has none to remove.
        None => drop(fremovexattr(fd, LIST)),
    }
    // After the list, which sets mode bits as well. The mode at creation would not suffice, since the umask
    // removes bits.
    let mode = mark | protection.mode;
    fchmod(fd, Mode::from_raw_mode(mode))?;
    let stat = fstat(fd)?;
    if (stat.st_mode & 0o7777, stat.st_gid) == (mode, protection.group) {
        Ok(())
    } else {
        Err(Failure::new(Reason::Unsupported))
    }
}

/// Checks the protection. On other systems an object has its mode from creation on, and never changes it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn protect(fd: BorrowedFd<'_>, protection: &Protection, _mark: u32) -> Result<(), Failure> {
    if protection.mode == OWNER_ONLY && protection.list.is_none() {
        return Ok(());
    }
    let stat = fstat(fd)?;
    let is_said = u32::from(stat.st_mode) & 0o777 == protection.mode && stat.st_gid == protection.group;
    if is_said && protection.list.is_none() { Ok(()) } else { Err(Failure::new(Reason::Unsupported)) }
}

/// Returns the protection of an object.
pub(super) fn of(fd: impl AsFd) -> Result<RawSecurity, Failure> {
    Ok(raw(&fstat(&fd)?, list_of(fd.as_fd())))
}

pub(super) fn raw(stat: &Stat, list: Option<Vec<u8>>) -> RawSecurity {
    #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
    let mode = u32::from(stat.st_mode);
    RawSecurity::Posix { uid: stat.st_uid, gid: stat.st_gid, mode: mode & 0o777, list }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn list_of(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    whole(|room| rustix::fs::fgetxattr(fd, LIST, room))
}

/// Returns the access list of the object at a path.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn list_at(path: &std::ffi::CStr) -> Option<Vec<u8>> {
    whole(|room| rustix::fs::lgetxattr(path, LIST, room))
}

/// Reads an attribute, whose maximum length is 64 KiB.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn whole(query: impl Fn(&mut [u8]) -> Result<usize, rustix::io::Errno>) -> Option<Vec<u8>> {
    let mut room = vec![0; 64 << 10];
    let len = query(&mut room).ok()?;
    room.truncate(len);
    Some(room)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn list_of(_fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    None
}
