//! What can be learnt without changing anything.

use std::os::windows::io::{AsHandle, OwnedHandle};

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, FILE_MAP_WRITE, SECTION_QUERY};

use super::memory::Object;
use super::name::ObjectName;
use super::{LastError, api, boundary, descriptor, limits as memory, list};
use crate::sys::{
    Confinement, Failure, FaultSign, Holders, Limits, MapLimits, MemoryGroup, NameProbe, NameState,
    RawSecurity, Space,
};

const READ_CONTROL: u32 = 0x2_0000;

/// What can be seen of a name: each right is asked for by itself, so the answers are the system's own.
pub(crate) fn probe_name(name: &ObjectName) -> NameProbe {
    let probe = |access| api::open_section(access, name);
    let query = probe(SECTION_QUERY);
    match &query {
        Err(LastError(win::ERROR_FILE_NOT_FOUND | win::ERROR_PATH_NOT_FOUND)) => return NameProbe::default(),
        Err(LastError(win::ERROR_INVALID_HANDLE)) => {
            let kind = list::kind(name).map_or("object of another kind".to_owned(), |kind| in_words(&kind));
            return NameProbe { state: NameState::Other(kind), ..NameProbe::default() };
        }
        _ => {}
    }
    // As `Object::open` does, so that both learn the length in the same way.
    let read = probe(FILE_MAP_READ | SECTION_QUERY).or_else(|_| probe(FILE_MAP_READ));
    let write = probe(FILE_MAP_READ | FILE_MAP_WRITE);
    let control = probe(READ_CONTROL);
    if [&query, &read, &write, &control].iter().all(|answer| answer.is_err()) {
        // Gone meanwhile, or closed to us in every way.
        let gone = matches!(read, Err(LastError(win::ERROR_FILE_NOT_FOUND)));
        let presence = if gone { NameState::Nothing } else { NameState::Hidden };
        return NameProbe { state: presence, ..NameProbe::default() };
    }
    let shown = control.ok().and_then(|handle| descriptor::of(handle.as_handle()).ok());
    let (may_read, may_write) = (read.is_ok(), write.is_ok());
    let len = len(read).or_else(|| len(query));
    // Reserved memory of which nothing is committed. Its creator commits a part at once, or when it likes.
    let presence = if len == Some(0) { NameState::Unfinished { ours: false } } else { NameState::Memory };
    NameProbe {
        state: presence,
        len: len.filter(|len| *len > 0),
        may_read,
        may_write,
        raw_security: shown.map(RawSecurity::Descriptor),
        ..NameProbe::default()
    }
}

/// The length of a section. A handle that may only ask does not learn how much of reserved memory is committed, and under Wine nothing.
fn len(handle: Result<OwnedHandle, LastError>) -> Option<u64> {
    Object::len_of(handle.ok()?).ok()
}

/// The object manager's names of kinds, as people call them.
fn in_words(kind: &str) -> String {
    match kind {
        "Mutant" => "mutex".to_owned(),
        "SymbolicLink" => "symbolic link".to_owned(),
        kind => kind.to_lowercase(),
    }
}

/// What is left of what sections are made of.
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

/// What an exception and the status behind it say about a page.
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

/// These are Linux' own.
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

/// Windows has none of those.
pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// How much can be kept in RAM is not fixed here.
pub(crate) fn locked_limit() -> Option<u64> {
    None
}

/// The limit that a failure is about.
pub(crate) fn limit_reached(failure: Failure) -> Option<(&'static str, u64)> {
    Some(("the working set", failure.figure?))
}

/// A descriptor can name anybody.
pub(crate) fn grants_to_users() -> bool {
    true
}

pub(crate) fn has_private_namespaces() -> bool {
    boundary::is_available()
}

/// Sections have whole pages.
pub(crate) fn rounded(len: u64) -> u64 {
    let page = u64::from(api::system_info().dwPageSize);
    len.checked_next_multiple_of(page).unwrap_or(len)
}

/// The size of a page; what offsets of views are rounded to inside; the size of a large page.
pub(crate) fn page_sizes() -> (u64, u64, Option<u64>) {
    let system = api::system_info();
    (u64::from(system.dwPageSize), u64::from(system.dwAllocationGranularity), memory::large_page_minimum())
}

/// A name goes with the last handle, and no earlier.
pub(crate) fn names_are_replaceable() -> bool {
    false
}
