//! The names of one object, and their removal.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, Stat, fchmod, fstat, lstat, open as open_file, unlink};
use rustix::io::Errno;

use super::memory::{ObjectId, identity_of};
use super::name::DIRECTORY;
use super::named::{MARK, names_of};
use super::security::OWNER_ONLY;
use crate::sys::Links;

/// Unlinks an object on which the caller has the exclusive lock, if this is its name still; and whatever other names it has.
///
/// Between the look and the unlinking somebody may rename what is there; nobody who keeps to the locks does.
pub(super) fn remove(fd: impl AsFd, identity: ObjectId, path: &CStr) -> Result<(), Errno> {
    unlink_if(path, identity)?;
    // Not looked at before: a name can be added up to the moment when the last one is removed, and never after it.
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

/// Removes the names that others have added. Left behind, the object would soon have one name only, and be believed.
fn remove_links(fd: impl AsFd, identity: ObjectId) {
    // Otherwise a user who may write it could go on adding names. Only the owner may do this, and remove them.
    if fchmod(&fd, Mode::from_raw_mode(MARK | OWNER_ONLY)).is_err() {
        return;
    }
    // With fs.protected_hardlinks=0 it can be done without any right; so there is a bound.
    for _ in 0..10 {
        for path in paths_of(identity) {
            let _ = unlink_if(&path, identity);
        }
        if fstat(&fd).is_ok_and(|stat| stat.st_nlink == 0) {
            return;
        }
    }
}

/// The paths of all names that lead to an object, of those that can be asked for.
fn paths_of(identity: ObjectId) -> Vec<CString> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = open_file(DIRECTORY, flags, Mode::empty()) else { return Vec::new() };
    let Ok(entries) = rustix::fs::Dir::new(directory) else { return Vec::new() };
    let path = |name: &CStr| CString::new([DIRECTORY.as_bytes(), name.to_bytes()].concat()).ok();
    let mut paths: Vec<CString> = entries
        .filter_map(Result::ok)
        // (Of a mount point the entry has the number of what is beneath.)
        .filter(|entry| entry.ino() == identity.1)
        .filter_map(|entry| path(entry.file_name()))
        .filter(|path| lstat(path.as_c_str()).is_ok_and(|stat| identity_of(&stat) == identity))
        .collect();
    paths.sort();
    paths
}

/// The names that lead to an object, if there is more than one.
pub(super) fn links_of(stat: &Stat) -> Option<Links> {
    let count = names_of(stat);
    let name = |path: CString| {
        let path = path.to_string_lossy();
        path.strip_prefix(DIRECTORY).unwrap_or(&path).to_owned()
    };
    (count > 1).then(|| Links { count, found: paths_of(identity_of(stat)).into_iter().map(name).collect() })
}
