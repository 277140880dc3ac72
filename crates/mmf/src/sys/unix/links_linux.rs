//! The names of one object: finding and removing them.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, Stat, fchmod, fstat, lstat, open as open_file, unlink};
use rustix::io::Errno;

use super::marks::{MARK, names_of};
use super::name::DIRECTORY;
use super::object_id::{ObjectId, identity_of};
use super::security::OWNER_ONLY;
use crate::sys::Links;

/// Unlinks an object that the caller has locked exclusively, if this is still its name, and all its other
/// names.
///
/// Between the check and the unlinking another program may rename the object. A program that respects the
/// locks does not.
pub(super) fn remove(fd: impl AsFd, identity: ObjectId, path: &CStr) -> Result<(), Errno> {
    unlink_if(path, identity)?;
    // Not checked before the unlinking: a name can be added until the last one is removed, and never after
    // it.
    if fstat(&fd)?.st_nlink > 0 {
        remove_links(fd, identity);
    }
    Ok(())
}

fn unlink_if(path: &CStr, identity: ObjectId) -> Result<(), Errno> {
    match lstat(path) {
        Ok(named) if identity_of(&named) == identity => unlink(path),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Removes names that others have added. Otherwise the object would soon have a single name, and be trusted.
fn remove_links(fd: impl AsFd, identity: ObjectId) {
    // Otherwise a user with write access could go on adding names. Only the owner may do this, and remove
    // them.
    if fchmod(&fd, Mode::from_raw_mode(MARK | OWNER_ONLY)).is_err() {
        return;
    }
    // With fs.protected_hardlinks=0 any user can add names, so the loop is bounded.
    for _ in 0..10 {
        for path in paths_of(identity) {
            let _ = unlink_if(&path, identity);
        }
        if fstat(&fd).is_ok_and(|stat| stat.st_nlink == 0) {
            return;
        }
    }
}

/// Returns the paths of all names of an object in the directory of regions.
fn paths_of(identity: ObjectId) -> Vec<CString> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = open_file(DIRECTORY, flags, Mode::empty()) else { return Vec::new() };
    let Ok(entries) = rustix::fs::Dir::new(directory) else { return Vec::new() };
    let path = |name: &CStr| CString::new([DIRECTORY.as_bytes(), name.to_bytes()].concat()).ok();
    let mut paths: Vec<CString> = entries
        .filter_map(Result::ok)
        // The entry of a mount point has the inode of the directory beneath.
        .filter(|entry| entry.ino() == identity.1)
        .filter_map(|entry| path(entry.file_name()))
        .filter(|path| lstat(path.as_c_str()).is_ok_and(|stat| identity_of(&stat) == identity))
        .collect();
    paths.sort();
    paths
}

/// Returns the names of an object if it has more than one.
pub(super) fn links_of(stat: &Stat) -> Option<Links> {
    let count = names_of(stat);
    let name = |path: CString| {
        let path = path.to_string_lossy();
        path.strip_prefix(DIRECTORY).unwrap_or(&path).to_owned()
    };
    (count > 1).then(|| Links { count, found: paths_of(identity_of(stat)).into_iter().map(name).collect() })
}
