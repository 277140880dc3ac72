//! The identity of an object, which stays the same whatever its names are.

use std::os::fd::OwnedFd;

use rustix::fs::Stat;

/// Device and inode, which distinguish an object from all others that exist at the same time.
pub(crate) type ObjectId = (u64, u64);

pub(super) fn identity_of(stat: &Stat) -> ObjectId {
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "they have other types elsewhere")]
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// An object that was opened by its name.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    /// The object that the last holder removes, if the caller has become a holder.
    pub(super) held: Option<ObjectId>,
    pub(super) names: u64,
}
