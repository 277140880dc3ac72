//! Who may open what is made here, and what an object says about it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Gid, Mode, RawMode, Stat, fchmod, fchown, fstat};

use crate::sys::{Failure, Shown};

/// Who may open an object: what it is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    /// The nine bits.
    pub(crate) mode: u32,
    /// Another group than that of this process.
    pub(crate) group: Option<u32>,
    /// An access list, as the extended attribute that holds it.
    pub(crate) list: Option<Vec<u8>>,
}

impl Default for Protection {
    fn default() -> Self {
        Protection { mode: OWNER_ONLY, group: None, list: None }
    }
}

pub(super) const OWNER_ONLY: u32 = 0o600;
#[cfg(any(target_os = "linux", target_os = "android"))]
const LIST: &str = "system.posix_acl_access";

/// Protects an object that has just been made, for its owner only, and that nobody uses yet. `mark` are more bits of the mode.
pub(super) fn protect(fd: BorrowedFd<'_>, protection: &Protection, mark: u32) -> Result<(), Failure> {
    if *protection == Protection::default() {
        return Ok(());
    }
    if let Some(group) = protection.group {
        fchown(fd, None, Some(Gid::from_raw(group)))?;
    }
    // After the list, which sets the bits of the mode, too; and not by the mode at creation, from which the umask takes away.
    if let Some(list) = &protection.list {
        set_list(fd, list)?;
    }
    let mode = mark | protection.mode;
    #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
    let mode = RawMode::try_from(mode).unwrap_or(0);
    Ok(fchmod(fd, Mode::from_raw_mode(mode))?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_list(fd: BorrowedFd<'_>, list: &[u8]) -> Result<(), Failure> {
    use rustix::fs::{XattrFlags, fsetxattr};
    Ok(fsetxattr(fd, LIST, list, XattrFlags::empty())?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_list(_fd: BorrowedFd<'_>, _list: &[u8]) -> Result<(), Failure> {
    Err(Failure::new(crate::sys::Reason::Unsupported))
}

/// What an object says.
pub(super) fn of(fd: impl AsFd) -> Result<Shown, Failure> {
    Ok(shown(&fstat(&fd)?, list_of(fd.as_fd())))
}

pub(super) fn shown(stat: &Stat, list: Option<Vec<u8>>) -> Shown {
    #[allow(clippy::useless_conversion, reason = "it has 16 bits elsewhere")]
    let mode = u32::from(stat.st_mode);
    Shown::Posix { uid: stat.st_uid, gid: stat.st_gid, mode: mode & 0o777, list }
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
