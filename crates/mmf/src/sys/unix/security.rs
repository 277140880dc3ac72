//! Who may open what is made here, and what an object says about it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Stat, fstat};

use crate::sys::{Failure, RawSecurity, Reason};

/// Who may open an object: what it is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    /// The nine bits.
    pub(crate) mode: u32,
    /// Of no matter as long as nobody but the owner may anything.
    pub(crate) group: u32,
    /// An access list, as the extended attribute that holds it.
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

/// Protects an object that has just been made, for its owner only, and that nobody uses yet. `mark` are more bits of the mode.
///
/// What its directory may have passed on to it (a group, a default list) is overwritten: it would come to bear as soon as the
/// mode lets a group in. Then the system is asked whether all is as it was said, since it changes modes in silence.
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
        // Where there are no lists there is none to remove.
        None => drop(fremovexattr(fd, LIST)),
    }
    // After the list, which sets the bits of the mode, too; and not by the mode at creation, from which the umask takes away.
    let mode = mark | protection.mode;
    fchmod(fd, Mode::from_raw_mode(mode))?;
    let stat = fstat(fd)?;
    if (stat.st_mode & 0o7777, stat.st_gid) == (mode, protection.group) {
        Ok(())
    } else {
        Err(Failure::new(Reason::Unsupported))
    }
}

/// Shared memory objects of other systems take a mode when they are made, and change it later never.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn protect(fd: BorrowedFd<'_>, protection: &Protection, _mark: u32) -> Result<(), Failure> {
    if protection.mode == OWNER_ONLY && protection.list.is_none() {
        return Ok(());
    }
    let stat = fstat(fd)?;
    let is_said = u32::from(stat.st_mode) & 0o777 == protection.mode && stat.st_gid == protection.group;
    if is_said && protection.list.is_none() { Ok(()) } else { Err(Failure::new(Reason::Unsupported)) }
}

/// What an object says.
pub(super) fn of(fd: impl AsFd) -> Result<RawSecurity, Failure> {
    Ok(shown(&fstat(&fd)?, list_of(fd.as_fd())))
}

pub(super) fn shown(stat: &Stat, list: Option<Vec<u8>>) -> RawSecurity {
    #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
    let mode = u32::from(stat.st_mode);
    RawSecurity::Posix { uid: stat.st_uid, gid: stat.st_gid, mode: mode & 0o777, list }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn list_of(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    whole(|room| rustix::fs::fgetxattr(fd, LIST, room))
}

/// The access list of what has this path.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn list_at(path: &std::ffi::CStr) -> Option<Vec<u8>> {
    whole(|room| rustix::fs::lgetxattr(path, LIST, room))
}

/// The longest value that an attribute can have is 64 KiB.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn whole(ask: impl Fn(&mut [u8]) -> Result<usize, rustix::io::Errno>) -> Option<Vec<u8>> {
    let mut room = vec![0; 64 << 10];
    let len = ask(&mut room).ok()?;
    room.truncate(len);
    Some(room)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn list_of(_fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    None
}
