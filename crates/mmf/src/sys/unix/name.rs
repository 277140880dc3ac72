//! Names of POSIX shared memory objects.
//!
//! `Global\x` is the object `/x`: what C, Python and Boost call `x`. `Local\x` is `/mmf.UID.x`.

use std::ffi::CString;

use rustix::process::geteuid;

use crate::sys::{Failure, Reason};

/// The maximum length of a system name in bytes, without the leading slash.
#[cfg(not(target_vendor = "apple"))]
const LONGEST: usize = 255;
#[cfg(target_vendor = "apple")]
const LONGEST: usize = 30;

const LOCAL: &str = "mmf.";

/// A name in the system's spelling.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    path: CString,
    local: bool,
}

impl ObjectName {
    /// Checks that the system accepts the name.
    pub(crate) fn check(global: bool, text: &str) -> Result<(), Failure> {
        let bad = Failure::new(Reason::BadName);
        // The file names of local names are reserved for them, so that one object has one name.
        if text.contains('/') || (global && split_local(text).is_some()) {
            return Err(bad);
        }
        // The limit is the same for all users, whatever the length of their ids.
        let longest = if global { LONGEST } else { LONGEST - LOCAL.len() - "4294967295.".len() };
        if text.len() > longest { Err(bad.with_figure(longest as u64)) } else { Ok(()) }
    }

    pub(crate) fn new(global: bool, text: &str) -> Result<Self, Failure> {
        Self::check(global, text)?;
        let bad = Failure::new(Reason::BadName);
        let path = if global {
            format!("{DIRECTORY}{text}")
        } else {
            format!("{DIRECTORY}{LOCAL}{}.{text}", geteuid().as_raw())
        };
        let path = CString::new(path).map_err(|_| bad)?;
        Ok(ObjectName { path, local: !global })
    }

    /// Translates the path of an object back into its name.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn from_path(path: CString) -> Option<Self> {
        let object = path.to_str().ok()?.strip_prefix(DIRECTORY)?;
        let local = split_local(object).is_some_and(|(user, _)| user == geteuid().as_raw());
        Some(ObjectName { path, local })
    }

    pub(super) fn path(&self) -> &std::ffi::CStr {
        &self.path
    }

    /// Whether the name is reserved for this user.
    pub(super) fn is_local(&self) -> bool {
        self.local
    }
}

/// The directory of the objects where they are files, elsewhere the slash that their names start with.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const DIRECTORY: &str = "/dev/shm/";
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const DIRECTORY: &str = "/";

/// Splits the file name of a local name into the user id and the text.
pub(super) fn split_local(object: &str) -> Option<(u32, &str)> {
    let (uid, text) = object.strip_prefix(LOCAL)?.split_once('.')?;
    Some((uid.parse().ok()?, text))
}
