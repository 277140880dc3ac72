//! Replies of variable size, parsed without trusting the lengths and pointers in them.

use std::os::windows::io::BorrowedHandle;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_DATA};
use windows_sys::Win32::Security::TOKEN_INFORMATION_CLASS;
use zerocopy::IntoBytes;

use super::{LastError, api, sid};

/// The largest buffer, in elements: larger than any correct reply, and a bound for a system that rejects
/// every buffer as too small.
const MAX_LEN: usize = 1 << 20;

/// Calls `call` with larger and larger buffers until the reply fits. Returns the buffer and the result of the
/// call.
pub(super) fn with_buffer<U: Copy + Default, T>(
    first_len: usize,
    mut call: impl FnMut(&mut [U]) -> Result<T, LastError>,
) -> Result<(Vec<U>, T), LastError> {
    let mut len = first_len;
    loop {
        let mut buffer = vec![U::default(); len];
        match call(&mut buffer) {
            Err(LastError(ERROR_INSUFFICIENT_BUFFER)) if len < MAX_LEN => len *= 2,
            Err(error) => return Err(error),
            Ok(result) => return Ok((buffer, result)),
        }
    }
}

/// Returns the error for a reply that contradicts itself.
pub(super) fn malformed() -> LastError {
    LastError(ERROR_INVALID_DATA)
}

/// A reply of `GetTokenInformation`. It may contain pointers into itself, so its words never move.
pub(super) struct TokenInformation(Vec<u64>);

impl TokenInformation {
    /// Queries the token that this thread acts with.
    pub(super) fn of_thread(class: TOKEN_INFORMATION_CLASS) -> Result<Self, LastError> {
        Self::of(api::get_current_thread_effective_token(), class)
    }

    /// Queries `token`.
    pub(super) fn of(token: BorrowedHandle<'_>, class: TOKEN_INFORMATION_CLASS) -> Result<Self, LastError> {
        let (words, ()) = with_buffer(64, |buffer| api::get_token_information(token, class, buffer))?;
        Ok(TokenInformation(words))
    }

    /// Returns the number at this offset.
    pub(super) fn u32_at(&self, at: usize) -> Result<u32, LastError> {
        let bytes = self.0.as_bytes().get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or_else(malformed)
    }

    /// Returns the SID that the pointer at this offset points to, or `None` if the pointer is null.
    pub(super) fn sid_at(&self, at: usize) -> Result<Option<Vec<u8>>, LastError> {
        let bytes = self.0.as_bytes();
        let pointer = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(malformed)?;
        let address = usize::from_ne_bytes(*pointer);
        if address == 0 {
            return Ok(None);
        }
        let rest = address.checked_sub(bytes.as_ptr().addr()).and_then(|offset| bytes.get(offset..));
        let rest = rest.ok_or_else(malformed)?;
        let sid = sid::len(rest).and_then(|len| rest.get(..len)).ok_or_else(malformed)?;
        Ok(Some(sid.to_vec()))
    }
}

#[cfg(test)]
mod tests;
