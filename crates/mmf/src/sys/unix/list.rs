//! The named regions of the machine.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use super::name::{DIRECTORY, split_local};
use super::name_probe;
use crate::sys::{Failure, Found, Reason};

/// Lists `/dev/shm`. Fails on other systems, which cannot list their objects.
pub(crate) fn list() -> Result<Vec<Found>, Failure> {
    read(true)
}

/// The maximum number of names that a missing name is compared with. It is bounded, since programs poll for a
/// region by opening it.
const MOST: usize = 1000;

/// Lists names without opening the objects to see whether they are stale, up to [`MOST`] of them.
pub(crate) fn names() -> Result<Vec<Found>, Failure> {
    read(false)
}

fn read(probe: bool) -> Result<Vec<Found>, Failure> {
    if DIRECTORY == "/" {
        return Err(Failure::new(Reason::Unsupported));
    }
    let user = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    let most = if probe { usize::MAX } else { MOST };
    for entry in std::fs::read_dir(DIRECTORY)?.take(most) {
        let entry = entry?;
        // An object that vanishes during the listing counts as removed before it.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(path) = CString::new([DIRECTORY.as_bytes(), entry.file_name().as_bytes()].concat()) else {
            continue;
        };
        let object = entry.file_name().to_string_lossy().into_owned();
        let (global, text) = match split_local(&object) {
            Some((owner, text)) if owner == user => (false, text.to_owned()),
            // A local name of another user, which no name of this user reaches.
            Some(_) => continue,
            None => (true, object),
        };
        found.push(Found { global, text, stale: probe && name_probe::is_stale(&path) });
    }
    found.sort_by(|a, b| (a.global, &a.text).cmp(&(b.global, &b.text)));
    Ok(found)
}
