//! As `api`, for files: one thin wrapper per system call.

use core::ptr;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::{Component, Path, Prefix};

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_DISPOSITION_INFO, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FileDispositionInfo, GetDiskFreeSpaceExW, MOVEFILE_WRITE_THROUGH, MoveFileExW,
    SetFileInformationByHandle,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{
    FILE_ALLOCATED_RANGE_BUFFER, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE,
};

use super::LastError;
use super::api::last_error;

fn succeeded(result: windows_sys::core::BOOL) -> Result<(), LastError> {
    if result == 0 { Err(last_error()) } else { Ok(()) }
}

/// A path, zero-terminated, as the calls take it whatever its length.
#[derive(Debug)]
pub(super) struct WidePath(Vec<u16>);

/// From here on, calls take a path only in its long form. (Directories: a file name of 12 characters must fit behind it.)
const LONG: usize = 240;

impl WidePath {
    /// None if it has a NUL in it, or is none.
    pub(super) fn new(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut units: Vec<u16> = path.as_os_str().encode_wide().collect();
        if units.contains(&0) {
            return None;
        }
        if units.len() >= LONG {
            let (prefix, rest) = match path.components().next() {
                Some(Component::Prefix(prefix)) => match prefix.kind() {
                    Prefix::Disk(_) => (r"\\?\", 0),
                    // Without the two that it begins with.
                    Prefix::UNC(..) => (r"\\?\UNC\", 2),
                    _ => ("", 0),
                },
                _ => ("", 0),
            };
            units = prefix.encode_utf16().chain(units.into_iter().skip(rest)).collect();
        }
        units.push(0);
        Some(WidePath(units))
    }

    fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

/// `CreateFileW` for a new file to write into, and to delete or rename. Others may read it, and delete it.
///
/// # Safety
///
/// The attributes, and what they point to, are valid.
pub(super) unsafe fn create_new(
    path: &WidePath,
    attributes: &SECURITY_ATTRIBUTES,
) -> Result<OwnedHandle, LastError> {
    let (access, share) = (GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_DELETE);
    let (path, none) = (path.as_ptr(), ptr::null_mut());
    // SAFETY: the path is zero-terminated and lives; the attributes are valid (the contract of this function).
    let handle =
        unsafe { CreateFileW(path, access, share, attributes, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, none) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(last_error());
    }
    // SAFETY: the call gave a handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `SetFileInformationByHandle`: whether the file is to be deleted when its last handle is closed, by whatever closes it.
/// The handle needs the right to delete.
pub(super) fn delete_when_closed(file: BorrowedHandle<'_>, delete: bool) -> Result<(), LastError> {
    let information = FILE_DISPOSITION_INFO { DeleteFile: delete };
    let len = u32::try_from(size_of_val(&information)).unwrap_or(0);
    let place = (&raw const information).cast();
    // SAFETY: the handle is open; the information is of this class, and as long as said.
    succeeded(unsafe { SetFileInformationByHandle(file.as_raw_handle(), FileDispositionInfo, place, len) })
}

/// `FSCTL_SET_SPARSE`: what is not written takes no room from here on.
pub(super) fn set_sparse(file: BorrowedHandle<'_>) -> Result<(), LastError> {
    let (file, mut returned) = (file.as_raw_handle(), 0);
    let (none, nowhere) = (ptr::null(), ptr::null_mut());
    // SAFETY: the handle is open, and not for overlapped use; nothing goes in or out; the place for the length is valid.
    succeeded(unsafe {
        DeviceIoControl(file, FSCTL_SET_SPARSE, none, 0, nowhere, 0, &mut returned, ptr::null_mut())
    })
}

/// `FSCTL_QUERY_ALLOCATED_RANGES`: the first range in `from..from + len` that takes room, as its start and length. None if
/// nothing does.
pub(super) fn first_allocated(
    file: BorrowedHandle<'_>,
    from: i64,
    len: i64,
) -> Result<Option<(i64, i64)>, LastError> {
    let asked = FILE_ALLOCATED_RANGE_BUFFER { FileOffset: from, Length: len };
    let mut answer = FILE_ALLOCATED_RANGE_BUFFER::default();
    let size = u32::try_from(size_of_val(&asked)).unwrap_or(0);
    let (file, mut returned) = (file.as_raw_handle(), 0);
    let (asked, place) = ((&raw const asked).cast(), (&raw mut answer).cast());
    let code = FSCTL_QUERY_ALLOCATED_RANGES;
    // SAFETY: the handle is open, and not for overlapped use; both places are of the type of this request, and as long as
    // said; the place for the length is valid.
    let result = succeeded(unsafe {
        DeviceIoControl(file, code, asked, size, place, size, &mut returned, ptr::null_mut())
    });
    match result {
        // There are more than there is room for.
        Ok(()) | Err(LastError(ERROR_MORE_DATA)) if returned >= size => {
            Ok(Some((answer.FileOffset, answer.Length)))
        }
        Ok(()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `GetDiskFreeSpaceExW`: bytes that are left for this user where a directory is.
pub(super) fn free_space(directory: &WidePath) -> Result<u64, LastError> {
    let mut free = 0;
    let (path, none) = (directory.as_ptr(), ptr::null_mut());
    // SAFETY: the path is zero-terminated and lives; the place for the answer is valid, the others are not wanted.
    succeeded(unsafe { GetDiskFreeSpaceExW(path, &mut free, none, none) })?;
    Ok(free)
}

/// `MoveFileExW`, which without being asked to replaces nothing.
pub(super) fn rename_new(from: &WidePath, to: &WidePath) -> Result<(), LastError> {
    // SAFETY: both paths are zero-terminated and live.
    succeeded(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_WRITE_THROUGH) })
}
