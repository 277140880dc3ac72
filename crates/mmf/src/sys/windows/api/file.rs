//! Files and their holes.

use core::ptr;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_DISPOSITION_INFO, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_TYPE, FileDispositionInfo, FlushFileBuffers, GetDiskFreeSpaceExW, GetFileSizeEx,
    GetFileType, MOVEFILE_WRITE_THROUGH, MoveFileExW, SetFileInformationByHandle,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{
    FILE_ALLOCATED_RANGE_BUFFER, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE,
};

use super::super::LastError;
use super::super::wide::WidePath;
use super::{SecurityAttributes, bytes, check, last_error};

/// `CreateFileW` with `CREATE_NEW`, for a file to write, to rename and to delete. Other processes may read
/// and delete it.
pub(crate) fn create_file_new(
    path: &WidePath,
    attributes: &SecurityAttributes<'_>,
) -> Result<OwnedHandle, LastError> {
    let (access, share) = (GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_DELETE);
    let (path, attributes, template) = (path.as_ptr(), attributes.as_ptr(), ptr::null_mut());
    // SAFETY: the path is zero-terminated and borrowed; the attributes are valid by their type.
    let handle =
        unsafe { CreateFileW(path, access, share, attributes, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, template) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(last_error());
    }
    // SAFETY: the call transfers the ownership of the handle.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `GetFileType`.
pub(crate) fn get_file_type(file: BorrowedHandle<'_>) -> FILE_TYPE {
    // SAFETY: the handle is open.
    unsafe { GetFileType(file.as_raw_handle()) }
}

/// `GetFileSizeEx`.
pub(crate) fn get_file_size(file: BorrowedHandle<'_>) -> Result<u64, LastError> {
    let mut len = 0;
    // SAFETY: the handle is open; the reply goes to a local variable.
    check(unsafe { GetFileSizeEx(file.as_raw_handle(), &mut len) })?;
    Ok(u64::try_from(len).unwrap_or(0))
}

/// `FlushFileBuffers`.
pub(crate) fn flush_file_buffers(file: BorrowedHandle<'_>) -> Result<(), LastError> {
    // SAFETY: the handle is open.
    check(unsafe { FlushFileBuffers(file.as_raw_handle()) })
}

/// `SetFileInformationByHandle` with `FILE_DISPOSITION_INFO`: sets whether the file is deleted when its last
/// handle is closed, also by the end of a process. The handle needs `DELETE`.
pub(crate) fn set_file_disposition_info(file: BorrowedHandle<'_>, delete: bool) -> Result<(), LastError> {
    let information = FILE_DISPOSITION_INFO { DeleteFile: delete };
    let (file, len) = (file.as_raw_handle(), bytes(&information));
    let information = (&raw const information).cast();
    // SAFETY: the handle is open; the information is of this class and has the length that is passed.
    check(unsafe { SetFileInformationByHandle(file, FileDispositionInfo, information, len) })
}

/// `DeviceIoControl` with `FSCTL_SET_SPARSE`: ranges that are not written take no space from now on.
pub(crate) fn fsctl_set_sparse(file: BorrowedHandle<'_>) -> Result<(), LastError> {
    let (file, mut returned) = (file.as_raw_handle(), 0);
    let (input, output) = (ptr::null(), ptr::null_mut());
    // SAFETY: the handle is open and not overlapped; there is neither input nor output; the length goes to a
    // local variable.
    check(unsafe {
        DeviceIoControl(file, FSCTL_SET_SPARSE, input, 0, output, 0, &mut returned, ptr::null_mut())
    })
}

/// `DeviceIoControl` with `FSCTL_QUERY_ALLOCATED_RANGES`: the first range in `from..from + len` that takes
/// space, as its start and length. Returns `None` if there is none.
pub(crate) fn fsctl_query_allocated_ranges(
    file: BorrowedHandle<'_>,
    from: i64,
    len: i64,
) -> Result<Option<(i64, i64)>, LastError> {
    let input = FILE_ALLOCATED_RANGE_BUFFER { FileOffset: from, Length: len };
    let mut output = FILE_ALLOCATED_RANGE_BUFFER::default();
    let (file, size, mut returned) = (file.as_raw_handle(), bytes(&input), 0);
    let (input, reply) = ((&raw const input).cast(), (&raw mut output).cast());
    let code = FSCTL_QUERY_ALLOCATED_RANGES;
    // SAFETY: the handle is open and not overlapped; both buffers are of the type of this request and have
    // the lengths that are passed; the length goes to a local variable.
    let result = check(unsafe {
        DeviceIoControl(file, code, input, size, reply, size, &mut returned, ptr::null_mut())
    });
    match result {
        // ERROR_MORE_DATA: further ranges follow the one that fits.
        Ok(()) | Err(LastError(ERROR_MORE_DATA)) if returned >= size => {
            Ok(Some((output.FileOffset, output.Length)))
        }
        Ok(()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `GetDiskFreeSpaceExW`: the bytes that are available to this user on the volume of a directory.
pub(crate) fn get_disk_free_space(directory: &WidePath) -> Result<u64, LastError> {
    let mut free = 0;
    let (path, none) = (directory.as_ptr(), ptr::null_mut());
    // SAFETY: the path is zero-terminated and borrowed; one reply goes to a local variable, the others are
    // not requested.
    check(unsafe { GetDiskFreeSpaceExW(path, &mut free, none, none) })?;
    Ok(free)
}

/// `MoveFileExW` with `MOVEFILE_WRITE_THROUGH`, which replaces no existing file.
pub(crate) fn move_file_write_through(from: &WidePath, to: &WidePath) -> Result<(), LastError> {
    // SAFETY: both paths are zero-terminated and borrowed.
    check(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_WRITE_THROUGH) })
}
