//! Processes: handles of them, and queries about them.

use core::ffi::c_void;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_BAD_LENGTH, ERROR_INSUFFICIENT_BUFFER, FILETIME, NTSTATUS};
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32,
    QueryFullProcessImageNameW,
};

use super::super::LastError;
use super::{bytes, check, check_status, count, owned};

/// `GetCurrentProcess`: the pseudo handle of this process.
pub(crate) fn get_current_process() -> BorrowedHandle<'static> {
    // SAFETY: the call has no requirements.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: pseudo handles are valid as long as the process exists, and need no closing.
    unsafe { BorrowedHandle::borrow_raw(process) }
}

/// `OpenProcess`.
pub(crate) fn open_process(id: u32, access: u32) -> Result<OwnedHandle, LastError> {
    // SAFETY: the call has no requirements.
    let handle = unsafe { OpenProcess(access, 0, id) };
    // SAFETY: the call transfers the ownership of the handle.
    unsafe { owned(handle) }
}

/// `GetProcessTimes`, for the creation time in units of 100 ns.
pub(crate) fn get_process_times_creation(process: BorrowedHandle<'_>) -> Result<u64, LastError> {
    let [mut creation, mut exit, mut kernel, mut user] = [FILETIME::default(); 4];
    let process = process.as_raw_handle();
    // SAFETY: the handle is open; the replies go to local variables.
    check(unsafe { GetProcessTimes(process, &mut creation, &mut exit, &mut kernel, &mut user) })?;
    Ok((u64::from(creation.dwHighDateTime) << 32) | u64::from(creation.dwLowDateTime))
}

/// `GetExitCodeProcess`.
pub(crate) fn get_exit_code_process(process: BorrowedHandle<'_>) -> Result<u32, LastError> {
    let mut code = 0;
    // SAFETY: the handle is open; the reply goes to a local variable.
    check(unsafe { GetExitCodeProcess(process.as_raw_handle(), &mut code) })?;
    Ok(code)
}

/// `QueryFullProcessImageNameW`: the path of the program of a process.
pub(crate) fn query_full_process_image_name(process: BorrowedHandle<'_>) -> Result<String, LastError> {
    // The longest path of the system has fewer units.
    let mut path = vec![0_u16; 1 << 15];
    let (process, mut len) = (process.as_raw_handle(), count(&path));
    // SAFETY: the handle is open; the buffer has the length that is passed.
    check(unsafe { QueryFullProcessImageNameW(process, PROCESS_NAME_WIN32, path.as_mut_ptr(), &mut len) })?;
    let written = path.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
    Ok(String::from_utf16_lossy(written))
}

/// `ProcessIdToSessionId`.
pub(crate) fn process_id_to_session_id(id: u32) -> Result<u32, LastError> {
    let mut session = 0;
    // SAFETY: the reply goes to a local variable.
    check(unsafe { ProcessIdToSessionId(id, &mut session) })?;
    Ok(session)
}

// In the bindings the call belongs to a feature that is needed for nothing else. `NtQuerySystemInformation`
// of winternl.h.
windows_link::link!("ntdll.dll" "system"
    fn NtQuerySystemInformation(
        class: i32,
        information: *mut c_void,
        len: u32,
        returned: *mut u32,
    ) -> NTSTATUS);

/// `SystemProcessInformation` of winternl.h.
const SYSTEM_PROCESS_INFORMATION_CLASS: i32 = 5;

/// `NtQuerySystemInformation` for the list of processes, which needs no access right to the processes in it.
/// The reply is a chain of `SYSTEM_PROCESS_INFORMATION`. Fails with `ERROR_INSUFFICIENT_BUFFER` if the chain
/// is longer than the buffer.
pub(crate) fn nt_query_system_information_processes(reply: &mut [u64]) -> Result<(), LastError> {
    let (class, len, mut returned) = (SYSTEM_PROCESS_INFORMATION_CLASS, bytes(reply), 0);
    // SAFETY: the buffer has the length that is passed, and 64-bit words are aligned for the reply.
    let status = unsafe { NtQuerySystemInformation(class, reply.as_mut_ptr().cast(), len, &mut returned) };
    check_status(status).map_err(|error| match error {
        // STATUS_INFO_LENGTH_MISMATCH in terms of Win32.
        LastError(ERROR_BAD_LENGTH) => LastError(ERROR_INSUFFICIENT_BUFFER),
        error => error,
    })
}
