//! The properties that distinguish the objects of this library and of this user, and opening an object to
//! examine it.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    FileType, FlockOperation, Mode, OFlags, Stat, fcntl_getfl, fcntl_setfl, flock, open as open_file,
};
use rustix::io::Errno;

use super::account::stands_for_unmapped;

/// The mark of this library's objects: set-group-id and sticky without any execute bit. The combination has
/// no meaning for a file, so other programs have no reason to set it.
pub(super) const MARK: u32 = 0o3000;

pub(super) fn is_ours(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & (MARK | 0o111) == MARK
}

/// Returns how many names an object has.
pub(super) fn names_of(stat: &Stat) -> u64 {
    #[allow(clippy::useless_conversion, reason = "it has 32 bits elsewhere")]
    u64::from(stat.st_nlink)
}

/// Whether the object belongs to the effective user of this process.
pub(super) fn is_own(fd: impl AsFd, stat: &Stat) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stat.st_uid == user && (!stands_for_unmapped(user) || acts_as_owner(fd))
}

/// Whether the kernel permits this process to do what only the owner may do. The kernel compares users, not
/// the ids that they have in this user namespace.
fn acts_as_owner(fd: impl AsFd) -> bool {
    // Setting `O_NOATIME` requires ownership, and has no effect on an object in memory.
    let Ok(flags) = fcntl_getfl(&fd) else { return false };
    let allowed = fcntl_setfl(&fd, flags | OFlags::NOATIME).is_ok();
    let _ = fcntl_setfl(&fd, flags);
    allowed
}

/// Whether the user id of an object's owner identifies a user.
pub(super) fn is_owner_certain(fd: impl AsFd, uid: u32) -> bool {
    !stands_for_unmapped(uid) || (uid == rustix::process::geteuid().as_raw() && acts_as_owner(fd))
}

/// Releases a lock that was acquired only to probe. Closing the descriptor would not suffice: a child that
/// another thread has forked meanwhile has the descriptor, too.
pub(super) fn unlock(fd: &OwnedFd) {
    let _ = flock(fd, FlockOperation::NonBlockingUnlock);
}

/// Opens the object at a path without blocking and without following links.
pub(super) fn open_path(path: &CStr, access: OFlags) -> Result<OwnedFd, Errno> {
    open_file(path, access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
}
