//! Queries that change nothing: about names, and about the limits of the system.

use std::os::windows::io::{AsHandle, OwnedHandle};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, FILE_MAP_WRITE, SECTION_QUERY};

use super::api::READ_CONTROL;
use super::memory::Object;
use super::name::ObjectName;
use super::{LastError, api, descriptor, limits as memory, list, namespace};
use crate::sys::{
    Confinement, Failure, FaultSign, Holders, Limits, MapLimits, MemoryGroup, NameProbe, NameState,
    RawSecurity, Space,
};

/// Probes a name. Each right is requested separately, so each result is the decision of the system.
pub(crate) fn probe_name(name: &ObjectName) -> NameProbe {
    let probe = |access| api::open_file_mapping(access, name.as_wide());
    let query = probe(SECTION_QUERY);
    match &query {
        Err(LastError(win::ERROR_FILE_NOT_FOUND | win::ERROR_PATH_NOT_FOUND)) => return NameProbe::default(),
        Err(LastError(win::ERROR_INVALID_HANDLE)) => {
            let kind =
                list::type_name(name).map_or("object of another kind".to_owned(), |name| in_words(&name));
            return NameProbe { state: NameState::Other(kind), ..NameProbe::default() };
        }
        _ => {}
    }
    // As in `Object::open`, so that both determine the length in the same way.
    let read = probe(FILE_MAP_READ | SECTION_QUERY).or_else(|_| probe(FILE_MAP_READ));
    let write = probe(FILE_MAP_READ | FILE_MAP_WRITE);
    let control = probe(READ_CONTROL);
    if [&query, &read, &write, &control].iter().all(|answer| answer.is_err()) {
        // The region has disappeared meanwhile, or grants this process no right.
        let gone = matches!(read, Err(LastError(win::ERROR_FILE_NOT_FOUND)));
        let state = if gone { NameState::Nothing } else { NameState::Hidden };
        return NameProbe { state, ..NameProbe::default() };
    }
    let descriptor = control.ok().and_then(|handle| descriptor::of(handle.as_handle()).ok());
    let (may_read, may_write) = (read.is_ok(), write.is_ok());
    let len = len(read).or_else(|| len(query));
    // A reserved section without committed pages. This library commits pages immediately after creation,
    // another creator at any later time.
    let state = if len == Some(0) { NameState::Unfinished { ours: false } } else { NameState::Memory };
    NameProbe {
        state,
        len: len.filter(|len| *len > 0),
        may_read,
        may_write,
        raw_security: descriptor.map(RawSecurity::Descriptor),
        ..NameProbe::default()
    }
}

/// Returns the length of a section. A handle with `SECTION_QUERY` alone cannot determine the committed part
/// of a reserved section, and under Wine no length.
fn len(handle: Result<OwnedHandle, LastError>) -> Option<u64> {
    Object::len_of(handle.ok()?).ok()
}

/// Returns the common term for a type of the object manager.
fn in_words(type_name: &str) -> String {
    match type_name {
        "Mutant" => "mutex".to_owned(),
        "SymbolicLink" => "symbolic link".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Returns the free part of the storage for sections.
pub(crate) fn space() -> Option<Space> {
    let commit = memory::commit().ok()?;
    Some(Space {
        place: "the commit limit (RAM and page files)",
        is_mount: false,
        left: commit.left,
        limit: commit.limit,
        problem: None,
    })
}

/// Classifies an exception and the status that caused it.
pub(crate) fn fault_sign(code: u32, detail: i32) -> FaultSign {
    if code != u32::from_ne_bytes(win::EXCEPTION_IN_PAGE_ERROR.to_ne_bytes()) {
        return FaultSign::Inaccessible;
    }
    match detail {
        win::STATUS_DISK_FULL
        | win::STATUS_COMMITMENT_LIMIT
        | win::STATUS_INSUFFICIENT_RESOURCES
        | win::STATUS_QUOTA_EXCEEDED => FaultSign::NoStorage,
        _ => FaultSign::Device,
    }
}

/// Returns `None`: only Linux has control groups.
pub(crate) fn memory_group() -> Option<MemoryGroup> {
    None
}

pub(crate) fn pool(_size: u64) -> Option<u64> {
    None
}

pub(crate) fn promised() -> Option<u64> {
    None
}

pub(crate) fn map_limits() -> MapLimits {
    MapLimits::default()
}

pub(crate) fn confinement() -> Confinement {
    Confinement::default()
}

pub(crate) fn holders_of(_device: u64, _inode: u64) -> Holders {
    Holders::default()
}

/// Returns no limits: Windows has none of these.
pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// Returns `None`: Windows has no fixed limit for locked pages.
pub(crate) fn locked_limit() -> Option<u64> {
    None
}

/// Returns the name and the value of the limit that a failure is about.
pub(crate) fn limit_reached(failure: Failure) -> Option<(&'static str, u64)> {
    Some(("the working set", failure.figure?))
}

/// Returns true: a security descriptor can grant access to any account.
pub(crate) fn grants_to_users() -> bool {
    true
}

/// Whether this system has private namespaces.
pub(crate) fn has_private_namespaces() -> bool {
    namespace::is_available()
}

/// Rounds a length up to whole pages, as the system does for sections.
pub(crate) fn rounded(len: u64) -> u64 {
    let page = u64::from(api::get_system_info().dwPageSize);
    len.checked_next_multiple_of(page).unwrap_or(len)
}

/// Returns the size of a page, the granularity of the offsets of views, and the size of a large page.
pub(crate) fn page_sizes() -> (u64, u64, Option<u64>) {
    let system = api::get_system_info();
    (u64::from(system.dwPageSize), u64::from(system.dwAllocationGranularity), memory::large_page_minimum())
}

/// Returns false: a name cannot lead to another object while this one is open, since it lives as long as the
/// last handle.
pub(crate) fn names_are_replaceable() -> bool {
    false
}
