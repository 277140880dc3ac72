//! Events, semaphores, and waiting for objects.

use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateSemaphoreW, OpenEventW, OpenSemaphoreW, ReleaseSemaphore, SEMAPHORE_MODIFY_STATE,
    SYNCHRONIZATION_SYNCHRONIZE, WaitForMultipleObjects,
};

use super::super::LastError;
use super::super::wide::Wide;
use super::{READ_CONTROL, SecurityAttributes, check, count, created, last_error, owned};

/// `CreateEventW`, for a manual-reset event that is not signalled. Returns the event of this name and whether
/// it is new.
pub(crate) fn create_event(
    attributes: &SecurityAttributes<'_>,
    name: &Wide,
) -> Result<(OwnedHandle, bool), LastError> {
    // SAFETY: the attributes are valid by their type; the name is zero-terminated and borrowed.
    let handle = unsafe { CreateEventW(attributes.as_ptr(), 1, 0, name.as_ptr()) };
    // SAFETY: the handle was returned by the preceding call, which transfers its ownership.
    unsafe { created(handle) }
}

/// `OpenEventW`, to wait for the event.
pub(crate) fn open_event(name: &Wide) -> Result<OwnedHandle, LastError> {
    // SAFETY: the name is zero-terminated and borrowed.
    let handle = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, name.as_ptr()) };
    // SAFETY: the call transfers the ownership of the handle.
    unsafe { owned(handle) }
}

/// `CreateSemaphoreW`, for a semaphore with a count of 0. Returns the semaphore of this name and whether it
/// is new.
pub(crate) fn create_semaphore(
    attributes: &SecurityAttributes<'_>,
    maximum: i32,
    name: &Wide,
) -> Result<(OwnedHandle, bool), LastError> {
    // SAFETY: the attributes are valid by their type; the name is zero-terminated and borrowed.
    let handle = unsafe { CreateSemaphoreW(attributes.as_ptr(), 0, maximum, name.as_ptr()) };
    // SAFETY: the handle was returned by the preceding call, which transfers its ownership.
    unsafe { created(handle) }
}

/// `OpenSemaphoreW`, to wait for the semaphore, to release it, and to read its security descriptor.
pub(crate) fn open_semaphore(name: &Wide) -> Result<OwnedHandle, LastError> {
    let access = SYNCHRONIZATION_SYNCHRONIZE | SEMAPHORE_MODIFY_STATE | READ_CONTROL;
    // SAFETY: the name is zero-terminated and borrowed.
    let handle = unsafe { OpenSemaphoreW(access, 0, name.as_ptr()) };
    // SAFETY: the call transfers the ownership of the handle.
    unsafe { owned(handle) }
}

/// `ReleaseSemaphore`. Returns the previous count.
pub(crate) fn release_semaphore(semaphore: BorrowedHandle<'_>, count: i32) -> Result<i32, LastError> {
    let mut previous = 0;
    // SAFETY: the handle is open; the reply goes to a local variable.
    check(unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, &mut previous) })?;
    Ok(previous)
}

/// `WaitForMultipleObjects` for any of at most 64 objects. Returns false if the time ran out.
pub(crate) fn wait_for_multiple_objects(
    handles: &[BorrowedHandle<'_>],
    milliseconds: u32,
) -> Result<bool, LastError> {
    let count = count(handles);
    // (`BorrowedHandle` is documented to have the layout of a handle.)
    let list: *const HANDLE = handles.as_ptr().cast();
    // SAFETY: the list has as many open handles as is passed.
    match unsafe { WaitForMultipleObjects(count, list, 0, milliseconds) } {
        WAIT_TIMEOUT => Ok(false),
        WAIT_FAILED => Err(last_error()),
        _ => Ok(true),
    }
}
