//! The named memories of the machine.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use super::name::{DIRECTORY, split_local};
use super::name_probe;
use crate::sys::{Failure, Found, Reason};

/// Reads `/dev/shm`. Other systems cannot list their objects.
pub(crate) fn list() -> Result<Vec<Found>, Failure> {
    read(true)
}

/// More names are not compared with one that is not found: programs wait for others by trying to open.
const MOST: usize = 1000;

/// The same, without opening each to see whether it is stale; of very many, some.
pub(crate) fn names() -> Result<Vec<Found>, Failure> {
    read(false)
}

fn read(look: bool) -> Result<Vec<Found>, Failure> {
    if DIRECTORY == "/" {
        return Err(Failure::new(Reason::Unsupported));
    }
    let user = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    let most = if look { usize::MAX } else { MOST };
    for entry in std::fs::read_dir(DIRECTORY)?.take(most) {
        let entry = entry?;
        // What vanishes while we look was not there.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(path) = CString::new([DIRECTORY.as_bytes(), entry.file_name().as_bytes()].concat()) else {
            continue;
        };
        let object = entry.file_name().to_string_lossy().into_owned();
        let (global, text) = match split_local(&object) {
            Some((owner, text)) if owner == user => (false, text.to_owned()),
            // Another user's local names: no name of ours reaches them.
            Some(_) => continue,
            None => (true, object),
        };
        found.push(Found { global, text, stale: look && name_probe::is_stale(&path) });
    }
    found.sort_by(|a, b| (a.global, &a.text).cmp(&(b.global, &b.text)));
    Ok(found)
}
