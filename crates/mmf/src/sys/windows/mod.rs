//! Windows: sections (Win32: file mapping objects) of the object manager, backed by the page file or by
//! files.
//!
//! Only `api` calls the system, by one thin wrapper per call. `fault` is called by the system.

pub(crate) mod account;
mod api;
pub(super) mod caller;
pub(crate) mod descriptor;
pub(crate) mod disk;
pub(crate) mod fault;
mod grants;
mod growth;
#[path = "../no_kernel.rs"]
pub(crate) mod kernel;
mod limits;
pub(super) mod list;
pub(crate) mod liveness;
pub(super) mod mapping;
pub(super) mod memory;
pub(super) mod name;
pub(crate) mod namespace;
mod privilege;
pub(super) mod probe;
pub(crate) mod process;
mod reply;
pub(super) mod security;
mod segment_objects;
mod self_relative;
mod sid;
pub(crate) mod wait;
mod wide;

use windows_sys::Win32::Foundation as win;

use crate::sys::{Failure, Reason};

/// An error of Win32, as `GetLastError` returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastError(u32);

impl From<LastError> for Failure {
    fn from(LastError(code): LastError) -> Self {
        let reason = match code {
            // (The system reports a missing path for a private namespace that does not exist.)
            win::ERROR_FILE_NOT_FOUND | win::ERROR_PATH_NOT_FOUND => Reason::Missing,
            win::ERROR_ALREADY_EXISTS | win::ERROR_FILE_EXISTS => Reason::Exists,
            win::ERROR_ACCESS_DENIED | win::ERROR_PRIVILEGE_NOT_HELD => Reason::Denied,
            // The name or the handle is that of another type of object.
            win::ERROR_INVALID_HANDLE => Reason::WrongKind,
            win::ERROR_NOT_ENOUGH_MEMORY
            | win::ERROR_OUTOFMEMORY
            | win::ERROR_COMMITMENT_LIMIT
            | win::ERROR_COMMITMENT_MINIMUM
            | win::ERROR_NO_SYSTEM_RESOURCES
            | win::ERROR_WORKING_SET_QUOTA
            | win::ERROR_NOT_ENOUGH_QUOTA
            | win::ERROR_DISK_FULL => Reason::NoMemory,
            // For files: another handle has a view or a lock, or does not share the file.
            win::ERROR_USER_MAPPED_FILE | win::ERROR_LOCK_VIOLATION | win::ERROR_SHARING_VIOLATION => {
                Reason::InUse
            }
            win::ERROR_HANDLE_DISK_FULL => Reason::NoMemory,
            // An empty file cannot have a section.
            win::ERROR_FILE_INVALID => Reason::NotReady,
            win::ERROR_FILENAME_EXCED_RANGE | win::ERROR_BAD_PATHNAME | win::ERROR_INVALID_NAME => {
                Reason::BadName
            }
            win::ERROR_NOT_SUPPORTED | win::ERROR_CALL_NOT_IMPLEMENTED => Reason::Unsupported,
            _ => Reason::Other,
        };
        Failure { reason, code: Some(i32::from_ne_bytes(code.to_ne_bytes())), figure: None }
    }
}

/// Returns the failure for the code of an error of Win32.
pub(super) fn failure_from_code(code: i32) -> Failure {
    LastError(u32::from_ne_bytes(code.to_ne_bytes())).into()
}
