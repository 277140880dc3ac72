//! Probes of names where named objects are not files.

use rustix::fs::{Mode, fstat};
use rustix::io::Errno;
use rustix::shm::{OFlags, open as open_object};

use super::name::ObjectName;
use super::security;
use crate::sys::{NameProbe, NameState, Space};

/// Probes a name.
pub(crate) fn probe_name(name: &ObjectName) -> NameProbe {
    let fd = match open_object(name.path(), OFlags::RDONLY, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return NameProbe::default(),
        Err(_) => return NameProbe { state: NameState::Hidden, ..NameProbe::default() },
    };
    let Ok(stat) = fstat(&fd) else {
        return NameProbe { state: NameState::Hidden, ..NameProbe::default() };
    };
    let len = u64::try_from(stat.st_size).ok().filter(|len| *len > 0);
    let presence = if name.is_local() && stat.st_uid != rustix::process::geteuid().as_raw() {
        NameState::Strangers
    } else if len.is_none() {
        NameState::Unfinished { ours: false }
    } else {
        NameState::Memory
    };
    NameProbe {
        state: presence,
        len,
        may_read: true,
        may_write: open_object(name.path(), OFlags::RDWR, Mode::empty()).is_ok(),
        raw_security: security::of(&fd).ok(),
        ..NameProbe::default()
    }
}

/// Returns `None`: these systems do not report free storage.
pub(crate) fn space() -> Option<Space> {
    None
}

/// Returns false: these systems cannot rename objects.
pub(crate) fn names_are_replaceable() -> bool {
    false
}

/// Returns false: these objects have no access lists.
pub(crate) fn grants_to_users() -> bool {
    false
}

pub(super) fn is_stale(_path: &std::ffi::CStr) -> bool {
    false
}
