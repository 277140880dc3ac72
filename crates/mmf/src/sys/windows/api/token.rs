//! Access tokens of threads and processes, and the privileges in them.

use core::ptr;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_NO_TOKEN, ERROR_NOT_ALL_ASSIGNED, LUID};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, DuplicateTokenEx, GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeNameW,
    LookupPrivilegeValueW, SecurityImpersonation, TOKEN_INFORMATION_CLASS, TOKEN_PRIVILEGES,
    TokenImpersonation,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentThread, OpenProcessToken, OpenThreadToken, SetThreadToken,
};

use super::super::LastError;
use super::super::wide::Wide;
use super::{bytes, check, count, last_error};

/// `GetCurrentThreadEffectiveToken`, an inline function of the Windows headers: the pseudo handle of the
/// token that this thread acts with, which is its impersonation token or the token of the process.
pub(crate) fn get_current_thread_effective_token() -> BorrowedHandle<'static> {
    // SAFETY: pseudo handles are valid as long as the process exists, and need no closing.
    unsafe { BorrowedHandle::borrow_raw(ptr::without_provenance_mut(usize::MAX - 5)) }
}

/// `GetTokenInformation`, for a reply of any class in 64-bit words. The reply may contain pointers into
/// itself.
pub(crate) fn get_token_information(
    token: BorrowedHandle<'_>,
    class: TOKEN_INFORMATION_CLASS,
    reply: &mut [u64],
) -> Result<(), LastError> {
    let (token, len, mut returned) = (token.as_raw_handle(), bytes(reply), 0);
    // SAFETY: the handle is open; the buffer has the length that is passed, and 64-bit words are aligned for
    // every class.
    check(unsafe { GetTokenInformation(token, class, reply.as_mut_ptr().cast(), len, &mut returned) })
}

/// `GetTokenInformation`, for a class whose reply is a number of 32 bits: some of these classes refuse a
/// longer buffer.
pub(crate) fn get_token_information_u32(
    token: BorrowedHandle<'_>,
    class: TOKEN_INFORMATION_CLASS,
) -> Result<u32, LastError> {
    let (token, mut reply, mut returned) = (token.as_raw_handle(), 0_u32, 0);
    let (buffer, len) = ((&raw mut reply).cast(), bytes(&reply));
    // SAFETY: the handle is open; the buffer has the length that is passed.
    check(unsafe { GetTokenInformation(token, class, buffer, len, &mut returned) })?;
    Ok(reply)
}

/// `OpenThreadToken` for this thread, with the access checked against the token of the process. Returns
/// `None` if the thread does not impersonate.
pub(crate) fn open_thread_token(access: u32) -> Result<Option<OwnedHandle>, LastError> {
    // SAFETY: the call has no requirements; the pseudo handle that it returns needs no closing.
    let thread = unsafe { GetCurrentThread() };
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle is valid; the reply goes to a local variable.
    match check(unsafe { OpenThreadToken(thread, access, 1, &mut token) }) {
        // SAFETY: the call transfers the ownership of the handle.
        Ok(()) => Ok(Some(unsafe { OwnedHandle::from_raw_handle(token) })),
        Err(LastError(ERROR_NO_TOKEN)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `OpenProcessToken`.
pub(crate) fn open_process_token(process: BorrowedHandle<'_>, access: u32) -> Result<OwnedHandle, LastError> {
    let mut token = ptr::null_mut();
    // SAFETY: the handle is open; the reply goes to a local variable.
    check(unsafe { OpenProcessToken(process.as_raw_handle(), access, &mut token) })?;
    // SAFETY: the call transfers the ownership of the handle.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// `DuplicateTokenEx`, for a new token that a thread can impersonate.
pub(crate) fn duplicate_token(token: BorrowedHandle<'_>, access: u32) -> Result<OwnedHandle, LastError> {
    let (token, mut new) = (token.as_raw_handle(), ptr::null_mut());
    // SAFETY: the handle is open; there are no attributes; the reply goes to a local variable.
    check(unsafe {
        DuplicateTokenEx(token, access, ptr::null(), SecurityImpersonation, TokenImpersonation, &mut new)
    })?;
    // SAFETY: the call transfers the ownership of the handle.
    Ok(unsafe { OwnedHandle::from_raw_handle(new) })
}

/// `SetThreadToken` for this thread: sets the token that it impersonates from now on, or none.
pub(crate) fn set_thread_token(token: Option<BorrowedHandle<'_>>) -> Result<(), LastError> {
    let token = token.map_or(ptr::null_mut(), |token| token.as_raw_handle());
    // SAFETY: a null thread means the calling one; the token is open, or null.
    check(unsafe { SetThreadToken(ptr::null(), token) })
}

/// `AdjustTokenPrivileges` for one privilege; `attributes` consists of `SE_PRIVILEGE_*`. The call *succeeds*
/// if the token lacks the privilege, and only the last error shows it: then this function fails with
/// `ERROR_NOT_ALL_ASSIGNED`.
pub(crate) fn adjust_token_privileges(
    token: BorrowedHandle<'_>,
    luid: LUID,
    attributes: u32,
) -> Result<(), LastError> {
    let privileges = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: attributes }],
    };
    let (token, none) = (token.as_raw_handle(), ptr::null_mut());
    // SAFETY: the handle is open; the list has one privilege, as it states; no previous state is requested.
    let result = unsafe { AdjustTokenPrivileges(token, 0, &privileges, 0, none, ptr::null_mut()) };
    let error = last_error();
    if result == 0 || error.0 == ERROR_NOT_ALL_ASSIGNED { Err(error) } else { Ok(()) }
}

/// `LookupPrivilegeNameW`: the name, zero-terminated.
pub(crate) fn lookup_privilege_name(luid: &LUID, name: &mut [u16]) -> Result<(), LastError> {
    let mut len = count(name);
    // SAFETY: the buffer has the length that is passed.
    check(unsafe { LookupPrivilegeNameW(ptr::null(), luid, name.as_mut_ptr(), &mut len) })
}

/// `LookupPrivilegeValueW`.
pub(crate) fn lookup_privilege_value(name: &Wide) -> Result<LUID, LastError> {
    let mut luid = LUID::default();
    // SAFETY: the name is zero-terminated and borrowed; the reply goes to a local variable.
    check(unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &mut luid) })?;
    Ok(luid)
}
