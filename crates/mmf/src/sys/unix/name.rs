//! Names of POSIX shared memory objects.
//!
//! `Global\x` is the object `/x`: what C, Python and Boost call `x`. `Local\x` is `/mmf.UID.x`.

use std::ffi::CString;

use rustix::process::geteuid;

use crate::sys::{Failure, Reason};

/// What the system's own object names may hold, in bytes (without the leading slash).
#[cfg(not(target_vendor = "apple"))]
const LONGEST: usize = 255;
#[cfg(target_vendor = "apple")]
const LONGEST: usize = 30;

const LOCAL: &str = "mmf.";

/// A name as the system spells it.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    path: CString,
    local: bool,
}

impl ObjectName {
    /// Whether the system can have such a name.
    pub(crate) fn check(global: bool, text: &str) -> Result<(), Failure> {
        let bad = Failure::new(Reason::BadName);
        // The file names of the local namespace belong to it alone, so that one object has one name.
        if text.contains('/') || (global && split_local(text).is_some()) {
            return Err(bad);
        }
        // For everybody the same, whatever the user's number.
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

    /// The name of an object that is known by its path.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn from_path(path: CString) -> Option<Self> {
        let object = path.to_str().ok()?.strip_prefix(DIRECTORY)?;
        let local = split_local(object).is_some_and(|(user, _)| user == geteuid().as_raw());
        Some(ObjectName { path, local })
    }

    pub(super) fn path(&self) -> &std::ffi::CStr {
        &self.path
    }

    /// Whether only this user may have made what has this name.
    pub(super) fn is_local(&self) -> bool {
        self.local
    }
}

/// Where the objects are files, their directory; elsewhere the slash that starts their names.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const DIRECTORY: &str = "/dev/shm/";
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const DIRECTORY: &str = "/";

/// The user and the text of a local name, as it is spelled among the objects.
pub(super) fn split_local(object: &str) -> Option<(u32, &str)> {
    let (uid, text) = object.strip_prefix(LOCAL)?.split_once('.')?;
    Some((uid.parse().ok()?, text))
}
