//! Every call of Windows that this library makes, except for what std does: one thin wrapper per call,
//! grouped by topic.
//!
//! A function has the name of its call in snake case, without a final `W`, `A` or `Ex`. Where one call serves
//! many requests, each request has a function, which is named after the call and the request
//! (`nt_query_object_type_name`), or after the request alone if the constant of the request contains the name
//! of the interface (`fsctl_set_sparse`).
//!
//! A wrapper chooses no policy: it states in its type how the call fails, and reads the last error
//! immediately, before anything can change it. Success is determined by the result that the documentation of
//! the call names, never by the last error. The exceptions are calls that also succeed where they did
//! something else: [`create_file_mapping`], [`create_event`] and [`create_semaphore`] (the object existed),
//! and [`adjust_token_privileges`] (the token lacks the privilege).

mod account;
mod file;
mod library;
mod memory;
mod namespace;
mod object;
mod process;
mod random;
mod section;
mod security;
mod token;
mod wait;

pub(super) use account::*;
pub(super) use file::*;
pub(super) use library::*;
pub(super) use memory::*;
pub(super) use namespace::*;
pub(super) use object::*;
pub(super) use process::*;
pub(super) use random::*;
pub(super) use section::*;
pub(super) use security::*;
pub(super) use token::*;
pub(super) use wait::*;

use core::mem::offset_of;
use std::os::windows::io::{FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, GetLastError, HANDLE, NTSTATUS, RtlNtStatusToDosError, UNICODE_STRING,
};
use windows_sys::core::BOOL;
use zerocopy::IntoBytes;

use super::LastError;

/// `GetLastError`.
fn last_error() -> LastError {
    // SAFETY: the call has no requirements.
    LastError(unsafe { GetLastError() })
}

/// Translates the result of a call that returns a `BOOL` and sets the last error.
fn check(result: BOOL) -> Result<(), LastError> {
    if result == 0 { Err(last_error()) } else { Ok(()) }
}

/// Translates the status of a native call into an error of Win32.
fn check_status(status: NTSTATUS) -> Result<(), LastError> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: the call has no requirements.
    Err(LastError(unsafe { RtlNtStatusToDosError(status) }))
}

/// Takes over the result of a call that returns a new handle, or returns null and sets the last error.
///
/// # Safety
///
/// `handle` is null, or an open handle that has no other owner.
unsafe fn owned(handle: HANDLE) -> Result<OwnedHandle, LastError> {
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: by the contract of this function the handle is open and has no other owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Takes over the result of a call that creates a named object or opens an existing one, and returns whether
/// the object is new. For an existing object such a call *succeeds*, and only the last error distinguishes
/// the two.
///
/// # Safety
///
/// As for [`owned`]; and the call was the last one of this thread.
unsafe fn created(handle: HANDLE) -> Result<(OwnedHandle, bool), LastError> {
    let error = last_error();
    // SAFETY: the contract of this function includes that of `owned`.
    let handle = unsafe { owned(handle) }.map_err(|_| error)?;
    Ok((handle, error.0 != ERROR_ALREADY_EXISTS))
}

/// Splits a number that a call takes in two parts into its upper and its lower half.
fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// Returns the number of elements of a buffer. (If the type cannot express it, the end of the buffer is not
/// used.)
fn count<T>(buffer: &[T]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

/// Returns the number of bytes of a buffer or of a structure, with the same limit.
fn bytes<T: ?Sized>(value: &T) -> u32 {
    u32::try_from(size_of_val(value)).unwrap_or(u32::MAX)
}

/// Returns the text of the native string at an offset of a reply, or `None` for a null string and for one
/// that is not in the reply.
fn string_at(reply: &[u64], at: usize) -> Option<String> {
    let bytes = reply.as_bytes();
    let field = |offset: usize| bytes.get(at.checked_add(offset)?..);
    let len = u16::from_ne_bytes(*field(offset_of!(UNICODE_STRING, Length))?.first_chunk()?);
    let address = usize::from_ne_bytes(*field(offset_of!(UNICODE_STRING, Buffer))?.first_chunk()?);
    let text = bytes.get(address.checked_sub(bytes.as_ptr().addr())?..)?.get(..usize::from(len))?;
    let units: Vec<u16> = text.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}
