//! Handles, and the directories of the object manager.

use core::ptr;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::sync::OnceLock;

use windows_sys::Wdk::Foundation::{
    NtQueryObject, OBJECT_ATTRIBUTES, OBJECT_INFORMATION_CLASS, ObjectBasicInformation, ObjectTypeInformation,
};
use windows_sys::Wdk::Storage::FileSystem::{NtOpenDirectoryObject, NtQueryDirectoryObject};
use windows_sys::Wdk::System::SystemServices::DIRECTORY_QUERY;
use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_INVALID_HANDLE, HANDLE,
    STATUS_MORE_ENTRIES, STATUS_NO_MORE_ENTRIES, UNICODE_STRING,
};
use windows_sys::core::BOOL;

use super::super::LastError;
use super::{Function, bytes, check, check_status, get_current_process, get_proc_address, string_at};
use crate::sys::{Failure, Reason};

fn nt_query_object(
    handle: BorrowedHandle<'_>,
    class: OBJECT_INFORMATION_CLASS,
    reply: &mut [u64],
) -> Result<(), LastError> {
    let (len, mut returned) = (bytes(reply), 0);
    // SAFETY: the handle is open; the buffer has the length that is passed, and 64-bit words are aligned for
    // every class.
    check_status(unsafe {
        NtQueryObject(handle.as_raw_handle(), class, reply.as_mut_ptr().cast(), len, &mut returned)
    })
}

/// `NtQueryObject` for the name of the type, such as `Section`.
pub(crate) fn nt_query_object_type_name(handle: BorrowedHandle<'_>) -> Result<String, LastError> {
    // An OBJECT_TYPE_INFORMATION starts with this string.
    let mut reply = [0; 256];
    nt_query_object(handle, ObjectTypeInformation, &mut reply)?;
    Ok(string_at(&reply, 0).unwrap_or_default())
}

/// `NtQueryObject` for the access rights of a handle.
pub(crate) fn nt_query_object_granted_access(handle: BorrowedHandle<'_>) -> Result<u32, LastError> {
    // An OBJECT_BASIC_INFORMATION: 56 bytes, of which the second four are the granted access.
    let mut reply = [0; 7];
    nt_query_object(handle, ObjectBasicInformation, &mut reply)?;
    let [_, _, _, _, a, b, c, d] = reply[0].to_ne_bytes();
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// `DuplicateHandle`, for a handle that is not inheritable: with the rights in `access`, or with the rights
/// of the source.
///
/// # Safety
///
/// If `options` closes the source, the handle `source` has no owner in its process.
unsafe fn duplicate(
    from: BorrowedHandle<'_>,
    source: HANDLE,
    to: BorrowedHandle<'_>,
    access: Option<u32>,
    options: u32,
) -> Result<HANDLE, LastError> {
    let options = options | if access.is_none() { DUPLICATE_SAME_ACCESS } else { 0 };
    let (from, to, access, mut new) =
        (from.as_raw_handle(), to.as_raw_handle(), access.unwrap_or(0), ptr::null_mut());
    // SAFETY: both process handles are open; the reply goes to a local variable. A source that is no handle
    // is an error, and the source is closed only where the contract of this function allows it.
    check(unsafe { DuplicateHandle(from, source, to, &mut new, access, 0, options) })?;
    Ok(new)
}

/// `DuplicateHandle` inside this process.
pub(crate) fn duplicate_handle(
    handle: BorrowedHandle<'_>,
    access: Option<u32>,
) -> Result<OwnedHandle, LastError> {
    let process = get_current_process();
    // SAFETY: the source stays open.
    let new = unsafe { duplicate(process, handle.as_raw_handle(), process, access, 0) }?;
    // SAFETY: the call has created the handle in this process, and it has no other owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `DuplicateHandle` into another process. Returns the value of the handle in that process.
pub(crate) fn duplicate_handle_into(
    process: BorrowedHandle<'_>,
    handle: BorrowedHandle<'_>,
    access: Option<u32>,
) -> Result<u64, LastError> {
    // SAFETY: the source stays open.
    let new = unsafe { duplicate(get_current_process(), handle.as_raw_handle(), process, access, 0) }?;
    Ok(new.addr() as u64)
}

/// Returns a handle of another process, by its value in that process.
fn foreign(value: u64) -> Result<HANDLE, LastError> {
    // Handles have 32 significant bits, in 32-bit and in 64-bit processes. Those with the highest bit set are
    // pseudo handles, such as that of the process itself.
    match u32::try_from(value) {
        Ok(value) if value != 0 && i32::from_ne_bytes(value.to_ne_bytes()) > 0 => {
            Ok(ptr::without_provenance_mut(usize::try_from(value).unwrap_or(0)))
        }
        _ => Err(LastError(ERROR_INVALID_HANDLE)),
    }
}

/// `DuplicateHandle` out of another process, with the same rights.
pub(crate) fn duplicate_handle_from(
    process: BorrowedHandle<'_>,
    value: u64,
) -> Result<OwnedHandle, LastError> {
    // SAFETY: the source stays open.
    let new = unsafe { duplicate(process, foreign(value)?, get_current_process(), None, 0) }?;
    // SAFETY: the call has created the handle in this process, and it has no other owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `DuplicateHandle` out of another process with `DUPLICATE_CLOSE_SOURCE`: moves the handle into this
/// process.
///
/// # Safety
///
/// The handle has no owner in the other process.
pub(crate) unsafe fn duplicate_handle_close_source(
    process: BorrowedHandle<'_>,
    value: u64,
) -> Result<OwnedHandle, LastError> {
    let (source, options) = (foreign(value)?, DUPLICATE_CLOSE_SOURCE);
    // SAFETY: the contract of this function is that of `duplicate`.
    let new = unsafe { duplicate(process, source, get_current_process(), None, options) }?;
    // SAFETY: the call has created the handle in this process, and it has no other owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `CloseHandle` for a handle of this process, by its value.
///
/// # Safety
///
/// The handle is open, and no part of this process owns or uses it.
pub(crate) unsafe fn close_handle(value: u64) {
    let Ok(value) = usize::try_from(value) else { return };
    // SAFETY: by the contract of this function the handle is open and has no owner.
    drop(unsafe { OwnedHandle::from_raw_handle(ptr::without_provenance_mut(value)) });
}

/// `CompareObjectHandles`, which Windows has since 10, version 1607.
pub(crate) fn compare_object_handles(
    one: BorrowedHandle<'_>,
    other: BorrowedHandle<'_>,
) -> Result<bool, Failure> {
    type Compare = unsafe extern "system" fn(HANDLE, HANDLE) -> BOOL;
    static COMPARE: OnceLock<Option<Compare>> = OnceLock::new();
    let compare = COMPARE.get_or_init(|| {
        let found = get_proc_address("kernelbase.dll", c"CompareObjectHandles")?;
        // SAFETY: handleapi.h declares the function of this name with this type.
        Some(unsafe { core::mem::transmute::<Function, Compare>(found) })
    });
    let compare = compare.ok_or(Failure::new(Reason::Unsupported))?;
    // SAFETY: the handles are open.
    Ok(unsafe { compare(one.as_raw_handle(), other.as_raw_handle()) } != 0)
}

/// `NtOpenDirectoryObject`, to list the directory.
pub(crate) fn nt_open_directory_object(path: &str) -> Result<OwnedHandle, LastError> {
    let path: Vec<u16> = path.encode_utf16().collect();
    let len = u16::try_from(size_of_val(&path[..])).unwrap_or(u16::MAX);
    let path = UNICODE_STRING { Length: len, MaximumLength: len, Buffer: path.as_ptr().cast_mut() };
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: 0,
        RootDirectory: ptr::null_mut(),
        ObjectName: &path,
        Attributes: 0,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    attributes.Length = bytes(&attributes);
    let mut handle = ptr::null_mut();
    // SAFETY: the attributes and the path in them outlive the call; the reply goes to a local variable.
    check_status(unsafe { NtOpenDirectoryObject(&mut handle, DIRECTORY_QUERY, &attributes) })?;
    // SAFETY: the call transfers the ownership of the handle.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// An entry of a directory of the object manager.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryEntry {
    pub(crate) name: String,
    pub(crate) type_name: String,
}

/// `NtQueryDirectoryObject` from the first entry on. Returns the entries that fit into `buffer`, and whether
/// these are all.
pub(crate) fn nt_query_directory_object(
    directory: BorrowedHandle<'_>,
    buffer: &mut [u64],
) -> Result<(Vec<DirectoryEntry>, bool), LastError> {
    let (handle, reply, len) = (directory.as_raw_handle(), buffer.as_mut_ptr().cast(), bytes(buffer));
    let (mut context, mut returned) = (0, 0);
    // SAFETY: the handle is open; the buffer has the length that is passed; the other replies go to local
    // variables.
    let status =
        unsafe { NtQueryDirectoryObject(handle, reply, len, false, true, &mut context, &mut returned) };
    if status == STATUS_NO_MORE_ENTRIES {
        return Ok((Vec::new(), true));
    }
    check_status(status)?;
    // The reply is an array of pairs of strings, which ends with a pair of null strings.
    let mut entries = Vec::new();
    for at in (0..).step_by(2 * size_of::<UNICODE_STRING>()) {
        let Some(name) = string_at(buffer, at) else { break };
        let type_name = string_at(buffer, at + size_of::<UNICODE_STRING>()).unwrap_or_default();
        entries.push(DirectoryEntry { name, type_name });
    }
    Ok((entries, status != STATUS_MORE_ENTRIES))
}
